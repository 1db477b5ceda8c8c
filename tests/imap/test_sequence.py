from __future__ import annotations

import itertools
import time
from array import array

import pytest
from hypothesis import given
from hypothesis import strategies as st

from mox.imap.sequence import (
    STAR,
    SequenceSet,
    format_ranges,
    format_set,
    format_split,
    merge_ranges,
    ranges_of,
    uids_at,
)

UIDS = array("I", [2, 4, 5, 9, 4294967295])


@pytest.mark.parametrize(
    ("ranges", "expected"),
    [
        (((1, 1),), []),
        (((2, 2),), [(0, 1)]),
        (((1, 4294967295),), [(0, 5)]),
        (((STAR, STAR),), [(4, 5)]),
        (((9, 3),), [(1, 4)]),
        (((4, 5), (2, 2)), [(0, 3)]),
        (((6, 8),), []),
        (((STAR, 5),), [(2, 5)]),
        (((2, 2), (9, 9), (2, 3)), [(0, 1), (3, 4)]),
    ],
)
def test_uids_resolve_to_slices(ranges, expected):
    assert SequenceSet(ranges).slices_of_uids(UIDS) == expected


def test_star_range_above_the_last_uid_gives_the_last_message():
    assert SequenceSet(((100, STAR),)).slices_of_uids(array("I", [1, 2, 3])) == [(2, 3)]


@pytest.mark.parametrize("ranges", [((1, STAR),), ((STAR, STAR),), ((1, 5),), ()])
def test_empty_mailbox_has_no_slices(ranges):
    assert SequenceSet(ranges).slices_of_uids(array("I")) == []
    assert SequenceSet(ranges).slices_of_numbers(0) == []


@pytest.mark.parametrize(
    ("ranges", "count", "expected"),
    [
        (((1, STAR),), 3, [(0, 3)]),
        (((STAR, 1),), 3, [(0, 3)]),
        (((2, 2), (3, 3)), 3, [(1, 3)]),
        (((3, 1),), 3, [(0, 3)]),
        (((1, 1), (3, 3)), 3, [(0, 1), (2, 3)]),
        (((2, 9),), 3, [(1, 3)]),
        (((8, 9),), 3, []),
    ],
)
def test_numbers_resolve_to_slices(ranges, count, expected):
    assert SequenceSet(ranges).slices_of_numbers(count) == expected


@pytest.mark.parametrize(
    ("ranges", "count", "expected"),
    [
        (((1, 3),), 3, False),
        (((4, 4),), 3, True),
        (((4, STAR),), 3, True),
        (((1, STAR),), 0, False),
        (((STAR, 1),), 0, False),
        (((STAR, STAR),), 0, False),
        (((2, STAR),), 0, True),
        (((1, 1),), 0, True),
        (((1, 4294967295),), 3, True),
    ],
)
def test_numbers_above_exists_are_noticed(ranges, count, expected):
    assert SequenceSet(ranges).exceeds(count) is expected


@given(st.lists(st.tuples(st.integers(0, 30), st.integers(0, 30))), st.sets(st.integers(1, 30)))
def test_slices_equal_naive_membership(ranges, members):
    uids = array("I", sorted(members))
    chosen = SequenceSet(tuple(ranges))
    largest = uids[-1] if uids else 0
    wanted = {
        uid
        for low, high in ranges
        for uid in members
        if min(low or largest, high or largest) <= uid <= max(low or largest, high or largest)
    }
    slices = chosen.slices_of_uids(uids)
    assert list(uids_at(slices, uids)) == sorted(wanted)
    assert all(a[1] < b[0] for a, b in itertools.pairwise(slices))


@given(st.sets(st.integers(1, 200)))
def test_written_set_means_the_same_numbers(numbers):
    ordered = sorted(numbers)
    expanded = [n for low, high in ranges_of(ordered) for n in range(low, high + 1)]
    assert expanded == ordered


@pytest.mark.parametrize(
    ("numbers", "expected"),
    [
        ([], b""),
        ([7], b"7"),
        ([1, 2], b"1:2"),
        ([1, 2, 3, 5], b"1:3,5"),
        ([1, 3, 5, 6], b"1,3,5:6"),
        ([4294967294, 4294967295], b"4294967294:4294967295"),
    ],
)
def test_sets_are_written_compactly(numbers, expected):
    assert format_set(numbers) == expected


def test_overlapping_and_touching_ranges_merge():
    assert merge_ranges([(5, 9), (1, 2), (3, 4), (8, 12), (20, 20)]) == [(1, 12), (20, 20)]


def test_long_sets_are_split():
    ranges = [(n, n) for n in range(1, 4000, 2)]
    pieces = list(format_split(ranges, 4000))
    assert len(pieces) > 1
    assert max(map(len, pieces)) <= 4000
    assert b",".join(pieces) == format_ranges(ranges)


def test_hundred_thousand_numbers_are_fast():
    scattered = list(range(1, 200_000, 2))
    dense = array("I", range(1, 100_001))
    start = time.perf_counter()
    assert len(format_set(scattered)) > 100_000
    assert format_set(dense) == b"1:100000"
    assert time.perf_counter() - start < 1.0


def test_huge_ranges_are_never_expanded():
    chosen = SequenceSet(((1, 4294967295),) * 30_000)
    start = time.perf_counter()
    assert chosen.slices_of_uids(UIDS) == [(0, 5)]
    assert time.perf_counter() - start < 1.0
