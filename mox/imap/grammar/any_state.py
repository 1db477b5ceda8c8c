"""Commands of any state: CAPABILITY, NOOP, LOGOUT, ID."""

from __future__ import annotations

from mox.imap.commands import Capability, Id, Logout, Noop
from mox.imap.grammar.cursor import Cursor


def capability(cursor: Cursor, tag: str) -> Capability:
    return Capability(tag)


def noop(cursor: Cursor, tag: str) -> Noop:
    return Noop(tag)


def logout(cursor: Cursor, tag: str) -> Logout:
    return Logout(tag)


# RFC 2971 §3.1: id = "ID" SP id-params-list; id-params-list = "(" *(string SP nstring) ")" / nil
def client_id(cursor: Cursor, tag: str) -> Id:
    cursor.space()
    if cursor.peek() != b"(":
        if cursor.atom("a list or NIL").upper() != "NIL":
            cursor.fail("expected a list or NIL")
        return Id(tag, None)
    fields = cursor.parenthesised(lambda: _field(cursor), empty=True)
    if len(fields) > cursor.limits.id_fields:
        cursor.fail("too many fields")
    # RFC 2971 §3.3: field names must not repeat.
    if len({name for name, _ in fields}) != len(fields):
        cursor.fail("repeated field")
    return Id(tag, tuple(fields))


def _field(cursor: Cursor) -> tuple[str, str | None]:
    name = cursor.unicode(cursor.string("a field name"), "field name").lower()
    cursor.space()
    value = cursor.nstring()
    # Only ever logged: what is not UTF-8 need not fail the command.
    return name, None if value is None else value.decode("utf-8", "replace")
