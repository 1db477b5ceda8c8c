"""Showing flags in file names: what the index knows, POSIX tools see within a second.

The index is the truth; a name follows it. Renames come in batches, and are durable before the index
says that the names show the flags: one that a crash took back later would look like a change by
another program.
"""

from __future__ import annotations

import itertools
import os
import time
from collections.abc import Sequence
from dataclasses import dataclass, field
from typing import TYPE_CHECKING

from mox import logfmt
from mox.store import maildir, messages
from mox.store.account_txn import AccountTxn
from mox.store.committer import WriteTxn
from mox.store.durable import fsync_directory
from mox.store.errors import StoreError
from mox.store.model import FLAG_MASK, M_FLAGS, M_KEYWORDS, MailboxId
from mox.store.records import KEY_AMU
from mox.turns import give_turn

if TYPE_CHECKING:
    from mox.store.account import Account
    from mox.store.store import Store

log = logfmt.logger("store")

BATCH = 1000
# A mailbox that cannot be written to is left alone for so long.
_REST_S = 60.0
# Turns that a mailbox may keep us waiting for.
_MOST_TURNS = 2


@dataclass(slots=True)
class _Round:
    """The renames of one mailbox."""

    account: Account
    mailbox_id: MailboxId
    directory: str
    keywords: Sequence[str]
    wanted: list[tuple[int, str, str]]  # uid, path now, path that shows the flags
    done: list[tuple[int, str, str]] = field(default_factory=list)
    missing: bool = False
    times: dict[str, tuple[int, int]] = field(default_factory=dict)

    def rename(self) -> None:
        """Runs in the thread pool."""
        before = {sub: _mtime(f"{self.directory}/{sub}") for sub in ("new", "cur")}
        if not all(before.values()):
            self.missing = True  # renamed, or removed by another program
            return
        if self.keywords:
            maildir.keep_keyword_file(self.directory, self.keywords)
        for uid, old, new in self.wanted:
            try:
                if old != new:
                    os.rename(f"{self.directory}/{old}", f"{self.directory}/{new}")
            except FileNotFoundError:
                self.missing = True
                continue
            self.done.append((uid, old, new))
        self.times = {
            sub: (time, _mtime(f"{self.directory}/{sub}")) for sub, time in before.items()
        }
        for sub in {path[:3] for _, old, new in self.done if old != new for path in (old, new)}:
            fsync_directory(f"{self.directory}/{sub}")

    def note(self, write: WriteTxn) -> None:
        account = AccountTxn(write, self.account.id)
        mailbox = account.mailbox(self.mailbox_id)  # wherever it is by now, files go along
        dbs = write.dbs
        for uid, old, new in self.done:
            key = KEY_AMU.pack(account.id, self.mailbox_id, uid)
            message = mailbox.get(uid)
            if message is None or write.get(dbs.file, key) != old.encode():
                continue
            if old != new:
                write.put(dbs.file, key, new.encode())
            flags, bits = message[M_FLAGS] & FLAG_MASK, message[M_KEYWORDS]
            if messages.shown_path(new, flags, bits) == new:
                write.delete(dbs.mirror, key)
        for sub, times in self.times.items():
            mailbox.note_own_files(sub, times)
        account.save()


_Box = tuple[int, int]  # account id, mailbox id


@dataclass(slots=True)
class Turns:
    """What is remembered between looks: mailboxes that are better left alone now.

    resting: those where renaming failed, with the time.monotonic() at which it is tried again.
    """

    resting: dict[_Box, float] = field(default_factory=dict)
    _seen: dict[_Box, tuple[int, int]] = field(default_factory=dict)  # modseq, turns
    _decided: dict[_Box, bool] = field(default_factory=dict)  # in this turn

    def begin(self) -> None:
        """Forget those that had nothing due in the last turn."""
        self._seen = {box: self._seen[box] for box in self._decided if box in self._seen}
        self._decided = {}

    def is_due(self, store: Store, box: _Box) -> bool:
        """Whether it has come to rest since the last turn, or has kept us waiting long enough."""
        due = self._decided.get(box)
        if due is None:
            due = self._decided[box] = self._decide(store, box)
        return due

    def _decide(self, store: Store, box: _Box) -> bool:
        if self.resting.get(box, 0.0) >= time.monotonic():
            return False
        self.resting.pop(box, None)
        account = store.account_by_id(box[0])
        modseq = 0 if account is None else account.mailbox_modseq(MailboxId(box[1]))
        before, turns = self._seen.pop(box, (-1, 0))
        if modseq == before or turns >= _MOST_TURNS:
            return True
        self._seen[box] = modseq, turns + 1
        return False


def mirror_flags(store: Store, turns: Turns | None = None) -> int:
    """Rename all files whose names do not show their flags; how many were due.

    turns: of a caller that looks again and again; then a mailbox that is just being changed waits
    for a turn or two, because most messages that are marked as deleted are removed the next
    moment. One where renaming fails is logged and rests for a while. Only one process may do this
    at a time (the keeper).
    """
    if turns is not None:
        turns.begin()
    total, keys = 0, _due(store, b"")
    while keys:
        total += len(keys)
        uids: dict[tuple[int, int], list[int]] = {}
        for key in keys:
            account_id, mailbox_id, uid = KEY_AMU.unpack(key)
            uids.setdefault((account_id, mailbox_id), []).append(uid)
        for box, some in uids.items():
            if turns is None or turns.is_due(store, box):
                _guarded(store, box, some, turns)
        give_turn()
        keys = _due(store, keys[-1])
    return total


def _due(store: Store, after: bytes) -> list[bytes]:
    with store.dbs.env.begin() as txn, txn.cursor(db=store.dbs.mirror) as cursor:
        if not cursor.set_range(after + b"\0"):
            return []
        return [bytes(key) for key in itertools.islice(cursor.iternext(values=False), BATCH)]


def _guarded(store: Store, box: _Box, uids: list[int], turns: Turns | None) -> None:
    account = store.account_by_id(box[0])
    if account is None:
        return
    try:
        _mirror_mailbox(account, MailboxId(box[1]), uids)
    except (StoreError, OSError) as e:
        if turns is not None:
            turns.resting[box] = time.monotonic() + _REST_S
        log.error(
            "file names of mailbox cannot show the flags now: check space, owner and mode",
            err=e,
            account=account.name,
            mailbox=box[1],
        )


def _mirror_mailbox(account: Account, mailbox_id: MailboxId, uids: list[int]) -> None:
    mailbox = account.mailbox_by_id(mailbox_id)
    if mailbox is None:
        return
    directory = account.present_directory(mailbox_id)
    if directory is None or account.store.renaming(account.id):
        return
    wanted: list[tuple[int, str, str]] = []
    for message in account.select(mailbox_id, uids):
        path = account.path(mailbox_id, message[0])
        if path is not None:
            flags, bits = message[M_FLAGS] & FLAG_MASK, message[M_KEYWORDS]
            wanted.append((message[0], path, messages.shown_path(path, flags, bits)))
    work = _Round(account, mailbox_id, directory, mailbox.keywords, wanted)
    account.store.pool.apply(work.rename)
    account.store.committer.write(work.note)
    if work.missing:
        account.mend(mailbox_id)


def _mtime(path: str) -> int:
    try:
        return os.stat(path).st_mtime_ns
    except FileNotFoundError:
        return 0
