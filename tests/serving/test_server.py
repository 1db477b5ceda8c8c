from __future__ import annotations

import os
import resource
import socket
import ssl
import struct
from dataclasses import replace
from ipaddress import ip_address
from pathlib import Path

import gevent
import pytest

from mox.serving import server as server_module
from mox.serving.connection import Connection, ConnectionDraining, Wake
from mox.serving.limits import Limits
from mox.store.ephemeral import open_ephemeral
from tests.serving.harness import (
    ADMISSION,
    DEADLINE_S,
    FakeCertificates,
    FakeContext,
    client_tls,
    connect,
    echo,
    echo_line,
    in_thread,
    listen_on,
    logged,
    read_all,
    running,
    say,
    say_tls,
    tls_context,
    until,
)
from tests.store.test_ephemeral import close


def test_connections_are_served_side_by_side() -> None:
    with running(echo, FakeContext([listen_on()])) as run, connect(run.port) as idle:
        assert in_thread(say, run.port, b"hello") == b"hello"
        idle.sendall(b"still here")
        assert in_thread(idle.recv, 100) == b"still here"


def test_handler_gets_the_facts() -> None:
    seen: list[Connection] = []
    with running(seen.append, FakeContext([listen_on("submission")], slot=3)) as run:
        for _ in range(2):
            assert in_thread(say, run.port, b"") == b""
    first, second = seen
    assert str(first.remote_ip) == "127.0.0.1"
    assert (first.local_port, first.listen.service) == (run.port, "submission")
    assert first.cid != second.cid
    assert first.cid % 256 == second.cid % 256 == 3
    assert first.tls is None and first.tls_context is None


def test_ipv6_is_served() -> None:
    with running(echo, FakeContext([listen_on(ip="::1")])) as run:

        def client() -> bytes:
            with socket.create_connection(("::1", run.port), DEADLINE_S) as sock:
                sock.sendall(b"six")
                sock.shutdown(socket.SHUT_WR)
                return read_all(sock)

        assert in_thread(client) == b"six"


def test_several_sockets_are_served() -> None:
    listens = [listen_on("smtp"), listen_on("submission")]
    with running(echo, FakeContext(listens)):
        for listen in listens:
            assert in_thread(say, listen.port, b"x") == b"x"


def test_sockets_accepted_have_no_delay_and_keepalive() -> None:
    options: list[int] = []

    def handler(conn: Connection) -> None:
        sock = conn._socket()
        options.append(sock.getsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY))
        options.append(sock.getsockopt(socket.SOL_SOCKET, socket.SO_KEEPALIVE))
        options.append(sock.getsockopt(socket.IPPROTO_TCP, socket.TCP_KEEPIDLE))

    with running(handler, FakeContext([listen_on()])) as run:
        in_thread(say, run.port, b"")
    assert options == [1, 1, 300]


# Ends.


def test_an_unexpected_error_is_logged_counted_and_closes() -> None:
    def handler(conn: Connection) -> None:
        raise ZeroDivisionError

    counter = server_module.metrics.PANICS.labels("smtpserver")
    before = counter._value.get()
    with logged() as log, running(handler, FakeContext([listen_on()])) as run:
        assert in_thread(say, run.port, b"x") == b""
        assert in_thread(say, run.port, b"x") == b""
    assert counter._value.get() == before + 2
    # The log is the process's: a greenlet that another test left may write to it, too.
    lines = log.containing("ZeroDivisionError")
    assert len(lines) == 2
    assert all("l=error" in line and "cid=" in line for line in lines)


def test_a_client_that_goes_away_is_no_error() -> None:
    def handler(conn: Connection) -> None:
        conn.recv(DEADLINE_S)

    def client(port: int) -> None:
        with connect(port) as sock:
            sock.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, struct.pack("ii", 1, 0))

    with logged() as log, running(handler, FakeContext([listen_on()])) as run:
        for _ in range(5):
            in_thread(client, run.port)
        assert in_thread(say, run.port, b"x") == b""
    assert not log.containing("l=error")


def test_gauge_follows_the_connections() -> None:
    gauge = server_module.Door(FakeContext([]), listen_on()).gauge  # type: ignore[arg-type]
    before = gauge._value.get()
    with running(echo, FakeContext([listen_on()])) as run:
        with connect(run.port) as sock:
            until(lambda: gauge._value.get() == before + 1)
            sock.close()
        until(lambda: gauge._value.get() == before)


# TLS.


def secured(service: str = "submissions", **kwargs) -> FakeContext:
    return FakeContext(
        [listen_on(service, implicit_tls=True)],
        certificates=FakeCertificates(tls_context()),
        **kwargs,
    )


@pytest.mark.parametrize("version", [ssl.TLSVersion.TLSv1_2, ssl.TLSVersion.TLSv1_3])
def test_implicit_tls(version: ssl.TLSVersion) -> None:
    with running(echo_line, secured()) as run:
        assert in_thread(say_tls, run.port, b"over tls\n", client_tls(version)) == b"over tls\n"


def test_plain_text_on_a_tls_port_is_closed_quietly() -> None:
    with logged() as log, running(echo, secured()) as run:
        reply = in_thread(say, run.port, b"EHLO client.example\r\n")
        assert reply[:1] in (b"", b"\x15")
    assert not log.containing("l=error")


def test_tls_port_without_certificate_closes() -> None:
    ctx = FakeContext([listen_on("imaps", implicit_tls=True)])
    with running(echo, ctx) as run:
        assert in_thread(say, run.port, b"") == b""


def test_starttls_by_a_handler() -> None:
    def handler(conn: Connection) -> None:
        assert conn.recv(DEADLINE_S) == b"STARTTLS\r\n"
        assert conn.tls_context is not None
        conn.send(b"220 go ahead\r\n")
        conn.start_tls(conn.tls_context)
        echo_line(conn)

    def client(port: int) -> tuple[bytes, bytes]:
        with connect(port) as raw:
            raw.sendall(b"STARTTLS\r\n")
            greeting = raw.recv(100)
            with client_tls().wrap_socket(raw) as sock:
                sock.sendall(b"secret\n")
                return greeting, read_all(sock)

    ctx = FakeContext([listen_on()], certificates=FakeCertificates(tls_context()))
    with running(handler, ctx) as run:
        assert in_thread(client, run.port) == (b"220 go ahead\r\n", b"secret\n")


# PROXY.


def report(conn: Connection) -> None:
    data = conn.recv(DEADLINE_S)
    conn.send(f"{conn.remote_ip} {conn.local_ip} {conn.local_port} ".encode() + data)


V1 = b"PROXY TCP4 192.0.2.1 198.51.100.2 4321 25\r\n"
V2 = (
    b"\r\n\r\n\0\r\nQUIT\n\x21\x11\x00\x0f"
    + bytes([192, 0, 2, 1, 198, 51, 100, 2])
    + struct.pack("!HH", 4321, 25)
    + b"\x04\x00\x00"
)


@pytest.mark.parametrize("header", [V1, V2])
@pytest.mark.parametrize("networks", [("127.0.0.1",), ("192.0.2.0/24", "127.0.0.0/8")])
def test_proxy_header_names_the_client(header: bytes, networks: tuple[str, ...]) -> None:
    ctx = FakeContext([listen_on()], proxies=networks)
    with running(report, ctx) as run:
        answer = in_thread(say, run.port, header + b"EHLO")
    assert answer == b"192.0.2.1 198.51.100.2 25 EHLO"


def test_proxy_header_may_come_byte_by_byte() -> None:
    def client(port: int) -> bytes:
        with connect(port) as sock:
            sock.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
            for byte in V2 + b"E":
                sock.sendall(bytes([byte]))
            return read_all(sock)

    with running(report, FakeContext([listen_on()], proxies=("127.0.0.1",))) as run:
        assert in_thread(client, run.port) == b"192.0.2.1 198.51.100.2 25 E"


@pytest.mark.parametrize("start", [b"EHLO client.example\r\n", b"PROXY TCP4 x\r\n", b"PROXY", b""])
def test_proxy_without_a_header_is_closed(start: bytes) -> None:
    with running(report, FakeContext([listen_on()], proxies=("127.0.0.1",))) as run:
        assert in_thread(say, run.port, start) == b""


def test_header_from_elsewhere_is_not_parsed() -> None:
    with running(report, FakeContext([listen_on()], proxies=("127.0.0.7",))) as run:
        answer = in_thread(say, run.port, V1)
        assert answer.startswith(b"127.0.0.1 127.0.0.1 ") and answer.endswith(V1)
        assert in_thread(say, run.port, V1 + b"x", "127.0.0.7").startswith(b"192.0.2.1 ")


def test_proxy_that_is_silent_is_closed(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(server_module, "_PROXY_TIMEOUT_S", 0.02)

    def client(port: int) -> bytes:
        with connect(port) as sock:
            sock.sendall(b"PROXY TC")
            return read_all(sock)

    with running(report, FakeContext([listen_on()], proxies=("127.0.0.1",))) as run:
        assert in_thread(client, run.port) == b""


def test_proxy_header_comes_before_tls() -> None:
    def client(port: int, together: bool) -> bytes:
        with connect(port) as raw:
            into, out = ssl.MemoryBIO(), ssl.MemoryBIO()
            tls = client_tls().wrap_bio(into, out)
            pending = V1
            while True:
                try:
                    tls.do_handshake()
                    break
                except ssl.SSLWantReadError:
                    hello = out.read()
                    for part in [pending + hello] if together else [pending, hello]:
                        raw.sendall(part)
                    pending = b""
                    into.write(raw.recv(65536))
            tls.write(b"EHLO")
            raw.sendall(out.read())
            into.write(read_all(raw))
            return tls.read()

    for together in (True, False):
        with running(report, secured(proxies=("127.0.0.1",))) as run:
            assert in_thread(client, run.port, together) == b"192.0.2.1 198.51.100.2 25 EHLO"


# Limits.


@pytest.fixture
def limits(tmp_path: Path):
    env = open_ephemeral(tmp_path)
    yield Limits(env, 1)
    close(env)


def test_too_many_open_connections_are_refused_with_the_protocols_text(limits: Limits) -> None:
    ctx = FakeContext([listen_on()], limits)
    with running(echo, ctx) as run:
        socks = [connect(run.port, "127.0.0.2") for _ in range(30)]
        for sock in socks:
            sock.sendall(b"x")
            assert in_thread(sock.recv, 1) == b"x"
        assert in_thread(say, run.port, b"y", "127.0.0.2") == b"421 too many open connections\r\n"
        assert in_thread(say, run.port, b"y", "127.0.0.1") == b"y"
        socks.pop().close()
        until(lambda: in_thread(say, run.port, b"y", "127.0.0.2") == b"y")
        for sock in socks:
            sock.close()


def test_a_socket_behind_a_reverse_proxy_has_no_limit(limits: Limits) -> None:
    ctx = FakeContext([listen_on()], limits)
    free = replace(ADMISSION, unlimited=lambda listen: listen is ctx.listens[0])
    with running(echo, ctx, admission=free) as run:
        socks = [connect(run.port, "127.0.0.2") for _ in range(31)]
        for sock in socks:
            sock.sendall(b"x")
            assert in_thread(sock.recv, 1) == b"x"
            sock.close()


def test_client_behind_a_proxy_is_limited_by_its_own_address(limits: Limits) -> None:
    ctx = FakeContext([listen_on("submission")], limits, proxies=("127.0.0.1",))
    for _ in range(10):
        limits.auth_failed(ip_address("192.0.2.1"))
    with running(echo, ctx) as run:
        assert in_thread(say, run.port, V1 + b"x") == b"421 too many auth failures\r\n"
        other = V1.replace(b"192.0.2.1", b"203.0.113.1")
        assert in_thread(say, run.port, other + b"x") == b"x"


def test_refusal_on_a_tls_port_is_sent_over_tls(limits: Limits) -> None:
    ctx = secured("submission", limits=limits)
    for _ in range(10):
        limits.auth_failed(ip_address("127.0.0.1"))
    with running(echo_line, ctx) as run:
        assert in_thread(say_tls, run.port, b"x\n") == b"421 too many auth failures\r\n"


def test_more_connections_than_files_pause_accepting(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(server_module, "most_connections", lambda: 2)
    with running(echo, FakeContext([listen_on()])) as run:
        socks = [connect(run.port) for _ in range(3)]
        for sock in socks:
            sock.sendall(b"x")
        assert [in_thread(sock.recv, 1) for sock in socks[:2]] == [b"x", b"x"]
        socks[2].settimeout(0.05)
        with pytest.raises(TimeoutError):
            in_thread(socks[2].recv, 1)
        socks.pop(0).close()
        socks[1].settimeout(DEADLINE_S)
        assert in_thread(socks[1].recv, 1) == b"x"
        for sock in socks:
            sock.close()


def test_running_out_of_files_pauses_and_recovers() -> None:
    soft, hard = resource.getrlimit(resource.RLIMIT_NOFILE)
    with logged() as log, running(echo, FakeContext([listen_on()])) as run:
        assert in_thread(say, run.port, b"x") == b"x"
        client = connect(run.port)
        client.sendall(b"x")
        probe = os.dup(0)
        os.close(probe)
        try:
            resource.setrlimit(resource.RLIMIT_NOFILE, (probe, hard))
            until(lambda: log.containing("cannot accept"))
        finally:
            resource.setrlimit(resource.RLIMIT_NOFILE, (soft, hard))
        assert in_thread(client.recv, 1) == b"x"
        client.close()


# Draining.


def until_asked(conn: Connection) -> None:
    """A protocol of lines: QUIT, and DATA which lasts until a line END."""
    try:
        while line := conn.recv(DEADLINE_S, idle=True):
            if line == b"DATA":
                conn.send(b"go")
                while line != b"END":
                    line = conn.recv(DEADLINE_S)
            conn.send(b"ok")
    except ConnectionDraining:
        conn.send(b"bye")


def test_drain_says_goodbye_and_finishes_what_is_under_way() -> None:
    with running(until_asked, FakeContext([listen_on()])) as run:
        idle, busy = connect(run.port), connect(run.port)
        busy.sendall(b"DATA")
        assert in_thread(busy.recv, 2) == b"go"
        idle.sendall(b"NOOP")
        assert in_thread(idle.recv, 2) == b"ok"
        run.ctx.stopping.set()
        assert in_thread(read_all, idle) == b"bye"
        assert not run.greenlet.ready()
        busy.sendall(b"END")
        assert in_thread(read_all, busy) == b"okbye"
        run.stop()


def test_drain_lets_a_conversation_go_on_for_a_moment() -> None:
    with running(until_asked, FakeContext([listen_on()])) as run, connect(run.port) as talking:
        talking.sendall(b"NOOP")
        assert in_thread(talking.recv, 2) == b"ok"
        run.ctx.stopping.set()
        gevent.sleep(0.01)
        # The client had not been told when it sent this.
        talking.sendall(b"NOOP")
        assert in_thread(talking.recv, 2) == b"ok"
        assert in_thread(read_all, talking) == b"bye"
        run.stop()


def test_drain_stops_accepting_at_once() -> None:
    with running(until_asked, FakeContext([listen_on()])) as run:
        busy = connect(run.port)
        busy.sendall(b"DATA")
        assert in_thread(busy.recv, 2) == b"go"
        run.ctx.stopping.set()
        gevent.sleep(0)
        late = connect(run.port)  # The listening socket is the supervisor's, and stays.
        late.settimeout(0.05)
        with pytest.raises(TimeoutError):
            in_thread(late.recv, 1)
        busy.sendall(b"END")
        assert in_thread(read_all, busy) == b"okbye"


def test_drain_wakes_an_idling_client() -> None:
    def handler(conn: Connection) -> None:
        while conn.wait(DEADLINE_S, Wake()) != "wake" or not conn.draining:
            conn.recv(DEADLINE_S)
        conn.send(b"* BYE\r\n")

    with running(handler, FakeContext([listen_on()])) as run, connect(run.port) as sock:
        sock.sendall(b"x")
        gevent.sleep(0.01)
        run.ctx.stopping.set()
        assert in_thread(read_all, sock) == b"* BYE\r\n"


def test_connections_that_do_not_finish_are_cut_off() -> None:
    ends: list[str] = []

    def handler(conn: Connection) -> None:
        try:
            conn.send(b"x")
            gevent.sleep(3600)
        finally:
            ends.append("cleaned up")

    ctx = FakeContext([listen_on()])
    with logged() as log, running(handler, ctx, grace_s=0.02) as run, connect(run.port) as sock:
        assert in_thread(sock.recv, 1) == b"x"
        run.stop()
        assert in_thread(sock.recv, 1) == b""
    assert ends == ["cleaned up"]
    assert log.containing("cut off")


def test_stop_without_connections_returns_at_once() -> None:
    with running(echo, FakeContext([listen_on()])) as run:
        run.stop()


def test_last_reply_survives_unread_input() -> None:
    def handler(conn: Connection) -> None:
        conn.recv(DEADLINE_S)
        conn.send(b"500 line too long\r\n")

    def client(port: int) -> bytes:
        with connect(port) as sock:
            sock.sendall(b"x" * 200_000)
            return read_all(sock)

    with running(handler, FakeContext([listen_on()])) as run:
        for _ in range(5):
            try:
                assert in_thread(client, run.port) == b"500 line too long\r\n"
            except ConnectionResetError:
                # More than a buffer was unread: the reset is TCP's.
                continue
