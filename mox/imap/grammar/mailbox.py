"""Mailbox names and list patterns.

RFC 9051 §5.1, RFC 3501 §5.1 (modified UTF-7), RFC 6855 §3 (UTF-8 once enabled).
"""

from __future__ import annotations

from mox.imap.commands import ListPattern
from mox.imap.grammar.cursor import LIST_ATOM, Cursor
from mox.imap.utf7 import Utf7Error, decode

INBOX = "INBOX"


def canonical(name: str) -> str:
    """Spell the inbox, and the inbox as first component, in capitals.

    RFC 9051 §5.1: INBOX is case-insensitive; all other names are compared as they are.
    """
    if name[:5].upper() == INBOX and name[5:6] in ("", "/"):
        return INBOX + name[5:]
    return name


def mailbox(cursor: Cursor) -> str:
    """Read a mailbox name."""
    return canonical(_decoded(cursor, cursor.astring("a mailbox name")))


def _decoded(cursor: Cursor, raw: bytes) -> str:
    # Clients send raw UTF-8 names also without having enabled it: no modified UTF-7 name has an
    # octet above 0x7f, so the two cannot be confused.
    if not cursor.utf8 and not raw.isascii():
        cursor.tolerate("mailbox name is not modified UTF-7")
    if cursor.utf8 or not raw.isascii():
        return cursor.unicode(raw, "mailbox name")
    try:
        return decode(raw)
    except Utf7Error as err:
        cursor.fail(f"mailbox name: {err}")


def reference(cursor: Cursor) -> str:
    """Read LIST's reference name: a mailbox name that may be empty."""
    return _decoded(cursor, cursor.astring("a reference name"))


def list_pattern(cursor: Cursor) -> ListPattern:
    """Read a list-mailbox: a mailbox name with wildcards."""
    raw = cursor.astring("a mailbox pattern", LIST_ATOM)
    if cursor.utf8 or not raw.isascii():
        return ListPattern(cursor.unicode(raw, "mailbox pattern"))
    try:
        return ListPattern(decode(raw))
    except Utf7Error:
        # A wildcard inside a shifted run, as in "&ANw*": only the encoded names can match that.
        return ListPattern(raw.decode("ascii"), encoded=True)
