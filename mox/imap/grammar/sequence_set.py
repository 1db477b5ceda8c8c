"""Sequence sets as clients write them (RFC 9051 §9: sequence-set, seq-range, seq-last-command)."""

from __future__ import annotations

import re

from mox.imap.grammar.cursor import MAX_NUMBER, Cursor
from mox.imap.sequence import STAR, SequenceSet

# seq-number = nz-number / "*"; seq-range = seq-number ":" seq-number
_SET = re.compile(rb"[0-9*:,]++")
_RANGE = re.compile(rb"(\*|[1-9][0-9]{0,9})(?::(\*|[1-9][0-9]{0,9}))?")


def sequence_set(cursor: Cursor, *, saved: bool = True, star: bool = True) -> SequenceSet:
    """Read a sequence set; `saved` allows "$", `star` allows "*"."""
    if saved and cursor.maybe(b"$"):
        return SequenceSet((), saved=True)
    pieces = cursor.match(_SET, "a sequence set").split(b",")
    if len(pieces) > cursor.limits.set_ranges:
        cursor.fail("too many ranges in a sequence set")
    found = SequenceSet(tuple([_range(cursor, piece) for piece in pieces]))
    if not star and found.has_star:
        cursor.fail("'*' is not allowed here")
    return found


def _range(cursor: Cursor, piece: bytes) -> tuple[int, int]:
    match = _RANGE.fullmatch(piece)
    if match is None:
        cursor.fail("malformed sequence set")
    low = _number(cursor, match[1])
    return low, low if match[2] is None else _number(cursor, match[2])


def _number(cursor: Cursor, digits: bytes) -> int:
    if digits == b"*":
        return STAR
    number = int(digits)
    if number > MAX_NUMBER:
        cursor.fail("number too large in a sequence set")
    return number
