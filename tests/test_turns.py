"""Turns of the event loop: for who has just been spawned, who waits, and amid long work."""

from __future__ import annotations

from collections.abc import Iterator

import gevent
import gevent.socket

from mox.turns import give_turn, in_turns, let_begin


def test_spawned_greenlets_begin_and_waiting_ones_go_on_waiting() -> None:
    begun: list[int] = []

    def begin(number: int) -> None:
        begun.append(number)
        gevent.sleep(60)
        begun.append(-number)

    greenlets = [gevent.spawn(begin, number) for number in (1, 2, 3)]
    assert begun == []
    let_begin()
    assert begun == [1, 2, 3]
    gevent.killall(greenlets)


def test_a_greenlet_that_waits_for_a_socket_gets_its_turn() -> None:
    ours, theirs = gevent.socket.socketpair()
    with ours, theirs:
        heard: list[bytes] = []
        listener = gevent.spawn(lambda: heard.append(theirs.recv(10)))
        give_turn()
        ours.send(b"hello")
        for _ in range(3):
            give_turn()
        listener.kill()
    assert heard == [b"hello"]


def test_others_run_between_the_steps_of_long_work() -> None:
    happened: list[str] = []

    def steps() -> Iterator[None]:
        for number in range(3):
            happened.append(f"step {number}")
            yield

    def other() -> None:
        for _ in range(2):
            happened.append("other")
            gevent.sleep(0)

    greenlet = gevent.spawn(other)
    in_turns(steps())
    greenlet.join()
    assert happened[:2] == ["step 0", "other"]
    assert [each for each in happened if each != "other"] == ["step 0", "step 1", "step 2"]
