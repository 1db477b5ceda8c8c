"""Commands on the selected mailbox, and their UID forms."""

from __future__ import annotations

import re
from dataclasses import dataclass

from mox.imap.commands import (
    Check,
    Close,
    Command,
    Copy,
    Expunge,
    Fetch,
    Move,
    Store,
    StoreMode,
    Unselect,
)
from mox.imap.grammar.cursor import MAX_NUMBER64, Cursor
from mox.imap.grammar.fetch_att import fetch_attributes
from mox.imap.grammar.flags import store_flags
from mox.imap.grammar.mailbox import mailbox
from mox.imap.grammar.searching import read_window, search, sort, thread
from mox.imap.grammar.sequence_set import sequence_set
from mox.imap.searchcommands import Window
from mox.imap.uidbatches import UidBatches

_STORE_ITEM = re.compile(rb"([+-]?)FLAGS(\.SILENT)?(?![^ ])", re.IGNORECASE)


def check(cursor: Cursor, tag: str) -> Check:
    return Check(tag)


def close(cursor: Cursor, tag: str) -> Close:
    return Close(tag)


def unselect(cursor: Cursor, tag: str) -> Unselect:
    return Unselect(tag)


def expunge(cursor: Cursor, tag: str) -> Expunge:
    return Expunge(tag)


def fetch(cursor: Cursor, tag: str, *, uid: bool = False) -> Fetch:
    cursor.space()
    messages = sequence_set(cursor)
    cursor.space()
    attributes = fetch_attributes(cursor)
    modifiers = _Modifiers()
    if cursor.more():
        cursor.parenthesised(lambda: _fetch_modifier(cursor, modifiers))
    # RFC 7162 §3.2.6: VANISHED only with UID FETCH and together with CHANGEDSINCE.
    if modifiers.vanished and (modifiers.changed_since is None or not uid):
        cursor.fail("VANISHED needs UID FETCH and CHANGEDSINCE")
    if modifiers.window is not None and not uid:
        # RFC 9394 §3.3
        cursor.fail("PARTIAL needs UID FETCH")
    return Fetch(
        tag,
        messages,
        attributes,
        uid,
        modifiers.changed_since,
        modifiers.vanished,
        modifiers.window,
    )


@dataclass(slots=True)
class _Modifiers:
    changed_since: int | None = None
    vanished: bool = False
    window: Window | None = None


def _fetch_modifier(cursor: Cursor, modifiers: _Modifiers) -> None:
    name = cursor.word("a modifier")
    if name == "VANISHED":
        modifiers.vanished = True
    elif name == "CHANGEDSINCE" and modifiers.changed_since is None:
        cursor.space()
        # Deviation from RFC 7162 §7: 0 is let through, iOS Mail 16 sends it.
        modifiers.changed_since = cursor.number(MAX_NUMBER64)
        if not modifiers.changed_since:
            cursor.tolerate("CHANGEDSINCE is at least 1")
    elif name == "PARTIAL" and modifiers.window is None:
        cursor.space()
        modifiers.window = read_window(cursor)
    else:
        cursor.fail("unknown or repeated modifier")


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
        case "SORT":
            return sort(cursor, tag, uid=True)
        case "THREAD":
            return thread(cursor, tag, uid=True)
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


# RFC 10022 §4: uidbatches = "UIDBATCHES" SP nz-number [SP nz-number ":" nz-number]
def uidbatches(cursor: Cursor, tag: str) -> UidBatches:
    cursor.space()
    size = cursor.nz_number()
    if not cursor.more():
        return UidBatches(tag, size)
    first = cursor.nz_number()
    cursor.take(b":")
    return UidBatches(tag, size, (first, cursor.nz_number()))
