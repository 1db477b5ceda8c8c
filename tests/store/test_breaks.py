"""Breaks of background work."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from pathlib import Path

import pytest

from mox.store import breaks
from mox.store.breaks import take_break
from mox.store.env import Databases, open_environment
from mox.store.notify import last_touched
from mox.store.records import KEY_A, KEY_SEQ


@pytest.fixture
def dbs(tmp_path: Path) -> Iterator[Databases]:
    dbs = open_environment(tmp_path)
    yield dbs
    dbs.env.close()


class Clock:
    """Sleeps take no time, and something can happen in them."""

    def __init__(self, monkeypatch: pytest.MonkeyPatch) -> None:
        self.slept: list[float] = []
        self.happens: Callable[[], None] = lambda: None
        monkeypatch.setattr(breaks.gevent, "sleep", self.sleep)

    def sleep(self, seconds: float) -> None:
        self.slept.append(seconds)
        self.happens()


@pytest.fixture
def clock(monkeypatch: pytest.MonkeyPatch) -> Clock:
    return Clock(monkeypatch)


def touch(dbs: Databases) -> None:
    """Commit a change of an account, as the committer does."""
    key = KEY_SEQ.pack(last_touched(dbs) + 1)
    with dbs.env.begin(write=True) as txn:
        txn.put(key, KEY_A.pack(1), db=dbs.touched)


def write_text(dbs: Databases) -> None:
    """Commit what no client sees, as background work does."""
    with dbs.env.begin(write=True) as txn:
        txn.put(b"k", b"v", db=dbs.text)


def test_work_takes_its_share(dbs: Databases, clock: Clock) -> None:
    take_break(dbs, 0.04, share=0.5, beside=0.1)
    assert clock.slept == [pytest.approx(0.04)]
    take_break(dbs, 0.04, share=0.2, beside=0.05)
    assert clock.slept[1:] == [pytest.approx(0.16)]


def test_others_have_their_turn_after_work_that_took_no_time(dbs: Databases, clock: Clock) -> None:
    take_break(dbs, 0.0, share=0.5, beside=0.1)
    assert clock.slept[0] > 0


def test_what_others_change_makes_the_share_small(dbs: Databases, clock: Clock) -> None:
    clock.happens = lambda: touch(dbs)
    take_break(dbs, 0.04, share=0.5, beside=0.1)
    assert clock.slept == [pytest.approx(0.04), pytest.approx(0.32)]
    assert 0.04 / (0.04 + sum(clock.slept)) == pytest.approx(0.1)


def test_a_step_that_hung_is_not_followed_by_minutes_of_rest(dbs: Databases, clock: Clock) -> None:
    clock.happens = lambda: touch(dbs)
    take_break(dbs, 60.0, share=0.5, beside=0.1)
    assert 0 < sum(clock.slept) <= 5


def test_other_background_work_is_no_reason_for_longer_rest(dbs: Databases, clock: Clock) -> None:
    clock.happens = lambda: write_text(dbs)
    take_break(dbs, 0.04, share=0.5, beside=0.1)
    assert len(clock.slept) == 1


def test_changes_before_the_break_do_not_count(dbs: Databases, clock: Clock) -> None:
    touch(dbs)
    take_break(dbs, 0.04, share=0.5, beside=0.1)
    assert len(clock.slept) == 1


def test_a_pause_is_never_negative(dbs: Databases, clock: Clock) -> None:
    clock.happens = lambda: touch(dbs)
    take_break(dbs, 0.0, share=0.5, beside=0.1)
    assert min(clock.slept) >= 0
