"""A full disk: what comes in is put off, what is there can be read, and it passes by itself."""

from __future__ import annotations

import contextlib
import imaplib
import os
import re
import signal
import smtplib
import time
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from pathlib import Path

import pytest

from mox.store import open_store
from mox.store.reindex import reindex_account
from tests.support.accounts import look, recover
from tests.support.confined import ConfinedServer, Confinement, confined
from tests.support.server import PASSWORD, USER, Server, eventually

TIMEOUT_S = 20
MB = 1 << 20


def message(token: str, size: int = 1000) -> bytes:
    head = f"From: <{USER}>\r\nX-Token: {token}\r\n\r\n"
    return head.encode() + b"0123456789abcdef\r\n" * (size // 18 + 1)


@dataclass
class Full:
    """A server and how its disk is filled and freed."""

    server: Server
    fill: Callable[[], None]
    free: Callable[[], None]


def fill_but(directory: Path, left: int) -> None:
    """Take the space of a file system, all but so many octets."""
    status = os.statvfs(directory)
    taken = status.f_bavail * status.f_frsize - left
    with open(directory / "filler", "ab") as file:
        if taken > 0:
            os.posix_fallocate(file.fileno(), file.tell(), taken)


@pytest.fixture
def confinement() -> Iterator[Confinement]:
    with confined() as confinement:
        yield confinement


@contextlib.contextmanager
def serving(server: ConfinedServer) -> Iterator[ConfinedServer]:
    server.start(wait=False)
    try:
        server.wait()
        yield server
    finally:
        if server.process is not None and server.process.poll() is None:
            server.stop()


@pytest.fixture
def full_of_messages(confinement: Confinement, tmp_path: Path) -> Iterator[Full]:
    """Everything is on one small file system."""
    disk = tmp_path / "disk"
    disk.mkdir()
    confinement.tmpfs(disk, 40 * MB)
    with serving(ConfinedServer(confinement, disk / "mox", tmp_path / "mox.log")) as server:
        outside = confinement.outside(disk)
        yield Full(server, lambda: fill_but(outside, 3 * MB), (outside / "filler").unlink)


@pytest.fixture
def full_index(confinement: Confinement, tmp_path: Path) -> Iterator[Full]:
    """Only the index cannot grow: it has a file system of its own."""
    inner = tmp_path / "mox"
    server = ConfinedServer(confinement, inner, tmp_path / "mox.log")
    server.init()
    index = inner / "index"
    copy = tmp_path / "copy"
    index.rename(copy)
    index.mkdir()
    confinement.tmpfs(index, 40 * MB)
    confinement.run("cp", "-a", f"{copy}/.", str(index))
    with serving(server):
        outside = confinement.outside(index)
        yield Full(server, lambda: fill_but(outside, 64 << 10), (outside / "filler").unlink)


class Connected:
    """SMTP, submission and IMAP connections that are there before the disk is full."""

    def __init__(self, server: Server) -> None:
        self.server = server
        self.imap = imaplib.IMAP4("127.0.0.1", server.imap, timeout=TIMEOUT_S)
        self.imap.login(USER, PASSWORD)
        typ, data = self.imap.select("INBOX")
        assert typ == "OK", data

    def close(self) -> None:
        self.imap.logout()

    def send(self, token: str, size: int, *, submission: bool = False) -> tuple[int, str]:
        """Send a message over a connection of its own; the reply at the end."""
        port = self.server.submission if submission else self.server.smtp
        with smtplib.SMTP("127.0.0.1", port, timeout=TIMEOUT_S) as client:
            client.ehlo()
            if submission:
                client.login(USER, PASSWORD)
            try:
                client.sendmail(USER, [USER], message(token, size))
            except smtplib.SMTPDataError as e:
                return e.smtp_code, e.smtp_error.decode()
            except smtplib.SMTPRecipientsRefused as e:
                ((code, text),) = e.recipients.values()
                return code, text.decode()
            except smtplib.SMTPSenderRefused as e:
                return e.smtp_code, e.smtp_error.decode()
            return 250, ""

    def append(self, token: str, size: int) -> tuple[str, bytes]:
        typ, data = self.imap.append("INBOX", "", "", message(token, size))  # type: ignore[arg-type]
        return typ, data[0]

    def tokens(self) -> dict[str, int]:
        """Tokens of all messages in INBOX, with sizes of the bodies as they are fetched."""
        self.imap.noop()
        typ, data = self.imap.fetch("1:*", "(UID BODY.PEEK[])")
        assert typ == "OK", data
        found: dict[str, int] = {}
        for item in data:
            if isinstance(item, tuple):
                token = re.search(rb"X-Token: (\S+)", item[1])
                assert token
                assert token[1].decode() not in found
                found[token[1].decode()] = len(item[1])
        return found


@pytest.fixture
def connect() -> Iterator[Callable[[Server], Connected]]:
    made: list[Connected] = []

    def make(server: Server) -> Connected:
        made.append(Connected(server))
        return made[-1]

    yield make
    for each in made:
        with contextlib.suppress(OSError, imaplib.IMAP4.error):
            each.close()


def until_full(send: Callable[[int], tuple[object, object]], most: int) -> tuple[int, object]:
    """Send until something else than success comes back; how many went in, and what came."""
    for number in range(most):
        answer = send(number)
        if answer[0] not in (250, "OK"):
            return number, answer
    raise AssertionError("never full")


def check_everything(server: Server, expected: set[str]) -> None:
    """Stop and look: index and files agree, exactly what was taken is there."""
    directory = server.directory
    assert server.stop() == signal.SIGTERM
    store = open_store(directory)
    try:
        recover(store)
        account = store.find_account("mox")
        assert account is not None
        found = look(account)
        assert set(found) == expected
        assert all(len(places) == 1 for places in found.values())
        assert reindex_account(store, account).changed == 0
    finally:
        store.close()
    assert "Traceback" not in server.log


@pytest.mark.parametrize("size", [20_000, 1_500_000])
def test_message_files_fill_the_disk(
    full_of_messages: Full, connect: Callable[[Server], Connected], size: int
) -> None:
    server = full_of_messages.server
    clients = connect(server)
    kept = {"before"}
    assert clients.send("before", 100_000)[0] == 250
    workers = set(server.workers())
    full_of_messages.fill()

    count, answer = until_full(lambda n: clients.send(f"filling.{n}", size), 3 * MB // size + 50)
    kept |= {f"filling.{n}" for n in range(count)}
    assert answer[0] == 452  # type: ignore[index]
    assert answer[1].startswith("4.3.1")  # type: ignore[index]
    for submission in (False, True):
        code, text = clients.send("too.large", 2 * MB, submission=submission)
        assert (code, text[:5]) == (452, "4.3.1")
    typ, data = clients.append("too.large", 2 * MB)
    assert (typ, b"[UNAVAILABLE]" in data) == ("NO", True), data

    # What is there can be read, in this session and in new ones.
    assert set(clients.tokens()) == kept
    other = connect(server)
    assert set(other.tokens()) == kept
    typ, _ = other.imap.uid("STORE", "1", "+FLAGS", "(\\Flagged)")
    assert typ in ("OK", "NO")
    assert "free space" in server.log
    assert workers <= set(server.workers()), "nobody had to be started again"

    full_of_messages.free()
    assert clients.send("after", 1_500_000)[0] == 250
    assert clients.append("after.append", 200_000)[0] == "OK"
    assert clients.send("after.submitted", 200_000, submission=True)[0] == 250
    kept |= {"after", "after.append", "after.submitted"}
    eventually(lambda: set(clients.tokens()) == kept, 20)
    assert other.imap.uid("STORE", "1", "+FLAGS", "(\\Flagged)")[0] == "OK"
    assert workers <= set(server.workers())
    check_everything(server, kept)


def test_the_index_cannot_grow(full_index: Full, connect: Callable[[Server], Connected]) -> None:
    server = full_index.server
    clients = connect(server)
    kept = {"before"}
    assert clients.send("before", 1000)[0] == 250
    workers = set(server.workers())
    full_index.fill()

    count, answer = until_full(lambda n: clients.send(f"filling.{n}", 1000), 2000)
    kept |= {f"filling.{n}" for n in range(count)}
    assert answer[0] == 452  # type: ignore[index]
    assert answer[1].startswith("4.3.1")  # type: ignore[index]
    code, text = clients.send("submitted", 1000, submission=True)
    assert code == 250 or (code, text[:5]) == (452, "4.3.1")
    if code == 250:
        kept.add("submitted")
    count, answer = until_full(lambda n: clients.append(f"append.{n}", 1000), 1000)
    kept |= {f"append.{n}" for n in range(count)}
    assert b"[UNAVAILABLE]" in answer[1]  # type: ignore[index]
    assert clients.tokens().keys() >= kept - {"submitted"}
    other = connect(server)
    assert other.tokens().keys() >= kept - {"submitted"}
    assert other.imap.uid("STORE", "1", "+FLAGS", "(\\Flagged)")[0] in ("OK", "NO")
    assert "free space" in server.log
    assert workers <= set(server.workers())

    full_index.free()
    assert clients.send("after", 1000)[0] == 250
    assert clients.append("after.append", 1000)[0] == "OK"
    kept |= {"after", "after.append"}
    eventually(lambda: set(clients.tokens()) | {"submitted"} == kept | {"submitted"}, 20)
    if "submitted" in kept and "submitted" not in clients.tokens():
        # It found no space in INBOX: the queue keeps it for the next attempt.
        assert not server.queue_is_empty
        kept.remove("submitted")
    assert workers <= set(server.workers())
    check_everything(server, kept)


def test_a_server_starts_on_a_full_disk(
    full_of_messages: Full, connect: Callable[[Server], Connected]
) -> None:
    server = full_of_messages.server
    assert connect(server).send("before", 1000)[0] == 250
    server.kill_group()
    disk = server.directory.parent
    fill_but(disk, 0)
    server.start()
    fill_but(disk, 0)  # what the last run left behind has gone
    workers = set(server.workers())
    clients = connect(server)
    assert set(clients.tokens()) == {"before"}
    code, text = clients.send("no", 20_000)
    assert (code, text[:5]) == (452, "4.3.1")
    assert workers <= set(server.workers())
    (disk / "filler").unlink()
    assert clients.send("after", 20_000)[0] == 250
    assert set(clients.tokens()) == {"before", "after"}
    check_everything(server, {"before", "after"})


def test_what_is_said_takes_no_time(
    full_of_messages: Full, connect: Callable[[Server], Connected]
) -> None:
    clients = connect(full_of_messages.server)
    fill_but(full_of_messages.server.directory.parent, 100_000)
    began = time.monotonic()
    for number in range(20):
        assert clients.send(f"no.{number}", 500_000)[0] == 452
    assert time.monotonic() - began < 15
