"""Sending a little to a parked peer: what the kernel does not take goes first the next time."""

from __future__ import annotations

import socket

import gevent
import pytest

from mox.serving.errors import ConnectionLost
from mox.serving.stream import Stream
from tests.serving.harness import client_tls, connect, in_thread, listen_on, tls_context, until

LINES = [b"%06d %s\r\n" % (number, b"x" * 1000) for number in range(8000)]


def pair(*, tls: bool) -> tuple[Stream, socket.socket]:
    listen = listen_on()
    client = in_thread(connect, listen.port)
    accepted, _ = listen.sock.accept()
    listen.sock.close()
    stream = Stream(accepted)
    client.settimeout(10)
    if tls:
        server = gevent.spawn(stream.start_tls, tls_context())
        client = in_thread(lambda: client_tls().wrap_socket(client))
        server.get(timeout=10)
    return stream, client


@pytest.mark.parametrize("tls", [False, True])
def test_what_is_left_is_sent_in_order_by_the_next_send(tls: bool) -> None:
    stream, client = pair(tls=tls)
    assert stream.send_now(LINES[0])
    assert not stream.has_unsent
    given = 1
    while stream.send_now(LINES[given]):
        given += 1
    assert stream.has_unsent
    assert not stream.send_now(LINES[given + 1])
    expected = b"".join(LINES[: given + 2]) + b"end"
    sender = gevent.spawn(stream.send, b"end")
    received = b""
    while len(received) < len(expected):
        received += in_thread(lambda: client.recv(1 << 20))
    sender.get(timeout=10)
    assert received == expected
    assert not stream.has_unsent
    assert stream.bytes_sent == len(expected)
    stream.close()
    client.close()


def test_a_send_of_nothing_sends_what_is_left() -> None:
    stream, client = pair(tls=True)
    given = 0
    while stream.send_now(LINES[given]):
        given += 1
    sender = gevent.spawn(stream.send, b"")
    size, received = len(LINES[0]) * (given + 1), 0
    while received < size:
        received += len(in_thread(lambda: client.recv(1 << 20)))
    sender.get(timeout=10)
    assert received == size
    assert not stream.has_unsent
    stream.close()
    client.close()


def test_a_peer_that_is_gone_is_lost() -> None:
    stream, client = pair(tls=False)
    client.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, b"\1\0\0\0\0\0\0\0")
    client.close()

    def is_lost() -> bool:
        try:
            stream.send_now(b"x")
        except ConnectionLost:
            return True
        return False

    until(is_lost)
    stream.close()
    with pytest.raises(ConnectionLost):
        stream.send_now(b"x")
