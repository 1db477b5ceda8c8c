"""Processes that work on a store and write down what has been acknowledged, until they are killed.

`python -m tests.store.crashing` is the nursery: it imports once and forks a process for each line
`DATA_DIR JOURNAL SEED NUMBER` that it reads, and answers with its pid.

Each greenlet owns the messages whose token it made, so that what is to be there afterwards follows
from the journal alone. Its lines: what is about to be done, then what came of it.
"""

from __future__ import annotations

import json
import os
import random
import signal
import sys
import traceback
from collections.abc import Callable, Iterator
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import gevent

from mox.junk.params import Params
from mox.store import Store, housekeeping, learning, open_store
from mox.store.account import Account
from mox.store.errors import StoreError
from mox.store.mirror import mirror_flags
from mox.store.model import Flag, FlagOp, MailboxId, NewMessage, Target

NOW = (1_700_000_000, 60)
GREENLETS = 4
STEADY = ("INBOX", "Archive", "Work")
RENAMED = ("Moving", "Moving/deep", "Moving/deep/er", "Elsewhere", "Elsewhere/2026")
KEYWORDS = ("$Junk", "todo")
FILTER = Params()


@dataclass(slots=True)
class Place:
    """Where one copy of an own message is, and its flags."""

    mailbox: int
    uid: int
    flags: int = 0
    keywords: tuple[str, ...] = ()


@dataclass(slots=True)
class Journal:
    """Appends lines; a line that was written survives the process."""

    fd: int
    who: str
    count: int = 0

    def begin(self, **fields: Any) -> None:
        self.count += 1
        self._write({"who": self.who, "begin": self.count, **fields})

    def end(self, **fields: Any) -> None:
        self._write({"who": self.who, "end": self.count, **fields})

    def _write(self, line: dict[str, Any]) -> None:
        os.write(self.fd, json.dumps(line).encode() + b"\n")


@dataclass(slots=True)
class Worker:
    """One greenlet's random operations."""

    store: Store
    account: Account
    journal: Journal
    rng: random.Random
    messages: dict[str, list[Place]] = field(default_factory=dict)
    made: int = 0

    def run(self) -> None:
        steps = [(self.deliver, 5), (self.append, 3), (self.flags, 5), (self.expunge, 2)]
        steps += [(self.copy, 2), (self.move, 3), (self.refresh, 1)]
        actions = [step for step, weight in steps for _ in range(weight)]
        while True:
            self.step(self.rng.choice(actions))

    def step(self, action: Callable[[], Iterator[dict[str, Any]]]) -> None:
        """An action yields what it is about to do, does it, and yields what came of it."""
        going = action()
        before = next(going, None)
        if before is None:
            gevent.sleep(0)
            return
        self.journal.begin(modseq=int(self.account.modseq()), **before)
        try:
            self.journal.end(**next(going))
        except StoreError as e:
            self.journal.end(error=e.kind.name, text=str(e))

    # ---- what is done

    def token(self) -> str:
        self.made += 1
        return f"{self.journal.who}.{self.made}"

    def content(self, token: str) -> bytes:
        size = self.rng.choice((10, 300, 5_000, 5_000, 1_500_000 if self.made % 25 == 0 else 100))
        return b"Subject: token\r\nX-Token: %s\r\n\r\n" % token.encode() + b"line\r\n" * (size // 6)

    def box(self) -> MailboxId:
        names = [*STEADY, *RENAMED]
        found = [self.account.mailbox(name) for name in names]
        return self.rng.choice([mailbox.id for mailbox in found if mailbox is not None])

    def own(self) -> tuple[str, Place] | None:
        if not self.messages:
            return None
        token = self.rng.choice(list(self.messages))
        return token, self.rng.choice(self.messages[token])

    def deliver(self) -> Iterator[dict[str, Any]]:
        token = self.token()
        name = self.rng.choice((*STEADY, *RENAMED))
        flags = self.rng.choice((Flag.NONE, Flag.NONE, Flag.SEEN))
        yield {"op": "add", "token": token, "mailbox": None, "flags": int(flags), "keywords": []}
        with self.store.spool() as spool:
            spool.write(self.content(token))
            target = Target(self.account, name, b"Received: by test\r\n", NOW, flags)
            (result,) = self.store.deliver([target], spool)
        if isinstance(result, StoreError):
            raise result
        place = Place(result.mailbox_id, result.uid, int(flags))
        self.messages[token] = [place]
        yield {"mailbox": place.mailbox, "uids": [place.uid], "modseq": result.modseq}

    def append(self) -> Iterator[dict[str, Any]]:
        token, box = self.token(), self.box()
        flags, words = Flag.DRAFT | Flag.SEEN, self.rng.choice(((), KEYWORDS))
        fields = {"mailbox": box, "flags": int(flags), "keywords": list(words)}
        yield {"op": "add", "token": token, **fields}
        with self.store.spool() as spool:
            spool.write(self.content(token))
            done = self.account.append(box, [NewMessage(spool, NOW, flags, words)])
        self.messages[token] = [Place(box, done.uids[0], int(flags), words)]
        yield {"mailbox": box, "uids": list(done.uids), "modseq": done.modseq}

    def flags(self) -> Iterator[dict[str, Any]]:
        own = self.own()
        if own is None:
            return
        token, place = own
        op = self.rng.choice(list(FlagOp))
        flags = Flag(self.rng.randrange(64)) & ~Flag.DELETED
        words = self.rng.choice(((), (), KEYWORDS, KEYWORDS[:1]))
        new = _applied(place, op, int(flags), words)
        fields = {"mailbox": place.mailbox, "uid": place.uid, "flags": new[0], "keywords": new[1]}
        yield {"op": "flags", "token": token, **fields}
        mailbox = MailboxId(place.mailbox)
        done = self.account.store_flags(mailbox, [place.uid], op, flags, words)
        if done.changed:
            place.flags, place.keywords = new
        yield {"changed": len(done.changed), "modseq": done.modseq}

    def expunge(self) -> Iterator[dict[str, Any]]:
        own = self.own()
        if own is None:
            return
        token, place = own
        yield {"op": "remove", "token": token, "mailbox": place.mailbox, "uid": place.uid}
        mailbox = MailboxId(place.mailbox)
        self.account.store_flags(mailbox, [place.uid], FlagOp.ADD, Flag.DELETED)
        done = self.account.expunge(mailbox, [place.uid])
        self.drop(token, place)
        yield {"uids": list(done.uids), "modseq": done.modseq}

    def drop(self, token: str, place: Place) -> None:
        self.messages[token].remove(place)
        if not self.messages[token]:
            del self.messages[token]

    def copy(self) -> Iterator[dict[str, Any]]:
        own = self.own()
        if own is None:
            return
        token, place = own
        box = self.box()
        fields = {"mailbox": box, "flags": place.flags, "keywords": list(place.keywords)}
        yield {"op": "add", "token": token, **fields}
        done = self.account.copy(MailboxId(place.mailbox), [place.uid], box)
        for uid in done.dest_uids:
            self.messages[token].append(Place(box, uid, place.flags, place.keywords))
        yield {"mailbox": box, "uids": list(done.dest_uids), "modseq": done.modseq}

    def move(self) -> Iterator[dict[str, Any]]:
        own = self.own()
        if own is None:
            return
        token, place = own
        box = self.box()
        fields = {"mailbox": place.mailbox, "uid": place.uid, "to": box}
        yield {"op": "move", "token": token, **fields}
        done = self.account.move(MailboxId(place.mailbox), [place.uid], box)
        if done.dest_uids:
            place.mailbox, place.uid = box, done.dest_uids[0]
        yield {"mailbox": box, "uids": list(done.dest_uids), "modseq": done.modseq}

    def refresh(self) -> Iterator[dict[str, Any]]:
        self.account.refresh(self.box())
        self.account.mailboxes()
        return iter(())

    # ---- mailboxes: one greenlet does all of it

    def rename(self) -> Iterator[dict[str, Any]]:
        old, new = self.rng.sample(RENAMED, 2)
        mailbox = self.account.mailbox(old)
        if mailbox is None:
            return
        yield {"op": "rename", "old": old, "new": new}
        self.account.rename_mailbox(mailbox.id, new)
        yield {}

    def scratch(self) -> Iterator[dict[str, Any]]:
        token = self.token()
        yield {"op": "scratch", "token": token}
        mailbox = self.account.create_mailbox(f"Scratch/{token.replace('.', '-')}")[-1]
        with self.store.spool() as spool:
            spool.write(self.content(token))
            self.account.append(mailbox.id, [NewMessage(spool, NOW)])
        self.account.delete_mailbox(mailbox.id)
        yield {}

    def rearrange(self) -> None:
        while True:
            self.step(self.rng.choice((self.rename, self.rename, self.scratch)))
            gevent.sleep(self.rng.random() * 0.01)


def _applied(
    place: Place, op: FlagOp, flags: int, words: tuple[str, ...]
) -> tuple[int, tuple[str, ...]]:
    if op is FlagOp.ADD:
        return place.flags | flags, tuple(sorted({*place.keywords, *words}))
    if op is FlagOp.REMOVE:
        return place.flags & ~flags, tuple(w for w in place.keywords if w not in words)
    return flags, tuple(sorted(words))


def work(data_dir: Path, journal: Path, seed: int, number: int) -> None:
    """Run until killed. Process 0 is the keeper as well, process 1 renames mailboxes."""
    store = open_store(data_dir)
    account = store.account("mjl")
    fd = os.open(journal, os.O_WRONLY | os.O_CREAT | os.O_APPEND | os.O_CLOEXEC, 0o600)
    workers = [
        Worker(store, account, Journal(fd, f"{seed}-{number}-{i}"), random.Random(f"{seed}{i}"))
        for i in range(GREENLETS)
    ]
    running = [gevent.spawn(worker.run) for worker in workers[number % 2 :]]
    if number != 1:
        running.append(gevent.spawn(_learn, store))
    if number == 0:
        running.append(gevent.spawn(_keep, store))
    elif number == 1:
        running.append(gevent.spawn(workers[0].rearrange))
    gevent.joinall(running, raise_error=True)


def _keep(store: Store) -> None:
    while True:
        mirror_flags(store)
        for _ in housekeeping.sweep(store, everything=False):
            gevent.sleep(0)
        gevent.sleep(0.01)


def _learn(store: Store) -> None:
    while True:
        learning.learn(store, lambda _: FILTER)
        gevent.sleep(0.005)


def nursery() -> None:
    signal.signal(signal.SIGCHLD, signal.SIG_IGN)
    for line in sys.stdin:
        data_dir, journal, seed, number = line.split()
        pid = os.fork()
        if pid:
            print(pid, flush=True)
            continue
        try:
            work(Path(data_dir), Path(journal), int(seed), int(number))
        except BaseException:
            traceback.print_exc()
        finally:
            os._exit(1)


if __name__ == "__main__":
    nursery()
