from __future__ import annotations

import socket
from ipaddress import ip_address

import gevent
import pytest

from mox.serving.dial import dial
from mox.serving.errors import ConnectionLost, ConnectionTimeout
from tests.serving.harness import DEADLINE_S, FakeContext, echo, listen_on, running

LOCAL = ip_address("127.0.0.1")


@pytest.mark.parametrize("ip", ["127.0.0.1", "::1"])
def test_dial_connects(ip: str) -> None:
    with running(echo, FakeContext([listen_on(ip=ip)])) as run:
        stream = dial(ip_address(ip), run.port, timeout_s=DEADLINE_S)
        stream.send(b"hello")
        assert stream.recv(DEADLINE_S) == b"hello"
        stream.close()


def test_dial_from_a_source_address() -> None:
    with running(echo, FakeContext([listen_on()])) as run:
        source = ip_address("127.0.0.9")
        stream = dial(LOCAL, run.port, timeout_s=DEADLINE_S, source=source)
        assert stream.local_ip == source
        stream.close()


def test_refused_is_lost() -> None:
    with socket.socket() as sock:
        sock.bind(("127.0.0.1", 0))
        port = sock.getsockname()[1]
    with pytest.raises(ConnectionLost, match="refused"):
        dial(LOCAL, port, timeout_s=DEADLINE_S)


def test_source_that_is_not_ours_is_lost() -> None:
    with pytest.raises(ConnectionLost):
        dial(LOCAL, 1, timeout_s=DEADLINE_S, source=ip_address("192.0.2.1"))


def test_no_answer_times_out() -> None:
    # A full backlog: the kernel lets further connections wait.
    with socket.socket() as listener:
        listener.bind(("127.0.0.1", 0))
        listener.listen(0)
        port = listener.getsockname()[1]
        first = dial(LOCAL, port, timeout_s=DEADLINE_S)
        with pytest.raises(ConnectionTimeout):
            dial(LOCAL, port, timeout_s=0.05)
        first.close()


def test_dialling_leaves_the_loop_running() -> None:
    with running(echo, FakeContext([listen_on()])) as run:
        made = [gevent.spawn(dial, LOCAL, run.port, timeout_s=DEADLINE_S) for _ in range(20)]
        gevent.joinall(made, timeout=DEADLINE_S, raise_error=True)
        for greenlet in made:
            greenlet.value.close()
