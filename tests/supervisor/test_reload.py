"""New configurations (SIGHUP) and new programs (SIGUSR2), while clients go on connecting."""

from __future__ import annotations

import signal
import socket
import threading
from collections.abc import Callable, Iterator
from contextlib import contextmanager

import pytest

from tests.supervisor.supervised import Server, eventually, free_port

pytestmark = pytest.mark.e2e
MakeServer = Callable[..., Server]


@contextmanager
def steady_clients(server: Server) -> Iterator[list[str]]:
    """Connect all the time; yields the texts that were answered, checks that none was refused."""
    stop = threading.Event()
    texts: list[str] = []
    failures: list[Exception] = []

    def connect() -> None:
        while not stop.is_set():
            try:
                texts.append(server.ask().text)
            except (OSError, ValueError) as exc:
                failures.append(exc)

    threads = [threading.Thread(target=connect) for _ in range(2)]
    for thread in threads:
        thread.start()
    try:
        yield texts
    finally:
        stop.set()
        for thread in threads:
            thread.join()
    assert failures == []
    assert texts


def test_hup_replaces_workers_and_refuses_no_connection(make_server: MakeServer) -> None:
    server = make_server(text="one", kinds=["smtp", "queue"])
    server.start()
    old = set(server.workers())
    with steady_clients(server) as texts:
        server.write(text="two")
        server.signal(signal.SIGHUP)
        server.wait_line("ready to serve", 2)
        eventually(lambda: old.isdisjoint(server.workers()))
        count = len(texts)
        eventually(lambda: len(texts) > count + 20)
        assert set(texts[count + 5 :]) == {"two"}
    assert len(server.workers()) == 3


def test_hup_lets_old_sessions_finish(make_server: MakeServer) -> None:
    server = make_server(text="one")
    server.start()
    with server.connect() as sock:
        server.facts(sock, "wait")
        server.signal(signal.SIGHUP)
        assert sock.makefile().readline() == "bye\n"


def test_hup_with_a_bad_configuration_keeps_the_old_one(make_server: MakeServer) -> None:
    server = make_server(text="one")
    server.start()
    before = server.workers()
    server.config.write_text("{ not json")
    server.signal(signal.SIGHUP)
    line = server.wait_line("new configuration not taken")
    assert "server.json" in line
    assert server.ask().text == "one"
    assert server.workers() == before


def test_hup_with_a_port_that_is_taken_keeps_the_old_one(make_server: MakeServer) -> None:
    server = make_server()
    server.start()
    before = server.workers()
    free = free_port()
    with socket.socket() as other:
        other.bind(("127.0.0.1", 0))
        other.listen()
        ports = [server.port, free, other.getsockname()[1]]
        server.write(endpoints=[["127.0.0.1", port, "smtp", "local"] for port in ports])
        server.signal(signal.SIGHUP)
        server.wait_line("new configuration not taken")
    assert server.workers() == before
    with pytest.raises(ConnectionRefusedError):
        socket.create_connection(("127.0.0.1", free))


def test_hup_opens_and_closes_ports(make_server: MakeServer) -> None:
    server = make_server()
    server.start()
    old, server.port = server.port, free_port()
    server.write(endpoints=[["127.0.0.1", server.port, "smtp", "local"]])
    server.signal(signal.SIGHUP)
    server.wait_line("ready to serve", 2)
    assert server.ask().pid

    def closed() -> bool:
        try:
            socket.create_connection(("127.0.0.1", old)).close()
        except ConnectionRefusedError:
            return True
        return False

    eventually(closed)


def test_workers_that_cannot_start_do_not_replace_those_that_serve(
    make_server: MakeServer,
) -> None:
    server = make_server(text="one")
    server.start()
    with steady_clients(server):
        server.write(text="never ready")
        server.signal(signal.SIGHUP)
        server.wait_line("cannot serve like this", 3)
        old = [pid for pid, name in server.workers().items() if name]
        assert len(old) >= 2
        server.write(text="three")
        server.signal(signal.SIGHUP)
        server.wait_line("ready to serve", 2)
    eventually(lambda: len(server.workers()) == 2)
    assert server.ask().text == "three"


def test_an_exclusive_kind_never_runs_twice(make_server: MakeServer) -> None:
    server = make_server(kinds=["smtp", "queue"])
    server.start()
    for count, number in ((2, signal.SIGHUP), (3, signal.SIGUSR2), (4, signal.SIGHUP)):
        server.signal(number)
        server.wait_line("ready to serve", count)
    words = [line.split()[0] for line in (server.data_dir / "run/alone").read_text().splitlines()]
    assert words == ["begin", "end"] * 3 + ["begin"]


def test_slots_of_overlapping_generations_differ(make_server: MakeServer) -> None:
    server = make_server()
    server.start()
    with server.connect() as sock:
        old = server.facts(sock, "stuck")
        server.signal(signal.SIGHUP)
        server.wait_line("ready to serve", 2)
        eventually(lambda: len(server.workers()) == 3)
        assert old.slot not in {server.ask().slot for _ in range(40)}


def test_usr2_keeps_the_pid_and_refuses_no_connection(make_server: MakeServer) -> None:
    server = make_server(text="one", kinds=["smtp", "queue"])
    server.start()
    old = set(server.workers())
    with steady_clients(server):
        server.write(text="two")
        server.signal(signal.SIGUSR2)
        line = server.wait_line("ready to serve", 2)
        assert f"pid={server.pid}" in line
        eventually(lambda: old.isdisjoint(server.workers()))
        assert server.ask().text == "two"
    assert (server.data_dir / "run/mox.pid").read_text() == f"{server.pid}\n"
    server.signal(signal.SIGTERM)
    assert server.wait_exit() == signal.SIGTERM


def test_usr2_lets_old_sessions_finish(make_server: MakeServer) -> None:
    server = make_server(text="one")
    server.start()
    with server.connect() as sock:
        server.facts(sock, "wait")
        server.signal(signal.SIGUSR2)
        assert sock.makefile().readline() == "bye\n"


def test_usr2_with_a_program_that_would_not_start_changes_nothing(
    make_server: MakeServer,
) -> None:
    server = make_server(text="one")
    server.start()
    before = server.workers()
    server.config.write_text("{ not json")
    server.signal(signal.SIGUSR2)
    server.wait_line("new program would not start")
    assert server.workers() == before
    assert server.ask().text == "one"


def test_usr2_twice(make_server: MakeServer) -> None:
    server = make_server()
    server.start()
    for count in (2, 3):
        server.signal(signal.SIGUSR2)
        server.wait_line("ready to serve", count)
    eventually(lambda: len(server.workers()) == 2)
    assert server.ask().pid in server.workers()


def test_a_stop_during_an_upgrade_stops(make_server: MakeServer) -> None:
    server = make_server()
    server.start()
    server.signal(signal.SIGUSR2)
    server.wait_line("starting the new program")
    server.signal(signal.SIGTERM)
    assert server.wait_exit() == signal.SIGTERM
