"""Turns for greenlets that have just been spawned, and for those that wait for a socket."""

from __future__ import annotations

import gevent
import gevent.socket

from mox.turns import give_turn, let_begin


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
