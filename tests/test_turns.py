"""A turn of the event loop reaches who waits for a socket."""

from __future__ import annotations

import gevent
import gevent.socket

from mox.turns import give_turn


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
