"""The power fails under load: what was answered is there afterwards, once, wherever it was by then.

The server works on a file system of its own, in an image. What it has in memory only is not in the
image: a copy made when all processes have been killed is what a disk has after a loss of power.
Mounts need root, and fail without it; so that is no part of `make test`, where files are taken by
hand.
"""

from __future__ import annotations

import imaplib
import os
import random
import smtplib
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path

import pytest

from mox.store import journal, open_store
from mox.store.records import KEY_AMU
from tests.e2e.test_crash_server import (
    TIMEOUT_S,
    Imap,
    Rounds,
    contents,
    message,
    wait_for_progress,
)
from tests.e2e.test_disk_full import fill_but
from tests.support.images import Disk
from tests.support.server import PASSWORD, USER, Server


class PowerLoss(Rounds):
    """Rounds that end with the loss of power."""

    serves_within_s = 15.0  # nothing is in memory

    def __init__(self, directory: Path, seed: int) -> None:
        self.disk = Disk(directory, has_journal=seed % 2 == 0)
        super().__init__(self.disk.root / "mox", seed)
        # What is told while the power fails is no longer a promise of the disk.
        self.server.log_path = directory / "log"

    def init(self) -> None:
        super().init()
        self.disk.sync()  # the test's own changes to the configuration

    def kill(self, victim: str) -> None:
        super().kill(victim)
        self.disk.cut()

    def end(self) -> None:
        super().end()
        self.disk.unmount()


@pytest.fixture
def lossy(tmp_path: Path) -> Iterator[Callable[[int], PowerLoss]]:
    made: list[PowerLoss] = []

    def make(seed: int) -> PowerLoss:
        rounds = PowerLoss(tmp_path, seed)
        made.append(rounds)
        rounds.begin()
        return rounds

    yield make
    for rounds in made:
        rounds.end()


@pytest.mark.slow
@pytest.mark.timeout(3600)
@pytest.mark.parametrize("seed", range(100, 106))
def test_what_was_answered_survives_loss_of_power(
    lossy: Callable[[int], PowerLoss], seed: int
) -> None:
    loss = lossy(seed)
    for _ in range(10):
        loss.run("everything")
    loss.finish()
    assert len(loss.answers.delivered) > 50


class Mailboxes(Imap):
    """Makes, fills, renames and removes mailboxes of its own."""

    def __init__(self, loss: PowerLoss, name: str) -> None:
        super().__init__(loss.server, loss.answers, name, loss.seed)
        self.boxes: dict[str, set[str]] = {}  # tokens of what is in each
        self.removed: set[str] = set()
        self.going: tuple[str, str, set[str]] = ("", "", set())  # from, to, tokens: no answer

    @contextmanager
    def connected(self) -> Iterator[Callable[[], None]]:
        client = imaplib.IMAP4("127.0.0.1", self.server.imap, timeout=TIMEOUT_S)
        try:
            client.login(USER, PASSWORD)
            yield lambda: self.step(client)
        finally:
            client.shutdown()

    def step(self, client: imaplib.IMAP4) -> None:
        name = self.token()
        tokens = {f"{name}-{number}" for number in range(3)}
        self.going = "", name, tokens
        self.ok(client.create(name))
        for token in sorted(tokens):
            self.ok(client.append(name, "", "", message(token)))  # type: ignore[arg-type]
        self.boxes[name] = tokens
        if self.rng.random() < 0.7:
            below = self.rng.choice(["", f"{self.rng.choice(sorted(self.boxes))}/"])
            new = f"{below}{name}-renamed"
            self.going = name, new, tokens
            self.ok(client.rename(name, new))
            self.boxes[new] = self.boxes.pop(name)
            name = new
        if self.rng.random() < 0.3 and not any(each.startswith(f"{name}/") for each in self.boxes):
            self.going = name, "", tokens
            self.ok(client.delete(name))
            del self.boxes[name]
            self.removed.add(name)
        self.going = "", "", set()

    def check(self, client: imaplib.IMAP4) -> None:
        """Whether all is there that was answered; then go on from what there is."""
        old, new, tokens = self.going
        for name, expected in [*self.boxes.items(), (old, tokens), (new, tokens)]:
            if not name:
                continue
            found = self.tokens_in(client, name)
            if name not in (old, new):
                assert found == expected, f"{name}: {found}"
            elif found:
                # Filled in part when it is new; of a rename one of both.
                assert set(found) <= tokens
                assert not old or found == tokens
                self.boxes[name] = set(found)
        if old and new:
            there = [name for name in (old, new) if self.tokens_in(client, name)]
            assert len(there) == 1, f"{old} and {new}: {there}"
        for name in self.removed:
            assert self.tokens_in(client, name) is None, f"{name} came back"
        for name in (old, new):
            if name and not self.tokens_in(client, name):
                self.boxes.pop(name, None)

    def tokens_in(self, client: imaplib.IMAP4, name: str) -> set[str] | None:
        if client.select(name, readonly=True)[0] != "OK":
            return None
        found = [token for token, _ in contents(client, name).values()]
        assert len(found) == len(set(found)), found
        return set(found)


@pytest.mark.slow
@pytest.mark.timeout(3600)
@pytest.mark.parametrize("seed", range(200, 206))
def test_mailboxes_survive_loss_of_power(lossy: Callable[[int], PowerLoss], seed: int) -> None:
    loss = lossy(seed)
    states = [Mailboxes(loss, name) for name in ("a", "b")]
    for number in range(10):
        clients = [_like(loss, state) for state in states]
        for client in clients:
            client.start()
        wait_for_progress(clients)
        time.sleep(loss.rng.random() * 0.6)
        loss.kill("everything")
        for client in clients:
            client.stopping.set()
        for client in clients:
            client.join(40)
            assert client.error is None, client.error
        loss.start()
        imap = loss.server.imap_client()
        for client in clients:
            client.check(imap)
        imap.logout()
        states = clients
        assert all(state.boxes for state in states), number
    loss.finish()


def _like(loss: PowerLoss, before: Mailboxes) -> Mailboxes:
    """A thread that goes on where another ended."""
    client = Mailboxes(loss, before.name.partition(".")[0])
    client.count, client.boxes, client.removed = before.count, before.boxes, before.removed
    return client


@pytest.mark.slow
@pytest.mark.timeout(300)
def test_a_full_disk_that_loses_its_power_gives_all_back_when_there_is_space(
    tmp_path: Path,
) -> None:
    disk = Disk(tmp_path, has_journal=True, size=96 << 20)
    server = Server(disk.root / "mox")
    server.log_path = tmp_path / "log"
    server.start()
    try:
        fill_but(disk.root, 3 << 20)
        accepted = send_until_refused(server)
        server.kill_group()
        disk.cut()
        server.start(wait=False)
        assert server.process is not None
        assert server.process.wait(30) == 1
        assert "free space or raise the disk quota" in server.log
        (disk.root / "filler").unlink()
        server.start()
        imap = server.imap_client()
        found = [token for token, _ in contents(imap, "INBOX").values()]
        imap.logout()
        assert found[: len(accepted)] == accepted
        assert len(found) == len(set(found))
        assert "wrote files of messages" in server.log
    finally:
        server.stop()
        disk.unmount()


def send_until_refused(server: Server) -> list[str]:
    """Tokens of what was accepted until the disk was full."""
    accepted: list[str] = []
    with smtplib.SMTP("127.0.0.1", server.smtp, timeout=30) as client:
        while True:
            token = f"token-{len(accepted)}"
            try:
                client.sendmail("a@localhost", [USER], message(token) * 4)
            except smtplib.SMTPResponseException as e:
                assert e.smtp_code == 452, e
                assert len(accepted) > 20
                return accepted
            accepted.append(token)


def take_files(directory: Path, rng: random.Random) -> int:
    """Do to files that may not be durable what a crash does; how many there were."""
    store = open_store(directory)
    account = store.find_account("mox")
    assert account is not None
    inbox = account.mailbox_id("INBOX")
    assert inbox is not None
    with store.dbs.env.begin() as txn:
        uids = sorted(KEY_AMU.unpack(key)[2] for key in journal.messages(txn, store.dbs))
    paths = [Path(account.directory(inbox), path) for path in account.paths(inbox, uids)]
    store.close()
    for path in paths:
        rng.choice([Path.unlink, lambda path: os.truncate(path, rng.randrange(100))])(path)
    return len(paths)


def test_files_that_a_crash_took_are_there_again(tmp_path: Path) -> None:
    server = Server(tmp_path / "mox")
    server.start()
    try:
        tokens = [f"token-{number}" for number in range(20)]
        with smtplib.SMTP("127.0.0.1", server.smtp, timeout=30) as client:
            for token in tokens:
                client.sendmail("a@localhost", [USER], message(token))
            server.kill_group()
        taken = take_files(server.directory, random.Random(7))
        server.start()
        imap = server.imap_client()
        assert [token for token, _ in contents(imap, "INBOX").values()] == tokens
        typ, data = imap.uid("FETCH", "1:*", "(BODY.PEEK[TEXT])")
        assert typ == "OK"
        bodies = [item[1] for item in data if isinstance(item, tuple)]
        assert bodies == [message("").split(b"\r\n\r\n", 1)[1]] * len(tokens)
        imap.logout()
        assert taken > 0, "the last ones have come within the second"
        assert f"files={taken}" in server.log
    finally:
        server.stop()
