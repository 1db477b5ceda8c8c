"""GETMETADATA and SETMETADATA (RFC 5464 §5), and LIST's METADATA return option (RFC 9590 §5)."""

from __future__ import annotations

from mox.imap.grammar.cursor import Cursor, unique
from mox.imap.grammar.mailbox import mailbox
from mox.imap.metadata import (
    MAX_NAMED,
    Depth,
    Entries,
    EntryError,
    GetMetadata,
    SetMetadata,
    Value,
    normal_pattern,
)

_DEPTHS = {depth.value: depth for depth in Depth}


# getmetadata = "GETMETADATA" [SP getmetadata-options] SP mailbox SP entries
def getmetadata(cursor: Cursor, tag: str) -> GetMetadata:
    cursor.space()
    depth, max_size = Depth.NONE, None
    if cursor.peek() == b"(":
        depth, max_size = _options(cursor)
        cursor.space()
    name = mailbox(cursor)
    cursor.space()
    return GetMetadata(tag, name, Entries(_names(cursor), depth, max_size))


def entries(cursor: Cursor) -> Entries:
    """Read what follows METADATA among LIST's return options."""
    cursor.space()
    return Entries(_names(cursor))


def _options(cursor: Cursor) -> tuple[Depth, int | None]:
    depth, max_size = Depth.NONE, None
    for option in cursor.parenthesised(lambda: _option(cursor)):
        if isinstance(option, Depth):
            depth = option
        else:
            max_size = option
    return depth, max_size


def _option(cursor: Cursor) -> Depth | int:
    name = cursor.word("DEPTH or MAXSIZE")
    cursor.space()
    if name == "MAXSIZE":
        return cursor.number()
    depth = _DEPTHS.get(cursor.word("a depth")) if name == "DEPTH" else None
    if depth is None:
        cursor.fail("unknown option")
    return depth


def _names(cursor: Cursor) -> tuple[str, ...]:
    if cursor.peek() == b"(":
        names = cursor.parenthesised(lambda: _pattern(cursor))
    else:
        names = [_pattern(cursor)]
    if len(names) > MAX_NAMED:
        cursor.fail("too many entries")
    return unique(names)


def _pattern(cursor: Cursor) -> str:
    try:
        return normal_pattern(_entry(cursor))
    except EntryError as e:
        cursor.fail(str(e))


def _entry(cursor: Cursor) -> str:
    return cursor.unicode(cursor.astring("an entry"), "entry")


# setmetadata = "SETMETADATA" SP mailbox SP entry-values
def setmetadata(cursor: Cursor, tag: str) -> SetMetadata:
    cursor.space()
    name = mailbox(cursor)
    cursor.space()
    values = cursor.parenthesised(lambda: _entry_value(cursor))
    if len(values) > MAX_NAMED:
        cursor.fail("too many entries")
    return SetMetadata(tag, name, tuple(values))


def _entry_value(cursor: Cursor) -> tuple[str, Value | None]:
    entry = _entry(cursor)
    cursor.space()
    # RFC 5464 §5: value = nstring / literal8
    literal = cursor.maybe_literal()
    if literal is not None:
        return entry, Value(literal.data, literal.binary)
    text = cursor.nstring()
    return entry, None if text is None else Value(text)
