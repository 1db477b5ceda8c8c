"""kill -9 under load, of any process or all: what the server said it had, it has, once.

Clients note what was answered. A message without answer may be there or not; one in the queue
that was killed while it delivered may come twice (RFC 5321 §6.1: rather twice than never).
"""

from __future__ import annotations

import contextlib
import imaplib
import os
import random
import re
import signal
import smtplib
import threading
import time
from collections import Counter
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass, field
from pathlib import Path

import pytest

from mox.store import open_store
from mox.store.reindex import reindex_account
from tests.support import queued
from tests.support.accounts import look, recover
from tests.support.server import PASSWORD, USER, Server, eventually

TIMEOUT_S = 30
# A worker that is killed again and again is started again after up to 30 seconds; meanwhile
# connections wait at its socket.
MAX_WAIT_S = 90
# From the start of the process to answers on all ports, on two cores that others use as well.
SERVES_WITHIN_S = 3.0
VICTIMS = ("smtp", "imap", "everything", "queue", "keeper", "submission", "everything", "imap")

Gone = (OSError, imaplib.IMAP4.abort, smtplib.SMTPServerDisconnected)


@dataclass
class Answers:
    """What clients were told, in all rounds so far."""

    lock: threading.Lock = field(default_factory=threading.Lock)
    delivered: set[str] = field(default_factory=set)  # port 25
    submitted: set[str] = field(default_factory=set)
    appended: dict[str, tuple[int, str]] = field(default_factory=dict)  # uid, flags
    expunged: set[str] = field(default_factory=set)
    moved: set[str] = field(default_factory=set)
    unsure: set[str] = field(default_factory=set)  # no answer
    uids: dict[tuple[str, int], str] = field(default_factory=dict)  # of mailboxes: token
    refused: list[str] = field(default_factory=list)


def message(token: str) -> bytes:
    head = f"From: <{USER}>\r\nX-Token: {token}\r\n\r\n"
    return head.encode() + b"line\r\n" * 200


class Client(threading.Thread):
    """Repeats one kind of work over connections that may break, until told to stop."""

    def __init__(self, server: Server, answers: Answers, name: str, seed: int) -> None:
        super().__init__(daemon=True)
        self.server, self.answers, self.name = server, answers, f"{name}.{seed}"
        self.rng = random.Random(self.name)
        self.stopping = threading.Event()
        self.count = 0
        self.done = 0
        self.error: BaseException | None = None

    def run(self) -> None:
        try:
            while not self.stopping.is_set():
                with contextlib.suppress(*Gone), self.connected() as work:
                    while not self.stopping.is_set():
                        work()
                        self.done += 1
                self.stopping.wait(0.01)
        except BaseException as e:
            self.error = e

    @contextlib.contextmanager
    def connected(self) -> Iterator[Callable[[], None]]:
        raise NotImplementedError
        yield

    def token(self) -> str:
        self.count += 1
        return f"{self.name}.{self.count}"

    @contextlib.contextmanager
    def asking(self, token: str) -> Iterator[None]:
        """Until it is answered nobody knows."""
        with self.answers.lock:
            self.answers.unsure.add(token)
        yield
        with self.answers.lock:
            self.answers.unsure.discard(token)


class Sender(Client):
    """Port 25, or submission."""

    def __init__(
        self, server: Server, answers: Answers, name: str, seed: int, *, submission: bool = False
    ) -> None:
        super().__init__(server, answers, name, seed)
        self.submission = submission

    @contextlib.contextmanager
    def connected(self) -> Iterator[Callable[[], None]]:
        port = self.server.submission if self.submission else self.server.smtp
        with smtplib.SMTP("127.0.0.1", port, timeout=TIMEOUT_S) as client:
            client.ehlo()
            if self.submission:
                client.login(USER, PASSWORD)
            yield lambda: self.send(client)

    def send(self, client: smtplib.SMTP) -> None:
        token = self.token()
        accepted = self.answers.submitted if self.submission else self.answers.delivered
        try:
            with self.asking(token):
                client.sendmail(USER if self.submission else "a@localhost", [USER], message(token))
        except smtplib.SMTPResponseException as e:
            # 421 and 451 are for crashes of what is behind; the client would come again.
            if e.smtp_code // 100 != 4:
                self.answers.refused.append(f"{token}: {e}")
                raise
            raise smtplib.SMTPServerDisconnected(str(e)) from e
        with self.answers.lock:
            accepted.add(token)


class Imap(Client):
    """APPEND, STORE, EXPUNGE and MOVE of own messages in a mailbox that others use, too."""

    @contextlib.contextmanager
    def connected(self) -> Iterator[Callable[[], None]]:
        client = imaplib.IMAP4("127.0.0.1", self.server.imap, timeout=TIMEOUT_S)
        try:
            client.login(USER, PASSWORD)
            client.select("Work")
            yield lambda: self.step(client)
        finally:
            with contextlib.suppress(*Gone):
                client.shutdown()

    def step(self, client: imaplib.IMAP4) -> None:
        token = self.token()
        uid = self.append(client, token)
        what = self.rng.randrange(4)
        if what == 1:
            flags = self.rng.choice(("\\Flagged", "\\Answered \\Seen", "$Forwarded todo"))
            with self.asking(token):
                self.ok(client.uid("STORE", str(uid), "FLAGS", f"({flags})"))
            self.answers.appended[token] = uid, flags
        elif what == 2:
            with self.asking(token):
                self.ok(client.uid("STORE", str(uid), "+FLAGS", "(\\Deleted)"))
                self.ok(client.uid("EXPUNGE", str(uid)))
            del self.answers.appended[token]
            self.answers.expunged.add(token)
        elif what == 3:
            with self.asking(token):
                self.ok(client.uid("MOVE", str(uid), "Archive"))
            del self.answers.appended[token]
            self.answers.moved.add(token)

    def append(self, client: imaplib.IMAP4, token: str) -> int:
        with self.asking(token):
            data = self.ok(client.append("Work", "(\\Draft)", "", message(token)))  # type: ignore[arg-type]
        found = re.search(rb"APPENDUID \d+ (\d+)", data[0])
        assert found, data
        uid = int(found[1])
        with self.answers.lock:
            assert self.answers.uids.setdefault(("Work", uid), token) == token
            self.answers.appended[token] = uid, "\\Draft"
        return uid

    def ok(self, answer: tuple[str, list[bytes]]) -> list[bytes]:
        typ, data = answer
        if typ != "OK":
            raise imaplib.IMAP4.abort(f"{typ} {data!r}")
        return data


def contents(client: imaplib.IMAP4, mailbox: str) -> dict[int, tuple[str, str]]:
    """uid: (token, flags) of all messages, and nothing odd about them."""
    typ, data = client.select(mailbox, readonly=True)
    assert typ == "OK", data
    count = int(data[0] or b"0")
    if not count:
        return {}
    typ, data = client.uid("FETCH", "1:*", "(FLAGS BODY.PEEK[HEADER.FIELDS (X-Token)])")
    assert typ == "OK", data
    found: dict[int, tuple[str, str]] = {}
    for item in data:
        if isinstance(item, tuple):
            uid = re.search(rb"UID (\d+)", item[0])
            flags = re.search(rb"FLAGS \(([^)]*)\)", item[0])
            assert uid and flags, item
            found[int(uid[1])] = item[1].decode().split(": ")[1].strip(), flags[1].decode()
    assert len(found) >= count, "less than the mailbox has; the queue may bring more"
    return found


def wait_for_progress(clients: Sequence[Client]) -> None:
    """Until each has done something more."""
    before = {client.name: client.done for client in clients}
    deadline = time.monotonic() + MAX_WAIT_S
    while stuck := [c.name for c in clients if c.done == before[c.name] and not c.error]:
        assert time.monotonic() < deadline, f"no progress: {stuck}"
        time.sleep(0.01)


class Rounds:
    serves_within_s = SERVES_WITHIN_S

    def __init__(self, directory: Path, seed: int) -> None:
        self.server = Server(directory)
        self.answers = Answers()
        self.rng = random.Random(seed)
        self.seed = seed
        self.number = 0
        self.crashed_everything = False
        self.modseq: Counter[str] = Counter()
        self.uidnext: Counter[str] = Counter()
        self.load = 0.0

    def init(self) -> None:
        """Make the configuration: what is sent here in minutes is more than others do in days."""
        self.server.init()
        domain = "\t\tDomain: localhost\n"
        limits = "\t\tMaxOutgoingMessagesPerDay: 1000000\n"
        self.server.edit("domains.conf", domain, domain + limits)

    def begin(self) -> None:
        """Start for the first time."""
        self.init()
        self.start()
        client = self.server.imap_client()
        client.create("Work")
        client.logout()

    def start(self) -> float:
        began = time.monotonic()
        self.server.start()
        return time.monotonic() - began

    def run(self, victim: str) -> None:
        self.number += 1
        seed = self.seed * 1000 + self.number
        clients: list[Client] = [
            Sender(self.server, self.answers, "smtp-a", seed),
            Sender(self.server, self.answers, "smtp-b", seed),
            Sender(self.server, self.answers, "submission", seed, submission=True),
            Imap(self.server, self.answers, "imap-a", seed),
            Imap(self.server, self.answers, "imap-b", seed),
        ]
        for client in clients:
            client.start()
        wait_for_progress(clients)
        # Any moment will do: chance decides, no condition.
        time.sleep(self.rng.random() * 0.6)
        self.kill(victim)
        if victim != "everything":
            wait_for_progress(clients)
        for client in clients:
            client.stopping.set()
        for client in clients:
            client.join(TIMEOUT_S + 10)
            assert not client.is_alive(), f"{client.name} hangs"
            assert client.error is None, client.error
        if victim == "everything":
            took = self.start()
            assert took < self.serves_within_s or os.getloadavg()[0] > 3, f"{took:.1f} s to serve"
        self.check()

    def kill(self, victim: str) -> None:
        if victim == "everything":
            self.server.kill_group()
            return
        found = self.server.workers(victim)
        assert found, victim
        os.kill(self.rng.choice(found), signal.SIGKILL)

    # ---- what is there

    def check(self) -> None:
        answers = self.answers
        assert not answers.refused
        client = self.server.imap_client()
        client.timeout = TIMEOUT_S
        inbox = contents(client, "INBOX")
        work, archive = contents(client, "Work"), contents(client, "Archive")
        for name, found in (("INBOX", inbox), ("Work", work), ("Archive", archive)):
            self.check_uids(client, name, found)
        client.logout()
        self.check_inbox(Counter(token for token, _ in inbox.values()))
        self.check_work(work, archive)
        eventually(self.files_agree, 20)

    def check_inbox(self, counts: Counter[str]) -> None:
        for token in self.answers.delivered:
            assert counts[token] == 1, f"{token} is there {counts[token]} times"
        for token in self.answers.submitted - counts.keys():
            assert self.is_queued(token), f"{token} is lost"
        for token, count in counts.items():
            assert count == 1 or token.startswith("submission"), f"{token} is there {count} times"

    def is_queued(self, token: str) -> bool:
        text = f"X-Token: {token}\n".encode()
        if any(text in content for content in queued.contents(self.server.directory)):
            return True
        # On its way just now.
        client = self.server.imap_client()
        try:
            return token in {found for found, _ in contents(client, "INBOX").values()}
        finally:
            client.logout()

    def check_work(
        self, work: dict[int, tuple[str, str]], archive: dict[int, tuple[str, str]]
    ) -> None:
        answers = self.answers
        there = Counter(token for token, _ in work.values())
        moved = Counter(token for token, _ in archive.values())
        for token, (uid, flags) in answers.appended.items():
            assert there[token] >= 1 or token in answers.unsure, f"{token} is lost"
            if token not in answers.unsure:
                assert there[token] + moved[token] == 1, f"{token}: {there[token]}+{moved[token]}"
                assert work.get(uid, ("nothing",))[0] == token, self.where(token, work, archive)
                # What is filed away is wanted: localserve marks it so.
                shown = set(work[uid][1].split()) - {"\\Recent", "$NotJunk"}
                assert shown == set(flags.split()), f"{token}: {shown}"
        for token in answers.expunged:
            assert not there[token] + moved[token], f"{token} came back"
        for token in answers.moved:
            assert (there[token], moved[token]) == (0, 1), token

    def where(self, token: str, *mailboxes: dict[int, tuple[str, str]]) -> str:
        found = [(uid, each) for box in mailboxes for uid, each in box.items() if each[0] == token]
        return f"{token}: {self.answers.appended[token]}, found {found}"

    def check_uids(
        self, client: imaplib.IMAP4, name: str, found: dict[int, tuple[str, str]]
    ) -> None:
        for uid, (token, _) in found.items():
            known = self.answers.uids.setdefault((name, uid), token)
            assert known == token, f"uid {uid} of {name} was {known}, is {token}"
        typ, data = client.status(name, "(UIDNEXT HIGHESTMODSEQ)")
        assert typ == "OK"
        uidnext, modseq = (int(number) for number in re.findall(rb" (\d+)", data[0])[-2:])
        assert uidnext >= max([self.uidnext[name], *(uid + 1 for uid in found)])
        assert modseq >= self.modseq[name]
        self.uidnext[name], self.modseq[name] = uidnext, modseq

    def files_agree(self) -> bool:
        """As many files as messages, once the keeper has cleared up."""
        client = self.server.imap_client()
        try:
            for name in ("INBOX", "Work", "Archive"):
                directory = self.server.maildir / ("" if name == "INBOX" else f".{name}")
                files = sum(len(os.listdir(directory / sub)) for sub in ("cur", "new"))
                if files != int(client.select(name, readonly=True)[1][0] or b"0"):
                    return False
            return True
        finally:
            client.logout()

    def end(self) -> None:
        """Whatever came of it, nothing is left running."""
        if self.server.process is not None and self.server.process.poll() is None:
            self.server.kill_group()

    def finish(self) -> None:
        """Stop in order and look at the index itself."""
        assert self.server.stop() == signal.SIGTERM
        store = open_store(self.server.directory)
        try:
            recover(store)
            account = store.find_account("mox")
            assert account is not None
            found = look(account)
            usage = account.usage()
            assert reindex_account(store, account).changed == 0
            assert (look(account), account.usage()) == (found, usage)
        finally:
            store.close()
        for line in self.server.log.splitlines():
            assert "Traceback" not in line, line


@pytest.fixture
def rounds(tmp_path: Path) -> Iterator[Callable[[int], Rounds]]:
    made: list[Rounds] = []

    def make(seed: int) -> Rounds:
        rounds = Rounds(tmp_path / f"mox{seed}", seed)
        made.append(rounds)
        rounds.begin()
        return rounds

    yield make
    for rounds in made:
        rounds.end()


def test_what_was_answered_survives_kill_9(rounds: Callable[[int], Rounds]) -> None:
    crash = rounds(1)
    for victim in VICTIMS:
        crash.run(victim)
    crash.finish()
    assert len(crash.answers.delivered) > 50


@pytest.mark.slow
@pytest.mark.timeout(3600)
@pytest.mark.parametrize("seed", range(10, 20))
def test_what_was_answered_survives_kill_9_again_and_again(
    rounds: Callable[[int], Rounds], seed: int
) -> None:
    crash = rounds(seed)
    for _ in range(20):
        crash.run(crash.rng.choice(VICTIMS))
    crash.finish()
