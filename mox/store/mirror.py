"""Showing flags in file names: what the index knows, POSIX tools see within a second.

The index is the truth; a name follows it. Renames come in batches and without syncs: a crash
loses at most a name, which the next round sets again (the `mirror` entry is still there).
"""

from __future__ import annotations

import os
from collections.abc import Sequence
from dataclasses import dataclass, field
from typing import TYPE_CHECKING

from mox.store import maildir, messages
from mox.store.account_txn import AccountTxn
from mox.store.committer import WriteTxn
from mox.store.model import FLAG_MASK, M_FLAGS, M_KEYWORDS, MailboxId
from mox.store.records import KEY_AMU

if TYPE_CHECKING:
    from mox.store.account import Account
    from mox.store.store import Store

BATCH = 1000


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
        if self.keywords:
            self._write_keywords()
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

    def _write_keywords(self) -> None:
        wanted = dict(enumerate(self.keywords[: maildir.MAX_LETTERS]))
        if maildir.read_keyword_file(self.directory) != wanted:
            maildir.write_keyword_file(self.directory, self.keywords)

    def note(self, write: WriteTxn) -> None:
        account = AccountTxn(write, self.account.id)
        mailbox = account.mailbox(self.mailbox_id)
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


def mirror_flags(store: Store) -> int:
    """Rename up to BATCH files so that their names show their flags; how many were due.

    Only one process may do this at a time (the keeper).
    """
    with store.dbs.env.begin() as txn, txn.cursor(db=store.dbs.mirror) as cursor:
        keys: list[bytes] = []
        for key in cursor.iternext(values=False):
            keys.append(bytes(key))
            if len(keys) == BATCH:
                break
    uids: dict[tuple[int, int], list[int]] = {}
    for key in keys:
        account_id, mailbox_id, uid = KEY_AMU.unpack(key)
        uids.setdefault((account_id, mailbox_id), []).append(uid)
    for (account_id, mailbox_id), some in uids.items():
        account = store.account_by_id(account_id)
        if account is not None:
            _mirror_mailbox(account, MailboxId(mailbox_id), some)
    return len(keys)


def _mirror_mailbox(account: Account, mailbox_id: MailboxId, uids: list[int]) -> None:
    mailbox = account.mailbox_by_id(mailbox_id)
    if mailbox is None:
        return
    directory = account.directory(mailbox_id)
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
