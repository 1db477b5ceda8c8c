"""Connections of clients that stay are spread evenly over the workers of their kind."""

from __future__ import annotations

import os
import re
import signal
import socket
import ssl
import threading
import urllib.request
from collections import deque
from collections.abc import Iterator
from contextlib import ExitStack, contextmanager

import psutil
import pytest

from tests.e2e.test_process_signals import generations, ready
from tests.e2e.test_smtp_proxied import Proxied, v1
from tests.support.server import PASSWORD, USER, Server, eventually, is_alive


class Client:
    """An IMAP client that logs in and stays."""

    def __init__(
        self,
        port: int,
        *,
        prefix: bytes = b"",
        tls: ssl.SSLContext | None = None,
        login: bool = True,
    ) -> None:
        sock = socket.create_connection(("127.0.0.1", port), timeout=30)
        sock.sendall(prefix)
        self.sock = tls.wrap_socket(sock, server_hostname="localhost") if tls else sock
        self._file = self.sock.makefile("rb")
        self.greeting = self._file.readline()
        if login:
            assert self.command(f"LOGIN {USER} {PASSWORD}").startswith(b"a OK")

    def command(self, text: str) -> bytes:
        """Returns the tagged answer, or BYE, or b"" when the connection was cut."""
        self.sock.sendall(f"a {text}\r\n".encode())
        return self.answer()

    def answer(self) -> bytes:
        line = self._file.readline()
        while line and not line.startswith((b"a ", b"* BYE")):
            line = self._file.readline()
        return line

    def rest(self) -> bytes:
        return self._file.read()

    def __enter__(self) -> Client:
        return self

    def __exit__(self, *_: object) -> None:
        self._file.close()
        self.sock.close()


def spread(server: Server, *ports: int) -> dict[int, int]:
    """How many connections to the ports (IMAP's by default) each IMAP worker has."""
    ports = ports or (server.imap, server.imaps)
    counts: dict[int, int] = {}
    for pid in server.workers("imap"):
        try:
            conns = psutil.Process(pid).net_connections("tcp")
        except psutil.NoSuchProcess:
            continue  # it has ended since
        established = [each for each in conns if each.status == psutil.CONN_ESTABLISHED]
        counts[pid] = sum(each.laddr.port in ports for each in established)
    return counts


def is_even(server: Server, total: int, *ports: int) -> bool:
    counts = list(spread(server, *ports).values())
    return sum(counts) == total and max(counts) - min(counts) <= 1


def handed_over(server: Server) -> int:
    """How many connections workers have given to others, by the metrics."""
    with urllib.request.urlopen(f"http://127.0.0.1:{server.metrics}/metrics", timeout=30) as page:
        text = page.read().decode()
    found = re.findall(r"^mox_connections_handed_over_total\{[^}]*\} (\S+)$", text, re.MULTILINE)
    return int(sum(map(float, found)))


@pytest.fixture
def stack() -> Iterator[ExitStack]:
    with ExitStack() as stack:
        yield stack


@pytest.mark.parametrize("count", [8, 40])
def test_clients_that_stay_are_spread_evenly(server: Server, stack: ExitStack, count: int) -> None:
    ready(server)
    clients = [stack.enter_context(Client(server.imap)) for _ in range(count)]
    eventually(lambda: is_even(server, count))
    # Each is served where it is.
    for client in clients:
        assert client.command("SELECT INBOX").startswith(b"a OK")


def test_both_ports_count_and_each_keeps_its_rules(server: Server, stack: ExitStack) -> None:
    """What is handed over from the port of TLS still begins with TLS."""
    ready(server)
    for number in range(12):
        tls = number % 3 == 0
        port = server.imaps if tls else server.imap
        stack.enter_context(Client(port, tls=server.tls() if tls else None))
    eventually(lambda: is_even(server, 12))


def test_a_replaced_worker_gets_its_share(server: Server, stack: ExitStack) -> None:
    ready(server)
    clients = [stack.enter_context(Client(server.imap)) for _ in range(8)]
    before = spread(server)
    victim = max(before)
    os.kill(victim, signal.SIGKILL)
    eventually(lambda: victim not in spread(server) and len(spread(server)) == len(before), 20)
    lost = [client for client in clients if not client.command("NOOP")]
    assert len(lost) == before[victim]
    kept = len(clients) - len(lost)
    # Until it serves the others have all; then it has what it lacks.
    (fresh,) = set(spread(server)) - set(before)
    count = kept
    while not spread(server)[fresh]:
        stack.enter_context(Client(server.imap))
        count += 1
    for _ in range(count):
        stack.enter_context(Client(server.imap))
    eventually(lambda: is_even(server, 2 * count))


def test_behind_a_proxy_and_after_a_reload_with_other_listeners(
    server: Server, stack: ExitStack
) -> None:
    """The workers agree on which port is which, although there is one more before it."""
    ready(server)
    before = server.workers()
    proxied = Proxied(server)
    server.signal(signal.SIGHUP)
    eventually(lambda: generations(server) == [1, 2], 30)
    eventually(lambda: not any(is_alive(pid) for pid in before), 60)
    for number in range(9):
        header = v1(f"198.51.100.{number}")
        stack.enter_context(Client(proxied.imap, prefix=header))
        stack.enter_context(Client(server.imap))
    ports = (server.imap, server.imaps, proxied.imap)
    eventually(lambda: is_even(server, 18, *ports))
    for number in range(9):
        assert f"remote_ip=198.51.100.{number}" in server.log


def test_stopping_tells_those_who_were_handed_over(server: Server, stack: ExitStack) -> None:
    ready(server)
    clients = [stack.enter_context(Client(server.imap)) for _ in range(10)]
    eventually(lambda: is_even(server, 10))
    assert server.stop() == signal.SIGTERM
    for client in clients:
        assert b"* BYE" in client.rest()


class Stayers:
    """Threads that always have some connections open, the oldest going as new ones come."""

    def __init__(self, server: Server, threads: int = 2, each: int = 7) -> None:
        self._server = server
        self._each = each
        self._stop = threading.Event()
        self._threads = [threading.Thread(target=self._come_and_go) for _ in range(threads)]
        self.came = 0
        self.errors: list[str] = []

    @contextmanager
    def at_it(self) -> Iterator[None]:
        for thread in self._threads:
            thread.start()
        try:
            yield
        finally:
            self._stop.set()
            for thread in self._threads:
                thread.join()

    def _come_and_go(self) -> None:
        clients: deque[Client] = deque()
        try:
            while not self._stop.is_set():
                clients.append(Client(self._server.imap, login=False))
                self.came += 1
                if not clients[-1].greeting.startswith(b"* OK"):
                    self.errors.append(f"greeting {clients[-1].greeting!r}")
                if len(clients) > self._each:
                    self._goes(clients.popleft())
        except OSError as exc:
            self.errors.append(repr(exc))
        for client in clients:
            self._goes(client)

    def _goes(self, client: Client) -> None:
        """A worker that ends says so; nothing is cut."""
        with client:
            try:
                answer = client.command("NOOP")
            except OSError:
                # We wrote after its BYE, which the reset may have taken with it.
                return
            if not answer.startswith((b"a OK", b"* BYE")):
                self.errors.append(f"answer {answer!r}")


@pytest.mark.parametrize("number", [signal.SIGUSR2, signal.SIGHUP])
def test_a_new_generation_cuts_nobody_who_comes_meanwhile(
    server: Server, number: signal.Signals
) -> None:
    ready(server)
    before = set(server.workers())
    stayers = Stayers(server)
    with stayers.at_it():
        for generation in (2, 3):
            reached = stayers.came + 30
            eventually(lambda r=reached: stayers.came >= r or stayers.errors, 30)  # type: ignore[misc]
            server.signal(number)
            eventually(lambda g=generation: generations(server)[-1] == g, 60)  # type: ignore[misc]
        eventually(lambda: not any(is_alive(pid) for pid in before), 60)
        reached = stayers.came + 30
        eventually(lambda: stayers.came >= reached or stayers.errors, 30)
    assert stayers.errors == []
    assert handed_over(server) > 0


def seats(server: Server) -> dict[int, set[int]]:
    """The CPU that a single thread of an IMAP worker keeps to, of those that have such a one."""
    every = os.sched_getaffinity(0)
    found: dict[int, set[int]] = {}
    for pid in server.workers("imap"):
        for thread in psutil.Process(pid).threads():
            try:
                cpus = os.sched_getaffinity(thread.id)
            except ProcessLookupError:
                continue  # it has ended since
            if cpus != every:
                assert pid not in found, "its other threads go where they like"
                found[pid] = cpus
    return found


@pytest.mark.skipif(len(os.sched_getaffinity(0)) < 2, reason="one CPU: nothing to choose")
def test_the_committers_of_busy_workers_keep_apart(server: Server, stack: ExitStack) -> None:
    ready(server)
    clients = [stack.enter_context(Client(server.imap)) for _ in range(4 * len(spread(server)))]
    done = threading.Event()

    def append(client: Client) -> None:
        while not done.is_set():
            assert client.command("APPEND INBOX {5+}\r\na: b\n").startswith(b"a OK")

    threads = [threading.Thread(target=append, args=(client,)) for client in clients]
    for thread in threads:
        thread.start()
    try:
        eventually(lambda: len(seats(server)) == len(server.workers("imap")), 60)
        taken = seats(server).values()
        assert len(set().union(*taken)) == sum(map(len, taken)), "each has its own"
    finally:
        done.set()
        for thread in threads:
            thread.join()
