"""The queue as a process of a whole server: killed at any moment, kicked, and fast."""

from __future__ import annotations

import contextlib
import os
import signal
import smtplib
import socket
import subprocess
import threading
import time
from collections.abc import Iterator
from pathlib import Path

import pytest

from tests.queue.sink import Sink
from tests.support import queued
from tests.support.server import MOX, eventually, free_offset

pytestmark = pytest.mark.e2e

SINK = "/usr/sbin/smtp-sink"

STATIC = """\
DataDir: data
LogLevel: info
User: {user}
Hostname: mail.example.org
Listeners:
	local:
		IPs:
			- 127.0.0.1
		SMTP:
			Enabled: true
			Port: {smtp}
			NoSTARTTLS: true
		Submission:
			Enabled: true
			Port: {submission}
			NoRequireSTARTTLS: true
Transports:
	sink:
		SMTP:
			Host: localhost
			Port: {sink}
			NoSTARTTLS: true
Postmaster:
	Account: mjl
	Mailbox: Postmaster
"""

DYNAMIC = """\
Domains:
	example.org: nil
Accounts:
	mjl:
		Domain: example.org
		MaxOutgoingMessagesPerDay: 100000
		MaxFirstTimeRecipientsPerDay: 100000
		Destinations:
			mjl@example.org: nil
Routes:
	-
		Transport: sink
"""

PASSWORD = "test1234"
MESSAGE = "From: <mjl@example.org>\r\nSubject: {}\r\n\r\n" + "some text\r\n" * 100


class Serve:
    """`mox serve` in a directory, with all mail routed to a port."""

    def __init__(self, directory: Path, sink: int) -> None:
        self.directory = directory
        offset = free_offset()
        self.submission = 587 + offset
        self.process: subprocess.Popen[bytes] | None = None
        (directory / "data").mkdir()
        (directory / "mox.conf").write_text(
            STATIC.format(user=os.getuid(), smtp=25 + offset, submission=self.submission, sink=sink)
        )
        (directory / "domains.conf").write_text(DYNAMIC)
        self.mox("setaccountpassword", "mjl", stdin=PASSWORD + "\n")

    def mox(self, *words: str, stdin: str = "") -> str:
        command = [str(MOX), "-config", str(self.directory / "mox.conf"), *words]
        result = subprocess.run(
            command, input=stdin, capture_output=True, text=True, check=True, timeout=60
        )
        return result.stdout

    def start(self) -> None:
        command = [str(MOX), "-config", str(self.directory / "mox.conf"), "serve"]
        self._log = (self.directory / "log").open("ab")
        self.process = subprocess.Popen(
            command, stdout=self._log, stderr=self._log, start_new_session=True
        )
        eventually(self._greets, 30.0)

    @property
    def log(self) -> str:
        return (self.directory / "log").read_text(errors="replace")

    def _greets(self) -> bool:
        assert self.process is not None
        assert self.process.poll() is None, self.log[-3000:]
        with (
            contextlib.suppress(OSError),
            socket.create_connection(("127.0.0.1", self.submission), timeout=2) as sock,
        ):
            return bool(sock.recv(100))
        return False

    def stop(self) -> None:
        if self.process is None:
            return
        self.process.send_signal(signal.SIGTERM)
        self.process.wait(60)
        self._log.close()

    def queue_process(self) -> int:
        assert self.process is not None
        children = Path(f"/proc/{self.process.pid}/task/{self.process.pid}/children")
        for pid in map(int, children.read_text().split()):
            with contextlib.suppress(FileNotFoundError):
                if b"queue" in Path(f"/proc/{pid}/cmdline").read_bytes():
                    return pid
        return 0

    @contextlib.contextmanager
    def client(self) -> Iterator[smtplib.SMTP]:
        with smtplib.SMTP("127.0.0.1", self.submission, timeout=60) as client:
            client.login("mjl@example.org", PASSWORD)
            yield client

    def submit(self, subjects: range, recipient: str = "you@there.example") -> None:
        with self.client() as client:
            for number in subjects:
                client.sendmail("mjl@example.org", recipient, MESSAGE.format(number))


@pytest.fixture
def sink() -> Iterator[Sink]:
    sink = Sink(delay_s=0.02)
    sink.start()
    yield sink
    sink.close()


@pytest.fixture
def server(tmp_path: Path, sink: Sink) -> Iterator[Serve]:
    server = Serve(tmp_path, sink.port)
    yield server
    server.stop()


def test_kill_repeats_at_most_what_was_in_flight(server: Serve, sink: Sink) -> None:
    server.start()
    count = 300
    submitting = threading.Thread(target=server.submit, args=(range(count),))
    submitting.start()
    kills = 0
    for part in (30, 80, 130):
        eventually(lambda part=part: sum(sink.taken.values()) >= part, 30.0)  # type: ignore[misc]
        pid = server.queue_process()
        assert pid
        os.kill(pid, signal.SIGKILL)
        kills += 1
        eventually(lambda pid=pid: server.queue_process() not in (0, pid), 30.0)  # type: ignore[misc]
    submitting.join()

    # What was in hand waits for its next attempt; all the rest goes. (What is being delivered at
    # the moment of looking reads the same.)
    def only_interrupted() -> bool:
        lines = server.mox("queue", "list").splitlines()[1:]
        interrupted = all("delivering..." in line for line in lines) or lines == ["(none)"]
        return interrupted and len(lines) <= kills * sink.most_open

    eventually(only_interrupted, 30.0, 0.5)
    server.mox("queue", "kick")
    eventually(lambda: len(sink.taken) == count, 30.0)
    eventually(lambda: server.mox("queue", "list") == "messages:\n(none)\n", 30.0, 0.5)
    repeated = sum(sink.taken.values()) - count
    assert repeated <= kills * sink.most_open
    assert queued.contents(server.directory / "data") == []


def test_dead_sink_is_found_again_by_a_kick(server: Serve, sink: Sink) -> None:
    sink.close()
    server.start()
    server.submit(range(3))

    def attempted() -> bool:
        lines = server.mox("queue", "list").splitlines()[1:]
        return len(lines) == 3 and all("refused" in line and "next 7m" in line for line in lines)

    eventually(attempted, 30.0, 0.3)
    again = Sink(port=sink.port)
    again.start()
    assert server.mox("queue", "kick", "1") == "1 messages will be tried now\n"
    eventually(lambda: sum(again.taken.values()) == 1)
    assert server.mox("queue", "kick") == "2 messages will be tried now\n"
    eventually(lambda: sum(again.taken.values()) == 3)
    eventually(lambda: server.mox("queue", "list") == "messages:\n(none)\n", 10.0, 0.3)
    again.close()


def test_unknown_message_is_not_kicked(server: Serve) -> None:
    with pytest.raises(subprocess.CalledProcessError) as failure:
        server.mox("queue", "kick", "7")
    assert failure.value.stderr == "not in the queue: 7\n"
    assert server.mox("queue", "list") == "messages:\n(none)\n"


def test_limit_is_kept_by_submissions_at_the_same_time(server: Serve, sink: Sink) -> None:
    """Over several processes: what is counted is what gets into the queue."""
    path = server.directory / "domains.conf"
    path.write_text(path.read_text().replace("PerDay: 100000", "PerDay: 25"))
    server.start()
    accepted: list[int] = []
    refused: list[tuple[int, bytes]] = []

    def send(number: int) -> None:
        with server.client() as client:
            for n in range(10):
                try:
                    to = f"u{number}-{n}@there.example"
                    client.sendmail("mjl@example.org", to, MESSAGE.format(n))
                    accepted.append(number)
                except smtplib.SMTPDataError as e:
                    refused.append((e.smtp_code, e.smtp_error))

    clients = [threading.Thread(target=send, args=(number,)) for number in range(8)]
    for client in clients:
        client.start()
    for client in clients:
        client.join()
    assert len(accepted) == 25
    assert len(refused) == 55
    assert {code for code, _ in refused} == {451}
    assert all(b"4.7.1" in text for _, text in refused)
    eventually(lambda: sum(sink.taken.values()) == 25)


def test_hundreds_a_second_go_to_one_server(tmp_path: Path) -> None:
    with socket.create_server(("127.0.0.1", 0)) as probe:
        port = probe.getsockname()[1]
    user = ["-u", "nobody"] if os.getuid() == 0 else []
    sink = subprocess.Popen([SINK, *user, f"127.0.0.1:{port}", "1000"])
    server = Serve(tmp_path, port)
    try:
        server.start()
        began = time.monotonic()
        count, clients = 1200, 8
        threads = [
            threading.Thread(
                target=server.submit, args=(range(count // clients), f"you@d{n}.example")
            )
            for n in range(clients)
        ]
        for thread in threads:
            thread.start()
        for thread in threads:
            thread.join()
        eventually(lambda: server.mox("queue", "list") == "messages:\n(none)\n", 60.0, 0.2)
        rate = count / (time.monotonic() - began)
        delivered = server.log.count('m="message delivered"')
        assert delivered == count
        # The client in this test is what is slow; a queue without reuse would be far below.
        assert rate > 60
    finally:
        server.stop()
        sink.terminate()
        sink.wait()
