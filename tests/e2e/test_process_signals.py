"""Processes of a running server: upgrades, reloads, ends of workers and of the supervisor."""

from __future__ import annotations

import os
import re
import signal
import socket
import threading
import time

import pytest

from tests.support.mailboxes import fetch_all
from tests.support.rawsmtp import RawSMTP
from tests.support.server import USER, Server, eventually, is_alive


class Callers:
    """Threads that connect and deliver all the time, and keep what went wrong."""

    def __init__(self, server: Server, threads: int = 3) -> None:
        self._server = server
        self._stop = threading.Event()
        self._lock = threading.Lock()
        self.delivered = 0
        self.greeted = 0
        self.errors: list[str] = []
        self._threads = [
            *(threading.Thread(target=self._deliver) for _ in range(threads)),
            threading.Thread(target=self._greet, args=(server.imap, b"* OK")),
            threading.Thread(target=self._greet, args=(server.submission, b"220 ")),
        ]

    def __enter__(self) -> Callers:
        for thread in self._threads:
            thread.start()
        return self

    def __exit__(self, *_: object) -> None:
        self._stop.set()
        for thread in self._threads:
            thread.join()

    def _note(self, error: str) -> None:
        with self._lock:
            self.errors.append(error)

    def _deliver(self) -> None:
        while not self._stop.is_set():
            try:
                with RawSMTP(self._server.smtp) as smtp:
                    code = smtp.greeting[0]
                    # A worker that ends may say so, between messages only.
                    for command in ("EHLO c.example", f"MAIL FROM:<{USER}>", f"RCPT TO:<{USER}>"):
                        code = smtp.command(command) if code in (220, 250) else code
                    if code == 250:
                        code, text = smtp.data(b"Subject: from a caller\r\n\r\n\r\n")
                        if code == 250:
                            with self._lock:
                                self.delivered += 1
                        else:
                            self._note(f"message refused: {code} {text}")
                    elif code != 421:
                        self._note(f"unexpected reply {code}")
            except OSError as exc:
                self._note(f"smtp: {exc!r}")

    def _greet(self, port: int, greeting: bytes) -> None:
        while not self._stop.is_set():
            try:
                with socket.create_connection(("127.0.0.1", port), timeout=30) as sock:
                    found = sock.recv(100)
                if not found.startswith(greeting):
                    self._note(f"port {port} says {found!r}")
                with self._lock:
                    self.greeted += 1
            except OSError as exc:
                self._note(f"port {port}: {exc!r}")


def generations(server: Server) -> list[int]:
    found = re.findall(r'm="ready to serve".* generation=(\d+)', server.log)
    return [int(number) for number in found]


def ready(server: Server) -> None:
    """Until all workers of the first generation serve."""
    eventually(lambda: generations(server) == [1])


def test_upgrade_refuses_nobody(server: Server) -> None:
    """SIGUSR2: the program is replaced in place, while clients come and go."""
    ready(server)
    before = set(server.processes())
    with Callers(server) as callers:
        for generation in (2, 3):
            reached = callers.delivered + 20
            eventually(lambda reached=reached: callers.delivered >= reached, 30)  # type: ignore[misc]
            server.signal(signal.SIGUSR2)
            eventually(lambda g=generation: generations(server)[-1] == g, 60)  # type: ignore[misc]
        eventually(lambda: not any(is_alive(pid) for pid in before), 60)
        reached = callers.delivered + 20
        eventually(lambda: callers.delivered >= reached, 30)
    assert callers.errors == []
    assert callers.greeted > 50
    assert server.process is not None
    assert server.process.poll() is None
    assert server.count() == callers.delivered
    assert server.stop() == signal.SIGTERM


def test_upgrade_to_a_program_that_does_not_start(server: Server) -> None:
    ready(server)
    (server.directory / "mox.conf").rename(server.directory / "mox.conf.away")
    before = server.workers("smtp")
    server.signal(signal.SIGUSR2)
    eventually(lambda: "new program would not start" in server.log, 30)
    server.deliver(b"Subject: x\r\n\r\n\r\n")
    assert server.workers("smtp") == before


def test_reload_refuses_nobody(server: Server) -> None:
    ready(server)
    with Callers(server) as callers:
        for generation in (2, 3):
            server.signal(signal.SIGHUP)
            eventually(lambda g=generation: generations(server)[-1] == g, 60)  # type: ignore[misc]
            reached = callers.delivered + 10
            eventually(lambda reached=reached: callers.delivered >= reached, 30)  # type: ignore[misc]
    assert callers.errors == []
    assert server.count() == callers.delivered


def test_reload_of_a_broken_configuration_changes_nothing(server: Server) -> None:
    ready(server)
    before = sorted(server.processes())
    good = (server.directory / "domains.conf").read_text()
    (server.directory / "domains.conf").write_text(good + "Nonsense: 1\n")
    server.signal(signal.SIGHUP)
    eventually(lambda: "new configuration not taken" in server.log)
    assert "Nonsense" in server.log
    assert sorted(server.processes()) == before
    server.deliver(b"Subject: still served\r\n\r\n\r\n")
    assert server.count() == 1
    (server.directory / "domains.conf").write_text(good)
    server.signal(signal.SIGHUP)
    eventually(lambda: generations(server) == [1, 2], 30)


def test_reload_opens_and_closes_ports(server: Server) -> None:
    ready(server)
    port = server.submissions + 1
    server.edit("mox.conf", f"Port: {server.submissions}\n", f"Port: {port}\n")
    server.signal(signal.SIGHUP)
    eventually(lambda: generations(server) == [1, 2], 30)
    socket.create_connection(("127.0.0.1", port), timeout=10).close()
    eventually(lambda: not _connects(server.submissions))


@pytest.mark.parametrize("number", [signal.SIGTERM, signal.SIGINT])
def test_stopping_lets_a_transaction_finish(server: Server, number: signal.Signals) -> None:
    idle = RawSMTP(server.smtp)
    busy = RawSMTP(server.smtp)
    assert busy.command("EHLO c.example") == 250
    busy.envelope()
    assert busy.command("DATA") == 354
    busy.send(b"Subject: finished\r\n\r\n")
    server.signal(number)
    # Those who do nothing are told, new ones are not let in.
    assert idle.reply()[0] == 421
    assert idle.is_closed()
    eventually(lambda: not _connects(server.smtp))
    busy.send(b"text\r\n")
    assert busy.ask(b".")[0] == 250
    assert busy.reply()[0] == 421
    assert server.process is not None
    assert server.process.wait(30) == number
    assert server.workers() == []
    server.start()
    assert server.count() == 1


def _connects(port: int) -> bool:
    try:
        socket.create_connection(("127.0.0.1", port), timeout=10).close()
    except ConnectionRefusedError:
        return False
    return True


def test_stopping_tells_idle_imap_clients(server: Server) -> None:
    sock = socket.create_connection(("127.0.0.1", server.imap), timeout=30)
    file = sock.makefile("rb")
    for line in (b"a LOGIN mox@localhost moxmoxmox\r\n", b"b SELECT INBOX\r\n", b"c IDLE\r\n"):
        sock.sendall(line)
    while not file.readline().startswith(b"+"):
        pass
    began = time.monotonic()
    assert server.stop() == signal.SIGTERM
    assert time.monotonic() - began < 15
    assert b"* BYE" in file.read()
    file.close()
    sock.close()


def test_a_second_signal_does_not_wait(server: Server) -> None:
    busy = RawSMTP(server.smtp)
    assert busy.command("EHLO c.example") == 250
    busy.envelope()
    assert busy.command("DATA") == 354
    server.signal(signal.SIGTERM)
    eventually(lambda: "stopping" in server.log)
    server.signal(signal.SIGTERM)
    assert server.process is not None
    assert server.process.wait(20) == signal.SIGTERM
    assert busy.is_closed()
    server.start()
    assert server.count() == 0


@pytest.mark.parametrize("kind", ["smtp", "submission", "imap", "queue", "keeper", "web"])
def test_a_killed_worker_is_replaced(server: Server, kind: str) -> None:
    ready(server)
    before = {pid for pid in server.workers() if kind not in _title(server, pid)}
    victims = server.workers(kind)
    assert victims
    os.kill(victims[0], signal.SIGKILL)
    eventually(lambda: len(server.workers(kind)) == len(victims), 20)
    eventually(lambda: victims[0] not in server.workers(kind), 20)
    assert before <= set(server.workers())
    server.wait()
    server.deliver(b"Subject: after the kill\r\n\r\n\r\n")
    client = server.imap_client()
    (message,) = fetch_all(client)
    assert b"after the kill" in message
    client.logout()


def _title(server: Server, pid: int) -> str:
    kinds = ("smtp", "submission", "imap", "queue", "keeper", "web")
    return "".join(kind for kind in kinds if pid in server.workers(kind))


def test_connections_of_other_workers_live_on(server: Server) -> None:
    """Of many connections only those of the killed worker break."""
    connections = [RawSMTP(server.smtp) for _ in range(40)]
    victims = server.workers("smtp")
    assert len(victims) >= 2
    os.kill(victims[0], signal.SIGKILL)
    for smtp in connections:
        smtp.send(b"NOOP\r\n")
    codes = [smtp.reply()[0] for smtp in connections]
    assert set(codes) == {0, 250}
    for smtp in connections:
        smtp.close()
    # Whoever comes now is served, by whichever worker.
    for _ in range(40):
        with RawSMTP(server.smtp) as smtp:
            assert smtp.greeting[0] == 220


def test_all_end_with_the_supervisor(server: Server) -> None:
    ready(server)
    children = server.processes()
    assert len(children) >= 9
    os.kill(server.pid, signal.SIGKILL)
    assert server.process is not None
    server.process.wait()
    eventually(lambda: not any(is_alive(pid) for pid in children), 10)
    server.start()
    server.deliver(b"Subject: again\r\n\r\n\r\n")
    assert server.count() == 1
