"""kill -9 at any moment: what was acknowledged is there, once, and nothing else has changed."""

from __future__ import annotations

import contextlib
import json
import os
import random
import signal
import subprocess
import sys
import time
from collections.abc import Callable, Iterator
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import pytest

from mox.store import Store, housekeeping, learning, open_store
from mox.store.account import Account
from mox.store.maildir import letters, parse_letters, split_name
from mox.store.mirror import mirror_flags
from mox.store.model import FLAG_MASK, M_FLAGS, M_KEYWORDS
from mox.store.reindex import reindex_account
from mox.store.wordcheck import check_words
from tests.store.crashing import FILTER
from tests.store.learnt import expected as expected_words
from tests.store.learnt import learnt
from tests.support.accounts import DELETED, Places, look, recover

PROCESSES = 3


def eventually(condition: Callable[[], object], seconds: float = 20.0) -> None:
    deadline = time.monotonic() + seconds
    while not condition():
        assert time.monotonic() < deadline, "did not happen in time"
        time.sleep(0.005)


class Nursery:
    """The process that forks the workers."""

    def __init__(self, directory: Path) -> None:
        self.stderr = directory / "stderr"
        with self.stderr.open("wb") as stderr:
            self.process = subprocess.Popen(
                [sys.executable, "-m", "tests.store.crashing"],
                stdin=subprocess.PIPE,
                stdout=subprocess.PIPE,
                stderr=stderr,
                text=True,
                cwd=Path(__file__).parents[2],
            )

    def start(self, *words: object) -> int:
        assert self.process.stdin is not None
        assert self.process.stdout is not None
        print(*words, file=self.process.stdin, flush=True)
        return int(self.process.stdout.readline())

    def close(self) -> None:
        assert self.process.stdin is not None
        self.process.stdin.close()
        self.process.wait(10)
        if self.process.stdout is not None:
            self.process.stdout.close()


@pytest.fixture
def nursery(tmp_path: Path) -> Iterator[Nursery]:
    nursery = Nursery(tmp_path)
    yield nursery
    nursery.close()


def kill(pid: int) -> None:
    with contextlib.suppress(ProcessLookupError):
        os.kill(pid, signal.SIGKILL)


def is_alive(pid: int) -> bool:
    try:
        os.kill(pid, 0)
    except ProcessLookupError:
        return False
    return True


@dataclass
class Expected:
    """What the journals say is there; and what may be, where no answer was given."""

    places: dict[str, Places] = field(default_factory=dict)
    perhaps: dict[str, dict[str, Any]] = field(default_factory=dict)  # operation in flight
    given: dict[tuple[int, int], str] = field(default_factory=dict)  # every uid: its token
    modseq: int = 0
    history: dict[str, list[str]] = field(default_factory=dict)  # of tokens, for messages

    def read(self, journal: Path) -> None:
        open_: dict[str, dict[str, Any]] = {}
        for text in journal.read_text().splitlines():
            line = json.loads(text)
            if "begin" in line:
                open_[line["who"]] = line
            else:
                begun = open_.pop(line["who"])
                self.history.setdefault(begun.get("token", ""), []).append(f"{begun} → {line}")
                self._note(begun, line)
        for line in open_.values():
            if "token" in line:
                self.perhaps[line["token"]] = line

    def _note(self, begun: dict[str, Any], done: dict[str, Any]) -> None:
        token = begun.get("token", "")
        if "error" in done:
            assert done["error"] in ("EXISTS", "NOT_FOUND", "HAS_CHILDREN"), done
            assert begun["op"] in ("rename", "scratch"), (begun, done)
            return
        if "modseq" in done:
            # Committed after the operation began, so above what had been given out then.
            assert done["modseq"] > begun["modseq"] or not done["modseq"], (begun, done)
            self.modseq = max(self.modseq, done["modseq"])
        getattr(self, "_" + begun["op"])(token, begun, done)

    def _add(self, token: str, begun: dict[str, Any], done: dict[str, Any]) -> None:
        (uid,) = done["uids"]
        self._give(token, done["mailbox"], uid)
        state = (begun["flags"], frozenset(begun["keywords"]))
        self.places.setdefault(token, {})[done["mailbox"], uid] = state

    def _give(self, token: str, mailbox: int, uid: int) -> None:
        assert self.given.setdefault((mailbox, uid), token) == token, "a uid was given twice"

    def _flags(self, token: str, begun: dict[str, Any], done: dict[str, Any]) -> None:
        assert done["changed"] == 1, (begun, done)
        place = begun["mailbox"], begun["uid"]
        self.places[token][place] = (begun["flags"], frozenset(begun["keywords"]))

    def _remove(self, token: str, begun: dict[str, Any], done: dict[str, Any]) -> None:
        assert done["uids"] == [begun["uid"]], (begun, done)
        del self.places[token][begun["mailbox"], begun["uid"]]

    def _move(self, token: str, begun: dict[str, Any], done: dict[str, Any]) -> None:
        (uid,) = done["uids"]
        self._give(token, done["mailbox"], uid)
        state = self.places[token].pop((begun["mailbox"], begun["uid"]))
        self.places[token][done["mailbox"], uid] = state

    def _rename(self, token: str, begun: dict[str, Any], done: dict[str, Any]) -> None:
        """Messages go with their mailbox."""

    def _scratch(self, token: str, begun: dict[str, Any], done: dict[str, Any]) -> None:
        """Made, filled and deleted."""

    # ---- comparing

    def compare(self, found: dict[str, Places]) -> None:
        for token in sorted(self.places.keys() | found.keys() | self.perhaps.keys()):
            wanted, present = self.places.get(token, {}), found.get(token, {})
            begun = self.perhaps.get(token)
            if begun is None:
                history = "\n".join(self.history.get(token, ["no answer"]))
                assert present == wanted, f"found {present}, acknowledged {wanted}:\n{history}"
            else:
                assert _may_be(begun, wanted, present), f"{begun}: found {present}, had {wanted}"
        # From here on what was found is what is known.
        self.places = {token: places for token, places in found.items() if places}
        for token, places in found.items():
            for mailbox, uid in places:
                self._give(token, mailbox, uid)
        self.perhaps.clear()


def _may_be(begun: dict[str, Any], wanted: Places, present: Places) -> bool:
    """Whether an operation without answer has happened wholly or not at all."""
    if present == wanted:
        return True
    op = begun["op"]
    if op == "scratch":
        return len(present) <= 1
    new = {place: state for place, state in present.items() if place not in wanted}
    missing = {place: state for place, state in wanted.items() if place not in present}
    same = all(present[p] == wanted[p] for p in present.keys() & wanted.keys())
    place = begun.get("mailbox"), begun.get("uid")
    if op in ("add", "move") and not missing:
        # A file that had no entry yet is taken in, with the flags that its name shows; two when a
        # rename made it begin again.
        return same and len(new) <= 2
    if op == "move":
        return same and list(missing) == [place] and list(new.values()) == list(missing.values())
    if op == "remove" and missing:
        return same and not new and list(missing) == [place]
    after = begun.get("flags"), frozenset(begun.get("keywords", ()))
    if op == "remove":
        flags, words = wanted[place]
        after = flags | DELETED, words
    return not new and not missing and present == {**wanted, place: after}


# ---- looking


def check_folders(account: Account) -> None:
    """Each mailbox has its directory and the other way round."""
    root = account.base / "Maildir"
    names = {mailbox.name for mailbox in account.mailboxes()}
    directories = {"." + name.replace("/", ".") for name in names if name != "INBOX"}
    # One that a crash left without new/ is none yet.
    assert {path.parent.name for path in root.glob(".*/new")} == directories


def check_names(store: Store, account: Account) -> None:
    """After a while names show the flags."""
    while mirror_flags(store):
        pass
    for mailbox in account.mailboxes():
        for message in account.scan(mailbox.id):
            (path,) = account.paths(mailbox.id, [message[0]])
            flags = message[M_FLAGS] & FLAG_MASK, message[M_KEYWORDS]
            assert parse_letters(split_name(path)[1]) == flags, (path, letters(*flags))


def check_learnt(store: Store, account: Account) -> None:
    """The content filter's counts are what its messages say, before and after the backlog."""
    assert check_words(account).problems == []
    learning.learn(store, lambda _: FILTER)
    assert learning.backlog(store) == 0
    assert check_words(account).problems == []
    assert learnt(account) == expected_words(account, FILTER)


def check_afterwards(store: Store, account: Account, found: dict[str, Places]) -> None:
    """Nothing comes back when its tombstone goes, and counting again changes nothing."""
    while housekeeping.clear_expunged(store, time.time() + 2 * housekeeping.KEEP_EXPUNGED_S):
        pass
    usage, modseq = account.usage(), account.modseq()
    for _ in housekeeping.sweep(store, everything=True):
        pass
    assert look(account) == found
    report = reindex_account(store, account)
    assert report.changed == 0
    assert (account.usage(), account.modseq()) == (usage, modseq)
    assert look(account) == found


# ---- rounds


class Soak:
    """Rounds on one data directory, each with workers that are killed."""

    def __init__(self, directory: Path, nursery: Nursery, seed: int) -> None:
        self.data_dir = directory / "data"
        self.directory = directory
        self.nursery = nursery
        self.rng = random.Random(seed)
        self.seed = seed
        self.expected = Expected()
        self.done = 0

    def round(self, number: int) -> None:
        seed = self.seed * 1000 + number
        journals = [self.directory / f"journal.{seed}.{i}" for i in range(PROCESSES)]
        pids = [
            self.nursery.start(self.data_dir, journal, seed, i)
            for i, journal in enumerate(journals)
        ]
        try:
            eventually(lambda: all(self._is_under_way(journal) for journal in journals))
            # How long it runs on is chance: no condition stands for "any moment".
            time.sleep(self.rng.random() * 0.25)
            victim = self.rng.choice(pids)
            kill(victim)
            time.sleep(self.rng.random() * 0.1)
        finally:
            for pid in pids:
                kill(pid)
        eventually(lambda: not any(is_alive(pid) for pid in pids))
        for journal in journals:
            self.expected.read(journal)
            self.done += journal.read_text().count('"end"')
        self._check()

    def _is_under_way(self, journal: Path) -> bool:
        errors = self.nursery.stderr.read_text()
        assert not errors, errors[-3000:]
        return journal.exists() and journal.stat().st_size > 3000

    def _check(self) -> None:
        errors = self.nursery.stderr.read_text()
        assert not errors, errors[-3000:]
        store = open_store(self.data_dir)
        try:
            store.dbs.env.reader_check()
            recover(store)
            account = store.find_account("mjl")
            assert account is not None
            assert account.modseq() >= self.expected.modseq
            found = look(account)
            self.expected.compare(found)
            check_folders(account)
            check_names(store, account)
            check_learnt(store, account)
            check_afterwards(store, account, found)
            for mailbox, uid in self.expected.given:
                state = account.mailbox_by_id(mailbox)  # type: ignore[arg-type]
                assert state is None or state.uidnext > uid
            self.expected.modseq = account.modseq()
        finally:
            store.close()


@pytest.mark.parametrize("seed", [1, 2])
def test_what_was_acknowledged_survives_kill_9(tmp_path: Path, nursery: Nursery, seed: int) -> None:
    soak = Soak(tmp_path, nursery, seed)
    for number in range(5):
        soak.round(number)
    assert soak.done > 200


@pytest.mark.slow
@pytest.mark.timeout(3600)
@pytest.mark.parametrize("seed", range(100, 120))
def test_what_was_acknowledged_survives_kill_9_again_and_again(
    tmp_path: Path, nursery: Nursery, seed: int
) -> None:
    soak = Soak(tmp_path, nursery, seed)
    for number in range(12):
        soak.round(number)


def test_reader_slots_of_killed_processes_are_cleared(tmp_path: Path) -> None:
    """A reader that died keeps all pages of its time in use, until someone looks."""
    program = (
        "import sys, time, pathlib\n"
        "from mox.store.env import open_environment\n"
        "dbs = open_environment(pathlib.Path(sys.argv[1]))\n"
        "txn = dbs.env.begin()\n"
        "txn.get(b'version', db=dbs.meta)\n"
        "print('reading', flush=True)\n"
        "time.sleep(60)\n"
    )
    store = open_store(tmp_path)
    try:
        command = [sys.executable, "-c", program, str(tmp_path / "index")]
        with subprocess.Popen(command, stdout=subprocess.PIPE, text=True) as reader:
            assert reader.stdout is not None
            assert reader.stdout.readline() == "reading\n"
            assert str(reader.pid) in store.dbs.env.readers()
            reader.kill()
        assert store.dbs.env.reader_check() == 1
        assert str(reader.pid) not in store.dbs.env.readers()
    finally:
        store.close()
