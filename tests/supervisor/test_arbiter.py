"""The supervisor as a process: start, crash, stop."""

from __future__ import annotations

import itertools
import os
import re
import signal
import socket
from collections.abc import Callable
from pathlib import Path

import psutil
import pytest

from tests.supervisor.supervised import Server, eventually

pytestmark = pytest.mark.e2e
MakeServer = Callable[..., Server]


def test_workers_serve_and_name_themselves(make_server: MakeServer) -> None:
    server = make_server(kinds=["smtp", "queue"], text="hello world")
    server.start()
    assert server.ask().text == "hello world"
    names = sorted(server.workers().values())
    assert names == ["mox: queue", "mox: smtp worker 1", "mox: smtp worker 2"]


def test_connections_are_spread_over_workers(make_server: MakeServer) -> None:
    server = make_server()
    server.start()
    pids = {server.ask().pid for _ in range(60)}
    assert pids == set(server.workers())


def test_a_kind_without_listener_is_not_started(make_server: MakeServer) -> None:
    server = make_server(kinds=["smtp", "web"])
    server.start()
    assert len(server.workers()) == 2


def test_a_killed_worker_is_replaced_in_its_slot(make_server: MakeServer) -> None:
    server = make_server()
    server.start()
    victim = server.ask()
    os.kill(victim.pid, signal.SIGKILL)
    eventually(lambda: len(server.workers()) == 2 and victim.pid not in server.workers())
    facts = eventually(
        lambda: next((f for _ in range(40) if (f := server.ask()).slot == victim.slot), None)
    )
    assert facts.pid != victim.pid
    line = server.wait_line("worker died")
    assert "signal 9" in line
    assert "dmesg" in line


def test_what_waits_for_a_dead_worker_is_served_by_its_successor(make_server: MakeServer) -> None:
    server = make_server(workers=1)
    server.start()
    os.kill(server.ask().pid, signal.SIGKILL)
    with server.connect() as sock:
        assert server.facts(sock).pid in server.workers()


def test_crashes_are_logged_and_restarts_slow_down(make_server: MakeServer) -> None:
    server = make_server(kinds=["smtp", "crash"])
    server.start()
    server.wait_line("crashing", 4)
    times = [float(line.split()[1]) for line in server.lines if line.startswith("crashing")]
    gaps = [after - before for before, after in itertools.pairwise(times)]
    assert gaps[0] >= 0.1
    assert gaps[1] >= 0.2
    assert gaps[2] >= 0.4
    line = server.wait_line('m="worker failed"')
    assert 'err="RuntimeError: as planned"' in line
    assert "stack=" in line
    assert server.ask().pid


def test_a_greenlet_that_fails_is_logged_in_one_line(make_server: MakeServer) -> None:
    server = make_server()
    server.start()
    server.ask("raise")
    line = server.wait_line('m="greenlet failed"')
    assert line.startswith("l=error")
    assert "ValueError" in line
    assert not any(line.startswith("Traceback") for line in server.lines)


@pytest.mark.parametrize("number", [signal.SIGTERM, signal.SIGINT])
def test_stop_drains_and_exits_with_the_signal_number(
    make_server: MakeServer, number: signal.Signals
) -> None:
    server = make_server()
    server.start()
    with server.connect() as sock:
        server.facts(sock, "wait")
        server.signal(number)
        assert sock.makefile().readline() == "bye\n"
    assert server.wait_exit() == number
    with pytest.raises(ConnectionRefusedError):
        server.connect()


def test_a_worker_that_does_not_end_is_killed_after_the_grace_period(
    make_server: MakeServer,
) -> None:
    server = make_server(grace_s=0.3)
    server.start()
    with server.connect() as sock:
        server.facts(sock, "stuck")
        server.signal(signal.SIGTERM)
        assert server.wait_exit() == signal.SIGTERM
    server.wait_line("killing it")


def test_a_second_signal_does_not_wait(make_server: MakeServer) -> None:
    server = make_server(grace_s=1000)
    server.start()
    with server.connect() as sock:
        server.facts(sock, "stuck")
        server.signal(signal.SIGTERM)
        server.wait_line("stopping")
        server.signal(signal.SIGINT)
        assert server.wait_exit() == signal.SIGTERM


def test_workers_end_when_the_supervisor_is_killed(make_server: MakeServer) -> None:
    server = make_server(kinds=["smtp", "queue"])
    server.start()
    workers = [psutil.Process(pid) for pid in server.workers()]
    server.signal(signal.SIGKILL)
    server.wait_exit()
    assert psutil.wait_procs(workers, timeout=20)[1] == []
    with pytest.raises(ConnectionRefusedError):
        server.connect()


def test_a_killed_supervisor_leaves_free_ports_while_connections_finish(
    make_server: MakeServer,
) -> None:
    server = make_server()
    server.start()
    with server.connect() as sock:
        old = server.facts(sock, "stuck")
        server.signal(signal.SIGKILL)
        server.wait_exit()

        def restarts() -> bool:
            server.start(wait=False)
            return server.wait_line_or_exit("ready to serve")

        eventually(restarts)
        assert psutil.pid_exists(old.pid)
        psutil.Process(old.pid).kill()


def test_a_taken_port_is_named(make_server: MakeServer) -> None:
    server = make_server()
    with socket.socket() as other:
        other.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEPORT, 1)
        other.bind(("127.0.0.1", server.port))
        other.listen()
        server.start(wait=False)
        assert server.wait_exit() == 1
    eventually(lambda: server.lines)
    text = "".join(server.lines)
    assert f"127.0.0.1:{server.port} (smtp of listener local): another program" in text
    assert "Traceback" not in text


def test_the_pid_file_lasts_as_long_as_the_server(make_server: MakeServer) -> None:
    server = make_server()
    server.start()
    path = server.data_dir / "run" / "mox.pid"
    assert path.read_text() == f"{server.pid}\n"
    server.signal(signal.SIGTERM)
    server.wait_exit()
    assert not path.exists()


def test_a_second_server_on_the_same_data_is_refused(
    make_server: MakeServer, tmp_path: Path
) -> None:
    server = make_server()
    server.start()
    (tmp_path / "second").mkdir()
    second = Server(tmp_path / "second", data_dir=str(server.data_dir))
    second.start(wait=False)
    assert second.wait_exit() == 1
    line = second.wait_line("serves this data directory already")
    assert f"process {server.pid}" in line


@pytest.mark.skipif(os.getuid() != 0, reason="only root can become another user")
def test_workers_give_up_root_for_good(make_server: MakeServer) -> None:
    server = make_server(identity=[65534, 65534])
    server.start()
    facts = server.ask()
    assert (facts.uid, facts.gid, facts.groups) == (65534, 65534, 0)
    status = Path(f"/proc/{facts.pid}/status").read_text()
    assert re.search(r"^Uid:\t65534\t65534\t65534", status, re.MULTILINE)
    assert re.search(r"^NoNewPrivs:\t1", status, re.MULTILINE)
    worker = psutil.Process(facts.pid)
    server.signal(signal.SIGKILL)
    assert psutil.wait_procs([worker], timeout=20)[1] == []


def test_states_are_told_to_the_service_manager(make_server: MakeServer, tmp_path: Path) -> None:
    server = make_server(kinds=["smtp"])
    with socket.socket(socket.AF_UNIX, socket.SOCK_DGRAM) as manager:
        manager.settimeout(20)
        manager.bind(str(tmp_path / "notify"))
        server.start(NOTIFY_SOCKET=str(tmp_path / "notify"))
        assert manager.recv(100) == b"READY=1"
        server.signal(signal.SIGHUP)
        assert manager.recv(100).startswith(b"RELOADING=1\nMONOTONIC_USEC=")
        assert manager.recv(100) == b"READY=1"
        server.signal(signal.SIGTERM)
        assert manager.recv(100) == b"STOPPING=1"
    server.wait_exit()
