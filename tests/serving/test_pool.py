from __future__ import annotations

import threading

import gevent
import pytest

from mox.serving.pool import PoolBusy, WorkPool
from tests.serving.harness import until


def test_results_and_errors_come_back() -> None:
    pool = WorkPool(2, 10)
    assert pool.run(lambda a, b: a + b, 1, b=2) == 3
    with pytest.raises(ZeroDivisionError):
        pool.run(lambda: 1 // 0)


def test_work_runs_beside_the_loop_and_the_queue_is_bounded() -> None:
    pool = WorkPool(1, 1)
    go = threading.Event()
    waiting = [gevent.spawn(pool.run, go.wait, 10) for _ in range(2)]
    gevent.sleep(0.01)
    with pytest.raises(PoolBusy):
        pool.run(go.wait)
    go.set()
    gevent.joinall(waiting, timeout=10, raise_error=True)
    assert [w.value for w in waiting] == [True, True]
    assert pool.run(lambda: "free again") == "free again"


def test_work_of_a_caller_that_went_away_still_counts() -> None:
    pool = WorkPool(1, 0)
    go = threading.Event()
    waiting = gevent.spawn(pool.run, go.wait, 10)
    gevent.sleep(0.01)
    waiting.kill()
    with pytest.raises(PoolBusy):
        pool.run(go.wait)
    go.set()
    until(lambda: pool._running == 0)
    assert pool.run(lambda: 1) == 1
