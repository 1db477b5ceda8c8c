"""Commands on the selected mailbox, and their UID forms."""

from __future__ import annotations

import re

from mox.imap.commands import (
    Check,
    Close,
    Command,
    Copy,
    Expunge,
    Fetch,
    Move,
    Search,
    SearchReturn,
    Store,
    StoreMode,
    Unselect,
)
from mox.imap.grammar.cursor import MAX_NUMBER64, Cursor
from mox.imap.grammar.fetch_att import fetch_attributes
from mox.imap.grammar.flags import store_flags
from mox.imap.grammar.mailbox import mailbox
from mox.imap.grammar.search_key import search_program
from mox.imap.grammar.sequence_set import sequence_set

_SEARCH_RETURNS = {option.value: option for option in SearchReturn}
_STORE_ITEM = re.compile(rb"([+-]?)FLAGS(\.SILENT)?(?![^ ])", re.IGNORECASE)


def check(cursor: Cursor, tag: str) -> Check:
    return Check(tag)


def close(cursor: Cursor, tag: str) -> Close:
    return Close(tag)


def unselect(cursor: Cursor, tag: str) -> Unselect:
    return Unselect(tag)


def expunge(cursor: Cursor, tag: str) -> Expunge:
    return Expunge(tag)


def search(cursor: Cursor, tag: str, *, uid: bool = False) -> Search:
    cursor.space()
    returns = None
    if cursor.text[cursor.at : cursor.at + 8].upper() == b"RETURN (":
        cursor.at += 7
        returns = _search_returns(cursor)
        cursor.space()
    charset, key = search_program(cursor)
    return Search(tag, key, uid, returns, charset)


def _search_returns(cursor: Cursor) -> frozenset[SearchReturn]:
    options = frozenset(cursor.parenthesised(lambda: _search_return(cursor), empty=True))
    # RFC 4731 §3.1: RETURN () is the same as RETURN (ALL).
    return options or frozenset({SearchReturn.ALL})


def _search_return(cursor: Cursor) -> SearchReturn:
    option = _SEARCH_RETURNS.get(cursor.word("a result option"))
    if option is None:
        cursor.fail("unknown result option")
    return option


def fetch(cursor: Cursor, tag: str, *, uid: bool = False) -> Fetch:
    cursor.space()
    messages = sequence_set(cursor)
    cursor.space()
    attributes = fetch_attributes(cursor)
    changed_since: int | None = None
    vanished = False
    if cursor.more():
        changed_since, vanished = _fetch_modifiers(cursor)
    # RFC 7162 §3.2.6: VANISHED only with UID FETCH and together with CHANGEDSINCE.
    if vanished and (changed_since is None or not uid):
        cursor.fail("VANISHED needs UID FETCH and CHANGEDSINCE")
    return Fetch(tag, messages, attributes, uid, changed_since, vanished)


def _fetch_modifiers(cursor: Cursor) -> tuple[int | None, bool]:
    modifiers = cursor.parenthesised(lambda: _fetch_modifier(cursor))
    since = [modseq for modseq in modifiers if modseq is not None]
    if len(since) > 1:
        cursor.fail("repeated CHANGEDSINCE")
    return since[0] if since else None, None in modifiers


def _fetch_modifier(cursor: Cursor) -> int | None:
    """Read one FETCH modifier; None stands for VANISHED."""
    name = cursor.word("a modifier")
    if name == "VANISHED":
        return None
    if name != "CHANGEDSINCE":
        cursor.fail("unknown modifier")
    cursor.space()
    # Deviation from RFC 7162 §7: 0 is let through, iOS Mail 16 sends it.
    return cursor.number(MAX_NUMBER64)


# RFC 9051 §9: store = "STORE" SP sequence-set SP store-att-flags, with RFC 7162's store-modifier
def store(cursor: Cursor, tag: str, *, uid: bool = False) -> Store:
    cursor.space()
    messages = sequence_set(cursor)
    cursor.space()
    unchanged_since = _store_modifier(cursor)
    item = _STORE_ITEM.match(cursor.text, cursor.at)
    if item is None:
        cursor.fail("expected FLAGS")
    cursor.at = item.end()
    cursor.space()
    return Store(
        tag,
        messages,
        mode=StoreMode(item[1].decode("ascii")),
        flags=store_flags(cursor),
        uid=uid,
        silent=item[2] is not None,
        unchanged_since=unchanged_since,
    )


def _store_modifier(cursor: Cursor) -> int | None:
    if not cursor.maybe(b"("):
        return None
    if cursor.word("UNCHANGEDSINCE") != "UNCHANGEDSINCE":
        cursor.fail("unknown modifier")
    cursor.space()
    modseq = cursor.number(MAX_NUMBER64)
    cursor.take(b")")
    cursor.space()
    return modseq


def copy(cursor: Cursor, tag: str, *, uid: bool = False) -> Copy:
    cursor.space()
    messages = sequence_set(cursor)
    cursor.space()
    return Copy(tag, messages, mailbox(cursor), uid)


def move(cursor: Cursor, tag: str, *, uid: bool = False) -> Move:
    cursor.space()
    messages = sequence_set(cursor)
    cursor.space()
    return Move(tag, messages, mailbox(cursor), uid)


# RFC 9051 §9: uid = "UID" SP (copy / move / fetch / search / store / uid-expunge)
def uid_command(cursor: Cursor, tag: str) -> Command:
    cursor.space()
    match cursor.word("a command after UID"):
        case "FETCH":
            return fetch(cursor, tag, uid=True)
        case "SEARCH":
            return search(cursor, tag, uid=True)
        case "STORE":
            return store(cursor, tag, uid=True)
        case "COPY":
            return copy(cursor, tag, uid=True)
        case "MOVE":
            return move(cursor, tag, uid=True)
        case "EXPUNGE":
            cursor.space()
            return Expunge(tag, sequence_set(cursor))
        case _:
            cursor.fail("unknown command after UID")
