"""The power fails under load: what was answered is there afterwards, once, wherever it was by then.

The server works on a file system of its own, in an image. What it has in memory only is not in the
image: a copy made when all processes have been killed is what a disk has after a loss of power.
Mounts need root, so that is no part of `make test`: there files are taken by hand.
"""

from __future__ import annotations

import os
import random
import smtplib
import subprocess
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest

from mox.store import journal, open_store
from tests.e2e.test_crash_server import Rounds, contents, message
from tests.support.server import USER, Server, eventually

SIZE = 1 << 30
# Journal commits of the file system would make durable what nobody has asked for.
OPTIONS = "loop,commit=600"


class Disk:
    """An image with ext4, mounted; `cut` has it lose what was not written yet."""

    def __init__(self, directory: Path) -> None:
        self.image = directory / "image"
        self.root = directory / "disk"
        self.root.mkdir()
        with self.image.open("wb") as file:
            file.truncate(SIZE)
        _run("mkfs.ext4", "-q", "-E", "lazy_itable_init=1", str(self.image))
        self.mount()

    def mount(self) -> None:
        _run("mount", "-o", OPTIONS, str(self.image), str(self.root))

    def unmount(self) -> None:
        """Once the last process is gone."""
        words = ["umount", str(self.root)]
        eventually(lambda: subprocess.run(words, stderr=subprocess.DEVNULL).returncode == 0)

    def cut(self) -> None:
        after = self.image.with_suffix(".after")
        _run("cp", "--sparse=always", str(self.image), str(after))
        self.unmount()
        after.replace(self.image)
        self.mount()


class PowerLoss(Rounds):
    """Rounds that end with the loss of power."""

    serves_within_s = 15.0  # nothing is in memory

    def __init__(self, directory: Path, seed: int) -> None:
        self.disk = Disk(directory)
        super().__init__(self.disk.root / "mox", seed)
        # What is told while the power fails is no longer a promise of the disk.
        self.server.log_path = directory / "log"

    def init(self) -> None:
        super().init()
        subprocess.run(
            ["sync", "-f", str(self.disk.root)], check=True
        )  # the test's own changes to the configuration

    def kill(self, victim: str) -> None:
        super().kill(victim)
        self.disk.cut()


def _run(*words: str) -> None:
    subprocess.run(words, check=True, timeout=60)


@pytest.fixture
def lossy(tmp_path: Path) -> Iterator[Callable[[int], PowerLoss]]:
    made: list[PowerLoss] = []

    def make(seed: int) -> PowerLoss:
        rounds = PowerLoss(tmp_path, seed)
        made.append(rounds)
        rounds.init()
        rounds.start()
        client = rounds.server.imap_client()
        client.create("Work")
        client.logout()
        return rounds

    yield make
    for rounds in made:
        if rounds.server.process is not None and rounds.server.process.poll() is None:
            rounds.server.kill_group()
        rounds.disk.unmount()


@pytest.mark.slow
@pytest.mark.timeout(3600)
@pytest.mark.skipif(os.geteuid() != 0, reason="mounts need root")
@pytest.mark.parametrize("seed", range(100, 105))
def test_what_was_answered_survives_loss_of_power(
    lossy: Callable[[int], PowerLoss], seed: int
) -> None:
    loss = lossy(seed)
    for _ in range(10):
        loss.run("everything")
    loss.finish()
    assert len(loss.answers.delivered) > 50


def take_files(directory: Path, rng: random.Random) -> int:
    """Do to files that may not be durable what a crash does; how many there were."""
    store = open_store(directory)
    account = store.find_account("mox")
    assert account is not None
    inbox = account.mailbox_id("INBOX")
    assert inbox is not None
    with store.dbs.env.begin() as txn:
        uids = sorted(journal.waiting(txn, store.dbs, account.id, inbox))
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
