from __future__ import annotations

import _socket
import contextlib
import os
import socket
import ssl
import struct
import subprocess
import time

import gevent
import pytest

from mox.serving.errors import ConnectionDraining, ConnectionLost, ConnectionTimeout
from mox.serving.parking import Wake
from mox.serving.stream import Stream
from mox.tlsio.client import ClientContext
from mox.tlsio.errors import TLSError
from tests.serving.harness import (
    DEADLINE_S,
    client_tls,
    in_thread,
    tls_context,
    until,
)


def tcp_pair() -> tuple[_socket.socket, socket.socket]:
    with socket.socket() as listener:
        listener.bind(("127.0.0.1", 0))
        listener.listen()
        client = socket.create_connection(listener.getsockname(), DEADLINE_S)
        accepted, _ = listener.accept()
    return _socket.socket(fileno=accepted.detach()), client


class Pair:
    def __init__(self, kind: type[Stream] = Stream) -> None:
        ours, self.client = tcp_pair()
        self.stream = kind(ours)

    def __enter__(self) -> Pair:
        return self

    def __exit__(self, *_: object) -> None:
        self.stream.close()
        self.client.close()


@pytest.fixture
def pair():
    with Pair() as made:
        yield made


def test_addresses_are_known(pair: Pair) -> None:
    assert str(pair.stream.remote_ip) == "127.0.0.1"
    assert (pair.stream.remote_port, pair.stream.local_port) == (
        pair.client.getsockname()[1],
        pair.client.getpeername()[1],
    )


def test_recv_gives_what_came_and_then_the_end(pair: Pair) -> None:
    pair.client.sendall(b"hello")
    assert pair.stream.recv(DEADLINE_S) == b"hello"
    pair.client.shutdown(socket.SHUT_WR)
    assert pair.stream.recv(DEADLINE_S) == b""
    assert pair.stream.recv(DEADLINE_S) == b""
    assert pair.stream.bytes_received == 5


def test_recv_waits_for_bytes(pair: Pair) -> None:
    waiting = gevent.spawn(pair.stream.recv, DEADLINE_S)
    gevent.sleep(0)
    assert not waiting.ready()
    pair.client.sendall(b"x")
    assert waiting.get(timeout=DEADLINE_S) == b"x"


def test_recv_times_out(pair: Pair) -> None:
    with pytest.raises(ConnectionTimeout):
        pair.stream.recv(0.01)


def test_recv_of_a_reset_connection_is_lost(pair: Pair) -> None:
    pair.client.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, struct.pack("ii", 1, 0))
    pair.client.close()
    with pytest.raises(ConnectionLost):
        pair.stream.recv(DEADLINE_S)


def test_closed_stream_is_lost(pair: Pair) -> None:
    pair.stream.close()
    pair.stream.close()
    with pytest.raises(ConnectionLost):
        pair.stream.recv(1)
    with pytest.raises(ConnectionLost):
        pair.stream.send(b"x")


def test_unread_bytes_come_again(pair: Pair) -> None:
    pair.client.sendall(b"abc")
    assert pair.stream.recv(DEADLINE_S) == b"abc"
    pair.stream.unread(b"bc")
    assert pair.stream.recv(DEADLINE_S) == b"bc"


def test_send_of_much_waits_for_the_reader(pair: Pair) -> None:
    data = os.urandom(1 << 20) * 20

    def read() -> bytes:
        parts = []
        while chunk := pair.client.recv(65536):
            parts.append(chunk)
        return b"".join(parts)

    sending = gevent.spawn(
        lambda: (pair.stream.send([b"first", data, b"last"]), pair.stream.close())
    )
    assert in_thread(read) == b"first" + data + b"last"
    sending.get(timeout=DEADLINE_S)
    assert pair.stream.bytes_sent == len(data) + 9


def test_send_times_out_when_nothing_is_taken(pair: Pair) -> None:
    with pytest.raises(ConnectionTimeout):
        pair.stream.send(b"x" * (64 << 20), 0.05)


def test_send_to_a_peer_that_is_gone_is_lost(pair: Pair) -> None:
    pair.client.close()
    with pytest.raises(ConnectionLost):
        for _ in range(100):
            pair.stream.send(b"x" * 65536)


def test_fast_sender_leaves_turns_to_others(pair: Pair) -> None:
    turns = 0

    def other() -> None:
        nonlocal turns
        while True:
            turns += 1
            gevent.sleep(0)

    greenlet = gevent.spawn(other)
    pair.client.setblocking(False)
    received = 0
    while received < 64 * 65536:
        with contextlib.suppress(BlockingIOError):
            pair.client.send(b"x" * 65536)
        received += len(pair.stream.recv(DEADLINE_S))
    greenlet.kill()
    assert turns > 1


def test_a_fast_sender_of_much_is_read_up_to_256_kb_in_one_turn(pair: Pair) -> None:
    in_turn = most = total = 0

    def turn() -> None:
        nonlocal in_turn
        in_turn = 0

    watcher = gevent.get_hub().loop.check()
    watcher.start(turn)
    # Enough room for all of it: the reader never waits.
    pair.client.setsockopt(socket.SOL_SOCKET, socket.SO_SNDBUF, 1 << 22)
    sender = gevent.spawn(in_thread, lambda: pair.client.sendall(b"x" * (1 << 22)))
    while total < 1 << 22:
        octets = len(pair.stream.recv(DEADLINE_S))
        total += octets
        in_turn += octets
        most = max(most, in_turn)
    watcher.stop()
    watcher.close()
    sender.join()
    assert most <= 1 << 18


# Waiting.


def test_wait_sees_bytes_and_keeps_them(pair: Pair) -> None:
    pair.client.sendall(b"DONE")
    until(lambda: pair.stream.wait(0, Wake()) == "readable")
    assert pair.stream.recv(0) == b"DONE"


def test_wait_sees_the_end(pair: Pair) -> None:
    pair.client.close()
    assert pair.stream.wait(DEADLINE_S, Wake()) == "readable"
    assert pair.stream.recv(0) == b""


def test_wait_times_out(pair: Pair) -> None:
    assert pair.stream.wait(0.005, Wake()) == "timeout"


def test_ring_ends_a_wait_once(pair: Pair) -> None:
    wake = Wake()
    waiting = gevent.spawn(pair.stream.wait, DEADLINE_S, wake)
    gevent.sleep(0)
    wake.ring()
    wake.ring()
    assert waiting.get(timeout=DEADLINE_S) == "wake"
    assert pair.stream.wait(0, wake) == "timeout"


def test_ring_before_the_wait_is_not_lost(pair: Pair) -> None:
    wake = Wake()
    wake.ring()
    assert pair.stream.wait(DEADLINE_S, wake) == "wake"
    wake.ring()
    wake.clear()
    assert pair.stream.wait(0, wake) == "timeout"


def test_ring_after_the_wait_disturbs_nobody(pair: Pair) -> None:
    wake = Wake()
    assert pair.stream.wait(0.001, wake) == "timeout"
    wake.ring()
    with pytest.raises(ConnectionTimeout):
        pair.stream.recv(0.02)


def test_wait_survives_being_killed(pair: Pair) -> None:
    waiting = gevent.spawn(pair.stream.wait, DEADLINE_S, Wake())
    gevent.sleep(0)
    waiting.kill()
    pair.client.sendall(b"x")
    assert pair.stream.recv(DEADLINE_S) == b"x"


# Draining.


def test_drain_interrupts_an_idle_recv_only(pair: Pair) -> None:
    idle = gevent.spawn(pair.stream.recv, DEADLINE_S, idle=True)
    gevent.sleep(0)
    pair.stream.drain()
    with pytest.raises(ConnectionDraining):
        idle.get(timeout=DEADLINE_S)
    busy = gevent.spawn(pair.stream.recv, DEADLINE_S)
    gevent.sleep(0.01)
    assert not busy.ready()
    pair.client.sendall(b"rest of the message")
    assert busy.get(timeout=DEADLINE_S) == b"rest of the message"
    with pytest.raises(ConnectionDraining):
        pair.stream.recv(DEADLINE_S, idle=True)


def test_drain_wakes_a_wait(pair: Pair) -> None:
    waiting = gevent.spawn(pair.stream.wait, DEADLINE_S, Wake())
    gevent.sleep(0)
    pair.stream.drain()
    assert waiting.get(timeout=DEADLINE_S) == "wake"
    assert pair.stream.draining


# Slow mode.


class SlowStream(Stream):
    """Time passes only by sleeping."""

    now = 1000.0

    @staticmethod
    def clock() -> float:
        return SlowStream.now

    @staticmethod
    def sleep(seconds: float) -> None:
        SlowStream.now += seconds


def test_slow_mode_drips_until_the_reserve() -> None:
    with Pair(SlowStream) as pair:
        pair.stream.slow = True
        start = SlowStream.now
        pair.stream.send(b"x" * 100)
        # 25 octets in as many seconds, then the rest at once.
        assert SlowStream.now - start == 25.0
        assert len(pair.client.recv(1000, socket.MSG_WAITALL | socket.MSG_PEEK)) >= 1
        assert pair.stream.bytes_sent == 100


def test_slow_mode_sends_a_short_reply_entirely_by_dripping() -> None:
    with Pair(SlowStream) as pair:
        pair.stream.slow = True
        start = SlowStream.now
        pair.stream.send([b"ab", b"c"])
        assert SlowStream.now - start == 3.0
        pair.stream.close()
        assert pair.client.recv(10, socket.MSG_WAITALL) == b"abc"


def test_slow_mode_delays_reads_and_ends_with_draining() -> None:
    with Pair(SlowStream) as pair:
        pair.stream.slow = True
        pair.client.sendall(b"x")
        start = SlowStream.now
        assert pair.stream.recv(DEADLINE_S) == b"x"
        assert SlowStream.now - start == 1.0
        pair.stream.drain()
        pair.stream.send(b"x" * 100)
        assert SlowStream.now - start == 1.0


# TLS.


VERSIONS = [ssl.TLSVersion.TLSv1_2, ssl.TLSVersion.TLSv1_3]


@pytest.mark.parametrize("version", VERSIONS)
def test_tls_with_the_standard_library(pair: Pair, version: ssl.TLSVersion) -> None:
    blob = os.urandom(3 << 20)

    def client() -> tuple[bytes, bytes, str | None]:
        with client_tls(version).wrap_socket(pair.client, server_hostname="localhost") as sock:
            sock.sendall(b"hello" + blob)
            got = b""
            while len(got) < len(blob):
                got += sock.recv(65536)
            rest = sock.recv(10)
            return got, rest, sock.version()

    def server() -> bytes:
        pair.stream.start_tls(tls_context())
        got = b""
        while len(got) < len(blob) + 5:
            got += pair.stream.recv(DEADLINE_S)
        pair.stream.send(blob)
        pair.stream.close()
        return got

    serving = gevent.spawn(server)
    got, rest, name = in_thread(client)
    assert serving.get(timeout=DEADLINE_S) == b"hello" + blob
    assert (got, rest) == (blob, b"")
    assert pair.stream.tls is not None
    assert (pair.stream.tls.version, pair.stream.tls.server_name) == (name, "localhost")
    assert pair.stream.bytes_received == len(blob) + 5
    assert pair.stream.bytes_sent == len(blob)


@pytest.mark.parametrize("version", ["-tls1_2", "-tls1_3"])
def test_tls_with_openssl_s_client(version: str) -> None:
    with socket.socket() as listener:
        listener.bind(("127.0.0.1", 0))
        listener.listen()
        port = listener.getsockname()[1]
        command = ["openssl", "s_client", version, "-quiet", "-connect", f"127.0.0.1:{port}"]
        pipe = subprocess.PIPE
        with subprocess.Popen(command, stdin=pipe, stdout=pipe, stderr=pipe) as process:
            assert process.stdin is not None and process.stdout is not None
            accepted, _ = in_thread(listener.accept)
            stream = Stream(_socket.socket(fileno=accepted.detach()))
            stream.start_tls(tls_context())
            process.stdin.write(b"EHLO\n")
            process.stdin.flush()
            assert stream.recv(DEADLINE_S) == b"EHLO\n"
            stream.send(b"250 hello\r\n")
            stream.close()
            assert in_thread(process.stdout.readline) == b"250 hello\r\n"
            process.stdin.close()
            in_thread(process.wait)


def test_start_tls_refuses_bytes_that_came_before(pair: Pair) -> None:
    # The command and what was injected after it came in one packet; the shell took one line.
    pair.client.sendall(b"STARTTLS\r\nRCPT TO:<evil@example.org>\r\n")
    _line, _, rest = pair.stream.recv(DEADLINE_S).partition(b"\r\n")
    pair.stream.unread(rest)
    with pytest.raises(ConnectionLost, match="before"):
        pair.stream.start_tls(tls_context())
    assert pair.stream.tls is None


def test_start_tls_refuses_plain_text_in_the_kernel(pair: Pair) -> None:
    pair.client.sendall(b"RCPT TO:<evil@example.org>\r\n")
    with pytest.raises(ConnectionLost, match="handshake"):
        pair.stream.start_tls(tls_context())
    assert pair.stream.tls is None


def test_handshake_that_does_not_come_times_out(pair: Pair) -> None:
    with pytest.raises(ConnectionTimeout):
        pair.stream.start_tls(tls_context(), 0.01)


def test_handshake_failure_sends_an_alert(pair: Pair) -> None:
    pair.client.sendall(b"\x16\x03\x01\x00\x05hello")
    with pytest.raises(ConnectionLost):
        pair.stream.start_tls(tls_context())
    assert pair.client.recv(1) == b"\x15"


def test_data_right_behind_the_handshake_is_not_lost(pair: Pair) -> None:
    context = client_tls(ssl.TLSVersion.TLSv1_3)
    into, out = ssl.MemoryBIO(), ssl.MemoryBIO()
    client = context.wrap_bio(into, out)

    def shake() -> None:
        with pytest.raises(ssl.SSLWantReadError):
            client.do_handshake()
        pair.client.sendall(out.read())
        while True:
            into.write(pair.client.recv(65536))
            try:
                client.do_handshake()
                break
            except ssl.SSLWantReadError:
                continue
        client.write(b"A1 NOOP\r\n")
        pair.client.sendall(out.read())

    handshake = gevent.spawn(pair.stream.start_tls, tls_context())
    in_thread(shake)
    handshake.get(timeout=DEADLINE_S)
    assert pair.stream.recv(DEADLINE_S) == b"A1 NOOP\r\n"


def test_wait_is_not_woken_by_half_a_record(pair: Pair) -> None:
    context = client_tls()
    into, out = ssl.MemoryBIO(), ssl.MemoryBIO()
    client = context.wrap_bio(into, out)

    def shake() -> None:
        while True:
            try:
                client.do_handshake()
                pair.client.sendall(out.read())
                return
            except ssl.SSLWantReadError:
                pair.client.sendall(out.read())
                into.write(pair.client.recv(65536))

    handshake = gevent.spawn(pair.stream.start_tls, tls_context())
    in_thread(shake)
    handshake.get(timeout=DEADLINE_S)
    client.write(b"DONE\r\n")
    record = out.read()
    pair.client.sendall(record[:10])
    assert pair.stream.wait(0.02, Wake()) == "timeout"
    pair.client.sendall(record[10:])
    assert pair.stream.wait(DEADLINE_S, Wake()) == "readable"
    assert pair.stream.recv(0) == b"DONE\r\n"


@pytest.mark.parametrize("version", VERSIONS)
def test_channel_binding_of_a_stream(pair: Pair, version: ssl.TLSVersion) -> None:
    serving = gevent.spawn(pair.stream.start_tls, tls_context())
    tls = in_thread(client_tls(version).wrap_socket, pair.client)
    serving.get(timeout=DEADLINE_S)
    if version == ssl.TLSVersion.TLSv1_2:
        assert pair.stream.channel_binding("tls-unique") == tls.get_channel_binding("tls-unique")
    else:
        assert len(pair.stream.channel_binding("tls-exporter") or b"") == 32
    tls.close()


def test_client_side_of_tls() -> None:
    ours, theirs = tcp_pair()
    server = Stream(ours)
    client = Stream(_socket.socket(fileno=theirs.detach()))
    serving = gevent.spawn(server.start_tls, tls_context())
    session = client.start_tls_client(ClientContext(verify=False, system_ca=False), "localhost")
    serving.get(timeout=DEADLINE_S)
    verdict = session.verification()
    assert verdict is not None and not verdict.ok
    client.send(b"hi")
    assert server.recv(DEADLINE_S) == b"hi"
    client.close()
    assert server.recv(DEADLINE_S) == b""
    server.close()


def test_client_side_refuses_a_certificate_it_does_not_trust() -> None:
    ours, theirs = tcp_pair()
    server = Stream(ours)
    client = Stream(_socket.socket(fileno=theirs.detach()))
    serving = gevent.spawn(server.start_tls, tls_context())
    with pytest.raises(TLSError, match="certificate"):
        client.start_tls_client(ClientContext(verify=True, system_ca=False), "localhost")
    with pytest.raises(ConnectionLost):
        serving.get(timeout=DEADLINE_S)
    client.close()
    server.close()


def test_key_update_is_answered_while_reading(pair: Pair) -> None:
    """A TLS 1.3 peer that asks for new keys gets its answer without the shell writing."""
    command = ["openssl", "s_client", "-tls1_3", "-connect", "127.0.0.1:%d"]
    with socket.socket() as listener:
        listener.bind(("127.0.0.1", 0))
        listener.listen()
        command[-1] %= listener.getsockname()[1]
        pipe = subprocess.PIPE
        with subprocess.Popen(command, stdin=pipe, stdout=pipe, stderr=pipe) as process:
            assert process.stdin is not None and process.stdout is not None
            accepted, _ = in_thread(listener.accept)
            stream = Stream(_socket.socket(fileno=accepted.detach()))
            stream.start_tls(tls_context())
            process.stdin.write(b"K\n")
            process.stdin.flush()
            assert stream.wait(0.2, Wake()) in ("timeout", "readable")
            process.stdin.write(b"more\n")
            process.stdin.flush()
            assert stream.recv(DEADLINE_S) == b"more\n"
            stream.send(b"answer\r\n")
            stream.close()
            deadline = time.monotonic() + DEADLINE_S
            while in_thread(process.stdout.readline) != b"answer\r\n":
                assert time.monotonic() < deadline
            process.stdin.close()
            in_thread(process.wait)
