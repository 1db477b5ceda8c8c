"""Connections that wait without a greenlet."""

from __future__ import annotations

import gc
from collections.abc import Callable

import gevent
import pytest
from greenlet import greenlet

from mox.serving.connection import Connection, Wake
from mox.serving.parking import Event, Parked
from tests.serving.harness import (
    FakeCertificates,
    FakeContext,
    client_tls,
    connect,
    in_thread,
    listen_on,
    logged,
    read_all,
    running,
    tls_context,
    until,
)

Handler = Callable[[Connection], Parked | None]


def parking_handler(events: list[str], wake: Wake | None = None, timeout_s: float = 10) -> Handler:
    """Parks at once and again after each line, which it answers; ends at end or time."""

    def go_on(conn: Connection, event: Event) -> Parked | None:
        events.append(event)
        if event == "timeout":
            conn.send(b"late")
            return None
        if conn.draining:
            conn.send(b"bye")
            return None
        if wake is not None and wake.rung:
            wake.clear()
            conn.send(b"rung")
            return parked(conn)
        data = conn.recv(5)
        if not data:
            return None
        conn.send(data.upper())
        return parked(conn)

    def parked(conn: Connection) -> Parked:
        return Parked(lambda event: go_on(conn, event), timeout_s, wake)

    return parked


@pytest.mark.parametrize("tls", [False, True])
def test_bytes_resume_a_parked_connection(tls: bool) -> None:
    events: list[str] = []
    context = FakeContext(
        [listen_on("imaps" if tls else "imap", implicit_tls=tls)],
        certificates=FakeCertificates(tls_context()),
    )

    def talk(port: int) -> list[bytes]:
        sock = connect(port)
        if tls:
            sock = client_tls().wrap_socket(sock)
        with sock:
            answers = []
            for line in (b"a", b"bc", b"def"):
                sock.sendall(line)
                answers.append(sock.recv(100))
            return answers

    with running(parking_handler(events), context) as run:
        assert in_thread(talk, run.port) == [b"A", b"BC", b"DEF"]
        until(lambda: len(events) == 4)
    assert set(events) <= {"ready", "interrupt"}


def test_a_parked_connection_has_no_greenlet() -> None:
    with running(parking_handler([]), FakeContext([listen_on()])) as run:
        before = _greenlets()
        socks = [connect(run.port) for _ in range(20)]
        gevent.sleep(0.1)
        assert _greenlets() <= before + 2
        for sock in socks:
            sock.close()


def _greenlets() -> int:
    gc.collect()
    return sum(isinstance(each, greenlet) and not each.dead for each in gc.get_objects())


def test_a_ring_resumes_it_also_when_it_came_before() -> None:
    wake, events = Wake(), []
    wake.ring()
    with (
        running(parking_handler(events, wake), FakeContext([listen_on()])) as run,
        connect(run.port) as sock,
    ):
        assert in_thread(sock.recv, 100) == b"rung"
        wake.ring()
        wake.ring()
        assert in_thread(sock.recv, 100) == b"rung"


def test_time_runs_out() -> None:
    events: list[str] = []
    with (
        running(parking_handler(events, timeout_s=0.05), FakeContext([listen_on()])) as run,
        connect(run.port) as sock,
    ):
        assert in_thread(read_all, sock) == b"late"
    assert events == ["timeout"]


def test_draining_resumes_it() -> None:
    context = FakeContext([listen_on()])
    with running(parking_handler([]), context) as run, connect(run.port) as sock:
        sock.sendall(b"x")
        assert in_thread(sock.recv, 100) == b"X"
        context.stopping.set()
        assert in_thread(read_all, sock) == b"bye"


def test_a_client_that_goes_away_ends_it() -> None:
    events: list[str] = []
    with running(parking_handler(events), FakeContext([listen_on()])) as run:
        with connect(run.port) as sock:
            sock.sendall(b"x")
            assert in_thread(sock.recv, 100) == b"X"
        until(lambda: len(events) == 2)


def test_an_error_after_parking_is_logged_and_closes() -> None:
    def fail(event: Event) -> Parked | None:
        raise ZeroDivisionError

    def handler(conn: Connection) -> Parked | None:
        return Parked(fail, 10)

    with (
        logged() as lines,
        running(handler, FakeContext([listen_on()])) as run,
        connect(run.port) as sock,
    ):
        sock.sendall(b"x")
        assert in_thread(read_all, sock) == b""
        until(lambda: lines.containing("unexpected reason"))
