from __future__ import annotations

from hypothesis import given
from hypothesis import strategies as st

from mox.imap.sequence import Range, ranges_of
from mox.imapd.ranges import common, common_slices, without

NUMBERS = st.sets(st.integers(1, 60))


def ranges(numbers: set[int]) -> list[Range]:
    return ranges_of(sorted(numbers))


def numbers(found: list[Range]) -> list[int]:
    return [n for low, high in found for n in range(low, high + 1)]


@given(NUMBERS, NUMBERS)
def test_common(one: set[int], two: set[int]) -> None:
    assert numbers(common(ranges(one), ranges(two))) == sorted(one & two)


@given(NUMBERS, NUMBERS)
def test_common_slices(one: set[int], two: set[int]) -> None:
    slices = [[(low, high + 1) for low, high in ranges(each)] for each in (one, two)]
    found = common_slices(*slices)
    assert [n for start, stop in found for n in range(start, stop)] == sorted(one & two)


@given(NUMBERS, NUMBERS)
def test_without(whole: set[int], some: set[int]) -> None:
    taken = sorted(whole & some)
    assert numbers(without(ranges(whole), taken)) == sorted(whole - some)
