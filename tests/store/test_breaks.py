"""Breaks of background work."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from pathlib import Path

import lmdb
import pytest

from mox.store import breaks
from mox.store.breaks import take_break


@pytest.fixture
def env(tmp_path: Path) -> Iterator[lmdb.Environment]:
    with lmdb.open(str(tmp_path)) as env:
        yield env


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


def commit(env: lmdb.Environment) -> None:
    with env.begin(write=True) as txn:
        txn.put(b"k", b"v")


def test_work_takes_its_share(env: lmdb.Environment, clock: Clock) -> None:
    take_break(env, 0.04, share=0.5, beside=0.1)
    assert clock.slept == [pytest.approx(0.04)]
    take_break(env, 0.04, share=0.2, beside=0.05)
    assert clock.slept[1:] == [pytest.approx(0.16)]


def test_others_have_their_turn_after_work_that_took_no_time(
    env: lmdb.Environment, clock: Clock
) -> None:
    take_break(env, 0.0, share=0.5, beside=0.1)
    assert clock.slept[0] > 0


def test_what_others_commit_makes_the_share_small(env: lmdb.Environment, clock: Clock) -> None:
    clock.happens = lambda: commit(env)
    take_break(env, 0.04, share=0.5, beside=0.1)
    assert clock.slept == [pytest.approx(0.04), pytest.approx(0.32)]
    assert 0.04 / (0.04 + sum(clock.slept)) == pytest.approx(0.1)


def test_a_step_that_hung_is_not_followed_by_minutes_of_rest(
    env: lmdb.Environment, clock: Clock
) -> None:
    clock.happens = lambda: commit(env)
    take_break(env, 60.0, share=0.5, beside=0.1)
    assert 0 < sum(clock.slept) <= 5


def test_own_commits_before_the_break_do_not_count(env: lmdb.Environment, clock: Clock) -> None:
    commit(env)
    take_break(env, 0.04, share=0.5, beside=0.1)
    assert len(clock.slept) == 1


def test_a_pause_is_never_negative(env: lmdb.Environment, clock: Clock) -> None:
    clock.happens = lambda: commit(env)
    take_break(env, 0.0, share=0.5, beside=0.1)
    assert min(clock.slept) >= 0
