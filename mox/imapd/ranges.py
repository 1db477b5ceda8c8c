"""Small set operations on ascending, disjoint ranges of numbers."""

from __future__ import annotations

from collections.abc import Iterable

from mox.imap.searchcommands import Window
from mox.imap.sequence import Range, Slice


def common(first: list[Range], second: list[Range]) -> list[Range]:
    """What two lists of ascending inclusive ranges share."""
    return [
        (low, high - 1)
        for low, high in common_slices(
            [(low, high + 1) for low, high in first], [(low, high + 1) for low, high in second]
        )
    ]


def common_slices(first: list[Slice], second: list[Slice]) -> list[Slice]:
    """What two lists of ascending half-open ranges share."""
    found: list[Slice] = []
    left = right = 0
    while left < len(first) and right < len(second):
        start = max(first[left][0], second[right][0])
        stop = min(first[left][1], second[right][1])
        if start < stop:
            found.append((start, stop))
        if first[left][1] < second[right][1]:
            left += 1
        else:
            right += 1
    return found


def without(ranges: list[Range], taken: Iterable[int]) -> list[Range]:
    """`ranges` without the numbers in `taken`, which all lie in them; both ascending."""
    left: list[Range] = []
    waiting = iter(ranges)
    low, high = next(waiting, (0, -1))
    for number in taken:
        while number > high:
            left.append((low, high))
            low, high = next(waiting)
        if low < number:
            left.append((low, number - 1))
        low = number + 1
    left.append((low, high))
    left += waiting
    return [(low, high) for low, high in left if low <= high]


def within(slices: list[Slice], window: Window) -> list[Slice]:
    """The messages of `slices` that a window on them shows (RFC 9394 §3.3)."""
    low, high = sorted((abs(window[0]), abs(window[1])))
    count = sum(stop - start for start, stop in slices)
    first, last = (low, high) if window[0] > 0 else (count - high + 1, count - low + 1)
    found: list[Slice] = []
    before = 0
    for start, stop in slices:
        begin = start + max(first - 1 - before, 0)
        end = min(stop, start + last - before)
        if begin < end:
            found.append((begin, end))
        before += stop - start
    return found
