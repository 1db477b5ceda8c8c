"""The parts of the supervisor on their own."""

from __future__ import annotations

import os
import socket
import stat
import subprocess
import sys
from pathlib import Path

import pytest

from mox import logfmt
from mox.supervisor import datadir, handover, pidfile
from mox.supervisor.errors import StartError
from mox.supervisor.kinds import KINDS, Kind
from mox.supervisor.notify import Notifier
from mox.supervisor.settings import Endpoint, Identity, identity_of
from mox.supervisor.slots import Slots
from mox.supervisor.sockets import SocketTable
from mox.supervisor.worker import MAX_DELAY_S, STABLE_S, Worker
from tests.supervisor.supervised import free_port

as_root = pytest.mark.skipif(os.getuid() != 0, reason="needs root")
NOBODY = Identity(65534, 65534)


def test_slots_give_the_lowest_and_take_back() -> None:
    slots = Slots(2)
    assert len(slots.fds) == 4
    assert [slots.take() for _ in range(5)] == [0, 1, 2, 3, None]
    slots.release(2)
    slots.release(None)
    assert slots.take() == 2


def test_slots_go_on_with_inherited_bells() -> None:
    before = Slots(1)
    after = Slots(2, before.fds)
    assert after.fds[:2] == before.fds
    assert len(after.fds) == 4
    after.claim(0)
    assert after.take() == 1


def test_restarts_slow_down_to_a_limit_and_begin_anew_after_a_good_minute() -> None:
    worker = Worker(Kind("smtp", ""), 0, 1)
    worker.started(1, now=0.0)
    delays = [worker.plan_restart(1.0) for _ in range(12)]
    assert delays[:4] == [0.1, 0.2, 0.4, 0.8]
    assert delays[-1] == MAX_DELAY_S
    worker.started(1, now=100.0)
    assert worker.plan_restart(100.0 + STABLE_S) == 0.1


def test_the_table_keeps_opens_and_closes() -> None:
    first, second = free_port(), free_port()
    table = SocketTable()
    endpoint = Endpoint("127.0.0.1", first, "smtp", "local")
    table.provide({endpoint: 2})
    kept = table.get(endpoint, 0)
    moved = Endpoint("127.0.0.1", second, "imap", "local")
    table.provide({endpoint: 1, moved: 1})
    assert table.get(endpoint, 0) is kept
    assert {address: len(fds) for address, fds in table.filenos().items()} == {
        ("127.0.0.1", first): 1,
        ("127.0.0.1", second): 1,
    }
    table.provide({})
    assert table.filenos() == {}


@pytest.mark.parametrize(
    ("ip", "reason"),
    [("192.0.2.1", "does not have this IP address"), ("127.0.0.1", "another program")],
)
def test_a_port_that_cannot_be_had_leaves_the_table_as_it_was(ip: str, reason: str) -> None:
    table = SocketTable()
    good = Endpoint("127.0.0.1", free_port(), "smtp", "local")
    table.provide({good: 1})
    with socket.socket() as other:
        other.bind(("127.0.0.1", 0))
        other.listen()
        bad = Endpoint(ip, other.getsockname()[1], "imap", "local")
        with pytest.raises(StartError, match=reason):
            table.provide({Endpoint("127.0.0.1", free_port(), "x", "y"): 1, bad: 1})
    assert list(table.filenos()) == [("127.0.0.1", good.port)]
    table.provide({})


def test_sockets_can_be_inherited() -> None:
    endpoint = Endpoint("127.0.0.1", free_port(), "smtp", "local")
    before = SocketTable()
    before.provide({endpoint: 1})
    copies = {address: [os.dup(fd) for fd in fds] for address, fds in before.filenos().items()}
    after = SocketTable(copies)
    before.provide({})
    after.provide({endpoint: 1})
    socket.create_connection(("127.0.0.1", endpoint.port)).close()
    after.provide({})


def test_an_ipv6_endpoint_is_printed_with_brackets() -> None:
    assert str(Endpoint("::1", 25, "smtp", "a")) == "[::1]:25 (smtp of listener a)"


def test_the_pid_file_knows_its_holder(tmp_path: Path) -> None:
    path = tmp_path / "mox.pid"
    assert pidfile.running(path) is None
    program = (
        "import sys; from pathlib import Path; from mox.supervisor import pidfile;"
        "pidfile.acquire(Path(sys.argv[1])); print('ok', flush=True); sys.stdin.read()"
    )
    with subprocess.Popen(
        [sys.executable, "-c", program, str(path)],
        stdin=subprocess.PIPE,
        stdout=subprocess.PIPE,
        text=True,
    ) as process:
        assert process.stdout is not None
        assert process.stdin is not None
        assert process.stdout.readline() == "ok\n"
        # What the file says does not count.
        path.write_text("1\n")
        assert pidfile.running(path) == process.pid
        with pytest.raises(StartError, match=f"process {process.pid}"):
            pidfile.acquire(path)
        process.stdin.close()
    assert pidfile.running(path) is None


def test_a_link_in_place_of_the_pid_file_is_not_followed(tmp_path: Path) -> None:
    (tmp_path / "victim").write_text("important")
    (tmp_path / "mox.pid").symlink_to(tmp_path / "victim")
    with pytest.raises(OSError, match="Too many levels"):
        pidfile.acquire(tmp_path / "mox.pid")
    assert (tmp_path / "victim").read_text() == "important"


def test_a_handover_arrives(monkeypatch: pytest.MonkeyPatch) -> None:
    assert handover.receive() is None
    read, write = os.pipe()
    monkeypatch.setenv(
        handover.VARIABLE,
        f'{{"pidfile_fd":{read},"bells":[{write}],"sockets":[],'
        '"children":[{"pid":7,"kind":"smtp","index":1,"slot":2}],"later":"unknown"}',
    )
    received = handover.receive()
    assert received is not None
    assert received.children == [handover.Child(7, "smtp", 1, 2)]
    assert received.descriptors == [read, write]
    assert not os.get_inheritable(read)
    assert handover.VARIABLE not in os.environ
    os.close(read)
    os.close(write)


def test_a_handover_that_cannot_be_read_is_an_error(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv(handover.VARIABLE, "[]")
    with pytest.raises(StartError, match="unreadable"):
        handover.receive()


def test_the_notifier_takes_its_variable_and_survives_a_missing_manager(
    monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    monkeypatch.setenv("NOTIFY_SOCKET", str(tmp_path / "nobody"))
    notifier = Notifier(logfmt.logger("serve"))
    assert "NOTIFY_SOCKET" not in os.environ
    notifier.ready()


def test_the_notifier_knows_abstract_names(monkeypatch: pytest.MonkeyPatch) -> None:
    name = f"mox-test-{os.getpid()}"
    with socket.socket(socket.AF_UNIX, socket.SOCK_DGRAM) as manager:
        manager.settimeout(10)
        manager.bind(f"\0{name}")
        monkeypatch.setenv("NOTIFY_SOCKET", f"@{name}")
        Notifier(logfmt.logger("serve")).stopping()
        assert manager.recv(100) == b"STOPPING=1"


def test_the_kinds_are_all_there() -> None:
    assert [kind.name for kind in KINDS] == [
        "smtp",
        "submission",
        "imap",
        "queue",
        "keeper",
        "web",
    ]
    services = [service for kind in KINDS for service in kind.services]
    assert len(services) == len(set(services))
    for kind in KINDS:
        assert callable(kind.resolve())


def test_users() -> None:
    assert identity_of(str(os.getuid())) is None
    with pytest.raises(StartError, match="no such user: nobody-at-all"):
        identity_of("nobody-at-all")
    with pytest.raises(StartError, match="no such user"):
        identity_of("٣")


@as_root
def test_users_by_name_and_number() -> None:
    assert identity_of("nobody") == NOBODY
    assert identity_of("4711") == Identity(4711, 4711)


def test_directories_are_made_once(tmp_path: Path) -> None:
    data = tmp_path / "a/data"
    datadir.prepare(data, None)
    key = (data / "receivedid.key").read_bytes()
    assert len(key) == 24
    assert datadir.metrics_dir(data).is_dir()
    datadir.prepare(data, None)
    assert (data / "receivedid.key").read_bytes() == key


def test_counters_of_earlier_starts_are_removed(tmp_path: Path) -> None:
    datadir.prepare(tmp_path, None)
    for name in ("counter_1.db", "counter_2.db", "other.txt"):
        (datadir.metrics_dir(tmp_path) / name).touch()
    datadir.forget_metrics(tmp_path, "*_1")
    assert not (datadir.metrics_dir(tmp_path) / "counter_1.db").exists()
    datadir.forget_metrics(tmp_path)
    assert os.listdir(datadir.metrics_dir(tmp_path)) == ["other.txt"]


@as_root
def test_permissions_are_repaired(tmp_path: Path) -> None:
    data = tmp_path / "data"
    (data / "sub").mkdir(parents=True)
    for path in (data / "file", data / "sub/secret", tmp_path / "outside"):
        path.write_text("x")
        path.chmod(0o664)
    (data / "link").symlink_to(tmp_path / "outside")
    datadir.fix_permissions(data, NOBODY)
    assert stat.S_IMODE(data.stat().st_mode) == 0o2750
    assert (data.stat().st_uid, data.stat().st_gid) == (NOBODY.uid, 0)
    for path in (data / "file", data / "sub/secret"):
        assert (path.stat().st_uid, stat.S_IMODE(path.stat().st_mode)) == (NOBODY.uid, 0o660)
    outside = (tmp_path / "outside").stat()
    assert (outside.st_uid, stat.S_IMODE(outside.st_mode)) == (0, 0o664)
    # Once the top is right, what is below is left alone.
    os.chown(data / "file", 0, 0)
    datadir.fix_permissions(data, NOBODY)
    assert (data / "file").stat().st_uid == 0


@as_root
def test_the_way_to_the_data_is_opened_or_the_obstacle_named(tmp_path: Path) -> None:
    parent = tmp_path / "closed/parent"
    (parent / "data").mkdir(parents=True)
    parent.chmod(0o750)
    (tmp_path / "closed").chmod(0o750)
    with pytest.raises(StartError, match="chmod o\\+x"):
        datadir.open_way(parent / "data", NOBODY)
    assert stat.S_IMODE(parent.stat().st_mode) == 0o751
    assert stat.S_IMODE((tmp_path / "closed").stat().st_mode) == 0o750
