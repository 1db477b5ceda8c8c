"""kill -9 of the queue process under load: nothing is lost, only what was in flight comes twice.

RFC 5321 §6.1: rather twice than never; but a queue that repeats more than it must is a nuisance.
"""

from __future__ import annotations

import contextlib
import os
import random
import signal
import subprocess
import sys
import time
from collections.abc import Iterator
from pathlib import Path

import pytest
from msgspec import structs

from mox.config import load
from mox.queue import hop
from mox.store import open_store
from mox.store.outgoing import Outgoing
from tests.queue.sink import Sink
from tests.support.server import eventually

STATIC = """\
DataDir: data
LogLevel: error
Hostname: mail.example.org
Listeners:
	local:
		IPs:
			- 127.0.0.1
		SMTP:
			Enabled: true
			NoSTARTTLS: true
Transports:
	sink:
		SMTP:
			Host: localhost
			Port: {port}
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
		Destinations:
			mjl@example.org: nil
Routes:
	-
		Transport: sink
"""
QUEUED = 150
# After so many kills what was interrupted is due again: it is interrupted more than once.
KICK_EVERY = 5


class Nursery:
    """The process that forks those to be killed."""

    def __init__(self, directory: Path) -> None:
        self.stderr = directory / "stderr"
        with self.stderr.open("wb") as stderr:
            self._process = subprocess.Popen(
                [sys.executable, "-m", "tests.queue.killing"],
                stdin=subprocess.PIPE,
                stdout=subprocess.PIPE,
                stderr=stderr,
                text=True,
                cwd=Path(__file__).parents[2],
            )
        self._alive: set[int] = set()

    def start(self, *words: object) -> int:
        assert self._process.stdin is not None
        assert self._process.stdout is not None
        print(*words, file=self._process.stdin, flush=True)
        pid = int(self._process.stdout.readline())
        self._alive.add(pid)
        return pid

    def kill(self, pid: int) -> None:
        os.kill(pid, signal.SIGKILL)
        eventually(lambda: not Path(f"/proc/{pid}").exists())
        self._alive.discard(pid)

    def check(self) -> None:
        lines = self.stderr.read_text().splitlines()
        bad = [line for line in lines if not line.startswith("l=info ")]
        assert not bad, bad[:30]

    def close(self) -> None:
        for pid in self._alive:
            with contextlib.suppress(ProcessLookupError):
                os.kill(pid, signal.SIGKILL)
        assert self._process.stdin is not None
        assert self._process.stdout is not None
        self._process.stdin.close()
        self._process.wait(10)
        self._process.stdout.close()


class Load:
    """A data directory with a submitter at work, a sink, and queue processes one after another."""

    def __init__(self, directory: Path, sink: Sink, nursery: Nursery) -> None:
        self.sink, self.nursery = sink, nursery
        self.config = directory / "mox.conf"
        self.journal = directory / "journal"
        (directory / "data").mkdir()
        self.config.write_text(STATIC.format(port=sink.port))
        (directory / "domains.conf").write_text(DYNAMIC)
        self.submitter = nursery.start("submit", self.config, self.journal, QUEUED)
        eventually(self.journal.exists)

    def start(self) -> int:
        return self.nursery.start("queue", self.config)

    @property
    def submitted(self) -> set[bytes]:
        return set(self.journal.read_bytes().split())

    def wait_for(self, more: int) -> None:
        before = self.sink.taken.total()
        eventually(lambda: self.sink.taken.total() >= before + more, 60.0, 0.001)

    def kick(self) -> None:
        store = open_store(load(self.config, check_files=False).data_dir)
        try:
            outgoing = Outgoing(store)
            ids = [msg.id for msg in outgoing.messages()]
            outgoing.update(ids, lambda msg: structs.replace(msg, next_attempt=time.time()))
        finally:
            store.close()

    def empty(self) -> None:
        """Deliver all that there is, in peace."""
        self.nursery.kill(self.submitter)
        self.kick()
        pid = self.start()
        store = open_store(load(self.config, check_files=False).data_dir)
        try:
            eventually(lambda: Outgoing(store).count() == 0, 60.0)
        finally:
            store.close()
        self.nursery.kill(pid)

    def check(self) -> None:
        """Compare what was submitted with what arrived."""
        taken, cut = self.sink.taken, self.sink.cut
        lost = [name for name in self.submitted if not taken[name]]
        assert not lost, f"lost: {lost[:10]} and more"
        # The submitter may have been killed before it noted what it had queued.
        assert len(taken.keys() - self.submitted) <= 3
        often = {name: count for name, count in taken.items() if count > 1}
        assert all(count <= 1 + cut[name] for name, count in often.items()), often
        self.nursery.check()


@pytest.fixture
def load_(tmp_path: Path) -> Iterator[Load]:
    sink = Sink(delay_s=0.003, by_recipient=True)
    sink.start()
    nursery = Nursery(tmp_path)
    yield Load(tmp_path, sink, nursery)
    nursery.close()
    sink.close()


@pytest.mark.parametrize(
    "kills", [8, pytest.param(200, marks=[pytest.mark.slow, pytest.mark.timeout(3600)])]
)
def test_kill_loses_nothing_and_repeats_what_was_in_flight(load_: Load, kills: int) -> None:
    chance = random.Random(kills)
    for number in range(1, kills + 1):
        pid = load_.start()
        load_.wait_for(chance.randint(1, 40))
        # Any moment will do: chance decides, no condition.
        time.sleep(chance.random() * 0.02)
        load_.nursery.kill(pid)
        eventually(lambda: load_.sink.open == 0)
        if number % KICK_EVERY == 0:
            load_.kick()
    repeated = load_.sink.taken.total() - len(load_.sink.taken)
    in_flight = load_.sink.cut.total()
    assert in_flight >= kills
    load_.empty()
    load_.check()
    print(f"{kills} kills: {len(load_.submitted)} recipients, {in_flight} cut, {repeated} twice")


def test_second_queue_process_delivers_nothing(load_: Load) -> None:
    """It waits for the first one to end, however that ends."""
    first, second = load_.start(), load_.start()
    load_.wait_for(100)
    assert load_.sink.most_open <= hop.SMARTHOST_COURIERS
    # All of it is due now, in hand of the first or not.
    load_.kick()
    load_.wait_for(20)
    load_.nursery.kill(load_.submitter)
    load_.nursery.kill(first)
    eventually(lambda: load_.sink.open == 0)
    load_.kick()
    store = open_store(load(load_.config, check_files=False).data_dir)
    try:
        eventually(lambda: Outgoing(store).count() == 0, 30.0)
    finally:
        store.close()
    load_.nursery.kill(second)
    load_.check()
