"""When a batch of writes begins."""

from __future__ import annotations

from collections.abc import Callable, Iterator

import gevent
import pytest

from mox.store.gathering import Gathering

MOST = 5


class Begun:
    """What began, in the order in which it did."""

    def __init__(self) -> None:
        self.batches: list[list[int]] = []
        self.gathering = Gathering(self.batches.append, MOST, gevent.get_hub().loop)

    def until(self, condition: Callable[[], bool]) -> None:
        with gevent.Timeout(20):
            while not condition():
                gevent.sleep(0.001)

    def rest(self) -> None:
        """Let the loop come to rest a few times."""
        for _ in range(5):
            gevent.sleep(0.001)


@pytest.fixture
def begun() -> Iterator[Begun]:
    begun = Begun()
    yield begun
    begun.gathering.close()


def test_one_write_begins_when_the_loop_comes_to_rest(begun: Begun) -> None:
    begun.gathering.add(1)
    assert begun.batches == []
    begun.rest()
    assert begun.batches == [[1]]


def test_all_that_have_a_turn_before_get_into_the_same_batch(begun: Begun) -> None:
    def command(number: int) -> None:
        gevent.sleep(0)  # others have a turn in the middle of it
        begun.gathering.add(number)

    gevent.joinall([gevent.spawn(command, number) for number in range(4)], timeout=20)
    begun.rest()
    assert begun.batches == [[0, 1, 2, 3]]


def test_a_batch_gathers_while_another_is_under_way(begun: Begun) -> None:
    begun.gathering.add(1)
    begun.rest()
    begun.gathering.add(2)
    begun.rest()
    begun.gathering.add(3)
    begun.rest()
    assert begun.batches == [[1]]
    begun.gathering.done()
    begun.rest()
    assert begun.batches == [[1], [2, 3]]


def test_a_full_batch_begins_at_once_and_the_rest_waits(begun: Begun) -> None:
    for number in range(MOST):
        begun.gathering.add(number)
    assert begun.batches == [[0, 1, 2, 3, 4]]
    for number in range(MOST + 2):
        begun.gathering.add(number)
    begun.gathering.done()
    assert begun.batches[1:] == [[0, 1, 2, 3, 4]]
    begun.gathering.done()
    begun.rest()
    assert begun.batches[2:] == [[5, 6]]


def test_a_loop_that_never_rests_does_not_hold_a_write_up(begun: Begun) -> None:
    stop = False

    def work() -> None:
        # A turn as `give_turn` gives it: the loop goes round, and has something to do each time.
        while not stop:
            gevent.sleep(1e-6)

    worker = gevent.spawn(work)
    gevent.sleep(0)
    begun.gathering.add(1)
    begun.until(lambda: bool(begun.batches))
    assert begun.batches == [[1]]
    stop = True
    worker.join(timeout=20)


def test_the_end_begins_all_that_waits(begun: Begun) -> None:
    begun.gathering.add(1)
    begun.rest()
    for number in range(2, 9):
        begun.gathering.add(number)
    begun.gathering.flush()
    assert begun.batches == [[1], [2, 3, 4, 5, 6], [7, 8]]
    begun.gathering.done()
    begun.rest()
    assert len(begun.batches) == 3
