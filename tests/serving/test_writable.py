from __future__ import annotations

import socket

import gevent

from mox.serving.stream import Stream
from tests.serving.harness import connect, in_thread, listen_on, until


def test_stream_is_writable_until_the_peer_stops_taking() -> None:
    listen = listen_on()
    client = in_thread(connect, listen.port)
    accepted, _ = listen.sock.accept()
    stream = Stream(accepted)
    assert stream.is_writable()
    sender = gevent.spawn(stream.send, bytes(32 << 20))
    until(lambda: not stream.is_writable())
    client.settimeout(10)
    received = 0
    while received < 32 << 20:
        received += in_thread(lambda: len(client.recv(1 << 20)))
    sender.get(timeout=10)
    until(stream.is_writable)
    client.shutdown(socket.SHUT_RDWR)
    stream.close()
    assert not stream.is_writable()
    client.close()
    listen.sock.close()
