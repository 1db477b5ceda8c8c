from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

import lmdb
import pytest
from hypothesis import given
from hypothesis import strategies as st

from mox.serving.open_counts import change_open, clear_slot, open_of
from mox.serving.windows import (
    Sweeper,
    Window,
    _delete_range,
    add_within,
    count_of,
    counter_key,
    set_count,
    would_fit,
)


@pytest.fixture
def txn(tmp_path: Path) -> Iterator[lmdb.Transaction]:
    with lmdb.open(str(tmp_path / "db")) as env, env.begin(write=True) as txn:
        yield txn


def test_add_is_all_or_nothing(txn: lmdb.Transaction) -> None:
    assert add_within(txn, 2, [(b"a", 10), (b"b", 3)])
    assert not would_fit(txn, 2, [(b"a", 10), (b"b", 3)])
    assert not add_within(txn, 2, [(b"a", 10), (b"b", 3)])
    assert (count_of(txn, b"a"), count_of(txn, b"b")) == (2, 2)


def test_zero_leaves_no_record(txn: lmdb.Transaction) -> None:
    set_count(txn, b"a", 1)
    set_count(txn, b"a", 0)
    set_count(txn, b"b", -3)
    assert txn.stat()["entries"] == 0


@given(
    st.lists(
        st.tuples(st.sampled_from(["a", "ab", "b"]), st.integers(0, 3), st.binary(max_size=100)),
        unique=True,
        max_size=20,
    )
)
def test_keys_of_different_counters_differ(counters: list[tuple[str, int, bytes]]) -> None:
    keys = {counter_key(kind, Window(60, 1), 60.0 * n, thing) for kind, n, thing in counters}
    assert len(keys) == len(counters)


def test_sweep_is_bounded_and_goes_on(txn: lmdb.Transaction) -> None:
    window = Window(60, 10)
    for n in range(30):
        set_count(txn, counter_key("x", window, 0.0, b"%d" % n), 1)
    start, end = b"wx\0", counter_key("x", window, 60.0, b"")
    assert not _delete_range(txn, start, end, 20)
    assert txn.stat()["entries"] == 10
    Sweeper().sweep(txn, "x", window, 60.0)
    assert txn.stat()["entries"] == 0


def test_sweep_looks_once_per_window(txn: lmdb.Transaction) -> None:
    sweeper, window = Sweeper(), Window(60, 10)
    sweeper.sweep(txn, "x", window, 120.0)
    set_count(txn, counter_key("x", window, 0.0, b"late"), 1)
    sweeper.sweep(txn, "x", window, 130.0)
    assert txn.stat()["entries"] == 1
    sweeper.sweep(txn, "x", window, 180.0)
    assert txn.stat()["entries"] == 0


def test_open_counts_are_summed_over_slots_and_cleared_by_slot(txn: lmdb.Transaction) -> None:
    for slot in (1, 2, 256):
        for network in (b"n" * 17, b"m" * 17):
            change_open(txn, "smtp", network, slot, 2)
    change_open(txn, "imap", b"n" * 17, 1, 1)
    set_count(txn, b"wx", 7)
    assert open_of(txn, "smtp", b"n" * 17) == 6
    clear_slot(txn, 1)
    assert open_of(txn, "smtp", b"n" * 17) == 4
    assert open_of(txn, "imap", b"n" * 17) == 0
    clear_slot(txn, 2)
    clear_slot(txn, 256)
    assert txn.stat()["entries"] == 1
