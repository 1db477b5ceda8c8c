"""Sequence sets: parsed, resolved against a mailbox, and written back compactly.

RFC 9051 §9 (sequence-set, uid-set, seq-last-command). A set is kept as the ranges that the
client wrote; a range as wide as 1:4294967295 is never expanded. Resolving gives *slices*: pairs
(start, stop) of positions in the mailbox's ascending uid array, where position p is message
sequence number p + 1. So one form serves both numberings.

>>> from array import array
>>> chosen = SequenceSet(((2, 2), (4, STAR)))
>>> chosen.slices_of_uids(array("I", [1, 2, 5, 9]))
[(1, 4)]
>>> format_set([1, 2, 3, 5])
b'1:3,5'
"""

from __future__ import annotations

from array import array
from bisect import bisect_left, bisect_right
from collections.abc import Iterable, Sequence
from dataclasses import dataclass

# The place of "*" in a range: 0 is not a valid number in any sequence set.
STAR = 0

Range = tuple[int, int]
Slice = tuple[int, int]


@dataclass(frozen=True, slots=True)
class SequenceSet:
    """Ranges as written, in the client's order; `saved` is "$", the saved search result."""

    ranges: tuple[Range, ...]
    saved: bool = False

    @property
    def has_star(self) -> bool:
        return any(STAR in pair for pair in self.ranges)

    def resolved(self, largest: int) -> list[Range]:
        """Give ascending, disjoint inclusive ranges, with "*" replaced by `largest`.

        `largest` 0 stands for an empty mailbox: ranges with "*" then vanish.
        """
        pairs = []
        for low, high in self.ranges:
            if largest == 0 and STAR in (low, high):
                continue
            low, high = low or largest, high or largest
            pairs.append((low, high) if low <= high else (high, low))
        return merge_ranges(pairs)

    def exceeds(self, count: int) -> bool:
        """Tell whether, as sequence numbers, the set names a message above `count`.

        RFC 9051 §9, seq-number: naming a number above EXISTS is an error, to be answered BAD.
        Deviation from RFC 9051 §9: "*" and "1:*" in an empty mailbox just select nothing,
        because clients send `FETCH 1:*` after a SELECT without looking at EXISTS.
        """
        for low, high in self.ranges:
            if count == 0 and STAR in (low, high) and low + high <= 1:
                continue
            if low > count or high > count or count == 0:
                return True
        return False

    def slices_of_numbers(self, count: int) -> list[Slice]:
        """Resolve as sequence numbers in a mailbox of `count` messages; ascending, disjoint."""
        found = []
        for low, high in self.resolved(count):
            if low <= count:
                found.append((low - 1, min(high, count)))
        return found

    def slices_of_uids(self, uids: array[int]) -> list[Slice]:
        """Resolve as uids against the ascending `uids`; unknown uids are left out.

        RFC 9051 §6.4.9: `n:*` always includes the last message, also when n is above its uid.
        """
        return slices_in(self.resolved(uids[-1] if uids else 0), uids)


def merge_ranges(pairs: Iterable[Range]) -> list[Range]:
    """Sort inclusive ranges and join those that overlap or touch."""
    merged: list[Range] = []
    for low, high in sorted(pairs):
        if merged and low <= merged[-1][1] + 1:
            if high > merged[-1][1]:
                merged[-1] = (merged[-1][0], high)
        else:
            merged.append((low, high))
    return merged


def slices_in(ranges: Iterable[Range], uids: array[int]) -> list[Slice]:
    """Find ascending inclusive uid ranges in the ascending `uids`; joins adjacent slices."""
    found: list[Slice] = []
    start = 0
    for low, high in ranges:
        start = bisect_left(uids, low, start)
        stop = bisect_right(uids, high, start)
        if start == stop:
            continue
        if found and found[-1][1] == start:
            found[-1] = (found[-1][0], stop)
        else:
            found.append((start, stop))
        start = stop
    return found


def uids_at(slices: Iterable[Slice], uids: array[int]) -> array[int]:
    """Pick the uids at the given slices."""
    picked: array[int] = array("I")
    for start, stop in slices:
        picked += uids[start:stop]
    return picked


def ranges_of(numbers: Sequence[int]) -> list[Range]:
    """Join strictly ascending numbers into inclusive ranges."""
    if not numbers:
        return []
    ranges = []
    first = last = numbers[0]
    # A run without holes needs no walk: the common "everything" answer.
    if numbers[-1] - first + 1 == len(numbers):
        return [(first, numbers[-1])]
    for number in numbers:
        if number > last + 1:
            ranges.append((first, last))
            first = number
        last = number
    ranges.append((first, last))
    return ranges


def format_ranges(ranges: Iterable[Range]) -> bytes:
    """Write inclusive ranges as a sequence set: `2`, `4:6`, joined by commas."""
    return b",".join(
        [b"%d" % low if low == high else b"%d:%d" % (low, high) for low, high in ranges]
    )


def format_set(numbers: Sequence[int]) -> bytes:
    """Write strictly ascending numbers as the shortest sequence set."""
    return format_ranges(ranges_of(numbers))


def format_ordered(numbers: Sequence[int]) -> bytes:
    """Write numbers in their order, ascending runs as ranges (RFC 5267 §3.2)."""
    if isinstance(numbers, range) and numbers and numbers.step == 1:
        return format_ranges([(numbers[0], numbers[-1])])
    pairs: list[Range] = []
    for number in numbers:
        if pairs and number == pairs[-1][1] + 1:
            pairs[-1] = (pairs[-1][0], number)
        else:
            pairs.append((number, number))
    return format_ranges(pairs)


def format_split(ranges: Sequence[Range], limit: int = 4000) -> Iterable[bytes]:
    """Write ranges as several sets of at most about `limit` octets each (VANISHED, MODIFIED)."""
    # The longest range takes 22 octets with its comma.
    step = max(1, limit // 22)
    for at in range(0, len(ranges), step):
        yield format_ranges(ranges[at : at + step])
