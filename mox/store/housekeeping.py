"""Clearing up after what is over, and finding what a crash left. The keeper's half of the store."""

from __future__ import annotations

import os
import shutil
from collections.abc import Callable, Iterator
from dataclasses import dataclass, field
from functools import partial
from typing import TYPE_CHECKING, cast

import lmdb

from mox import logfmt
from mox.store import arrivals, mailfiles, records, removing
from mox.store.errors import StoreError
from mox.store.model import M_EMAIL_ID, M_THREAD_ID, MailboxId
from mox.store.reading import mailbox_states, range_items
from mox.store.records import (
    KEY_A,
    KEY_AE,
    KEY_AM,
    KEY_AMU,
    KEYED_MESSAGE,
    MESSAGE,
    MailboxState,
)

if TYPE_CHECKING:
    from mox.store.account import Account
    from mox.store.committer import WriteTxn
    from mox.store.store import Store

log = logfmt.logger("store")

# How long the file of an expunged message is kept for sessions that still show it.
KEEP_EXPUNGED_S = 3600
# maildir(5): a file that lies in tmp/ for 36 hours belongs to nobody.
KEEP_TMP_S = 36 * 3600
_AT_ONCE = 1000
_VISITS_PER_COMMIT = 64


def clear_expunged(store: Store, now: float) -> int:
    """Remove files and records of messages expunged more than KEEP_EXPUNGED_S ago; how many."""
    due: list[tuple[bytes, records.ExpungedRecord]] = []
    with store.dbs.env.begin() as txn:
        for key, value in range_items(txn, store.dbs.expunged, b""):
            record = records.decode_expunged(value)
            if record.when < now - KEEP_EXPUNGED_S:
                due.append((key, record))
                if len(due) == _AT_ONCE:
                    break
    if not due:
        return 0
    store.pool.apply(_unlink_expunged, (store, due))

    def change(write: WriteTxn) -> None:
        for key, record in due:
            write.delete(write.dbs.expunged, key)
            base_key = key[:8] + record.base.encode()
            known = write.get(write.dbs.base, base_key)
            if known is not None and len(known) != 4:
                write.delete(write.dbs.base, base_key)

    store.committer.write(change)
    return len(due)


def _unlink_expunged(store: Store, due: list[tuple[bytes, records.ExpungedRecord]]) -> None:
    mailboxes: dict[tuple[Account, MailboxId], set[str]] = {}
    for key, record in due:
        account_id, mailbox_id, uid = KEY_AMU.unpack(key)
        account = store.account_by_id(account_id)
        if account is not None:
            directory = os.fspath(account.base / "expunged")
            mailfiles.unlink_files(directory, [removing.expunged_name(mailbox_id, uid)])
            mailboxes.setdefault((account, MailboxId(mailbox_id)), set()).add(record.base)
    for (account, mailbox), bases in mailboxes.items():
        # One that could not be put away: without its tombstone it would be taken for a new one.
        account.remove_by_base(mailbox, bases)


def clear_arrivals(store: Store, now: float) -> None:
    """Forget counters of incoming mail that no rate limit asks for any more."""
    with store.dbs.env.begin() as txn:
        ids = [KEY_A.unpack(key)[0] for key, _ in range_items(txn, store.dbs.account, b"")]
        due = [each for each in ids if arrivals.has_before(txn, store.dbs, each, int(now))]
    for account_id in due:
        forget = partial(arrivals.forget_before, account_id, int(now), _AT_ONCE)
        while store.committer.write(forget) == _AT_ONCE:
            pass


def clear_contents(store: Store, account: Account) -> int:
    """Forget what is kept of messages that no mailbox has any more; how many entries.

    An email id that no message has comes never back, so what was found needs no second look.
    """
    dead = store.pool.apply(_dead_contents, (store, account))
    for start in range(0, len(dead), _AT_ONCE):
        store.committer.write(partial(_delete, dead[start : start + _AT_ONCE]))
    return len(dead)


def _delete(entries: list[tuple[lmdb._Database, bytes]], write: WriteTxn) -> None:
    for db, key in entries:
        write.delete(db, key)


def _dead_contents(store: Store, account: Account) -> list[tuple[lmdb._Database, bytes]]:
    """Takes about a second per million messages."""
    prefix = KEY_A.pack(account.id)
    dbs = store.dbs
    dead: list[tuple[lmdb._Database, bytes]] = []
    with dbs.env.begin() as txn:
        emails: set[int] = set()
        threads: set[int] = set()
        with txn.cursor(db=dbs.message) as cursor:
            mailboxes = [key for key, _ in range_items(txn, dbs.mailbox, prefix)]
            found = cursor.getmulti(mailboxes, True, MESSAGE.size, True)
        for message in KEYED_MESSAGE.iter_unpack(found):
            emails.add(message[M_EMAIL_ID])
            threads.add(message[M_THREAD_ID])
        for db in (dbs.content, dbs.text):
            keys = _keys(txn, db, prefix)
            dead += [(db, key) for key in keys if KEY_AE.unpack_from(key)[1] not in emails]
        for key, value in range_items(txn, dbs.thread, prefix):
            if int.from_bytes(value, "big") not in threads:
                dead.append((dbs.thread, key))
    return dead


def _keys(txn: lmdb.Transaction, db: lmdb._Database, prefix: bytes) -> Iterator[bytes]:
    with txn.cursor(db=db) as cursor:
        if cursor.set_range(prefix):
            for key in cast("Iterator[bytes]", cursor.iternext(keys=True, values=False)):
                if not key.startswith(prefix):
                    return
                yield key


def clear_directories(store: Store, now: float) -> None:
    """Remove abandoned files in tmp/ and directories of deleted mailboxes. Blocks: use a pool."""
    roots = [os.fspath(store.data_dir / "tmp")]
    for name in store.account_names():
        base = os.fspath(store.data_dir / "accounts" / name)
        for entry in _entries(f"{base}/expunged"):
            if entry.startswith("mailbox-"):
                shutil.rmtree(f"{base}/expunged/{entry}")
        root = f"{base}/Maildir"
        folders = [root, *(f"{root}/{entry}" for entry in _entries(root) if entry[0] == ".")]
        roots += [os.path.join(folder, "tmp") for folder in folders]
    for directory in roots:
        for entry in _entries(directory):
            _unlink_old(f"{directory}/{entry}", now - KEEP_TMP_S)


def _entries(directory: str) -> list[str]:
    try:
        return os.listdir(directory)
    except (FileNotFoundError, NotADirectoryError):
        return []


def _unlink_old(path: str, before: float) -> None:
    try:
        if os.lstat(path).st_mtime < before:
            os.unlink(path)
    except (FileNotFoundError, IsADirectoryError):
        return


@dataclass(slots=True)
class _Notes:
    """Notes that mailboxes agree with their files, committed many at once.

    Deliveries wait for each commit of ours. A note that is lost, or is older than what has
    happened since, means that the mailbox is looked at again; so none waits for long.
    """

    store: Store
    visits: int = 0
    waiting: list[Callable[[WriteTxn], object]] = field(default_factory=list)

    def add(self, change: Callable[[WriteTxn], object]) -> None:
        self.waiting.append(change)

    def visited(self) -> None:
        """One mailbox more has been looked at."""
        self.visits += 1
        if self.visits % _VISITS_PER_COMMIT == 0:
            self.write()

    def write(self) -> None:
        changes, self.waiting = self.waiting, []
        if changes:
            self.store.later_write(lambda write: [change(write) for change in changes])


def sweep(store: Store, *, everything: bool) -> Iterator[tuple[Account, MailboxId]]:
    """Compare mailboxes with their files, yielding after each so that the caller can pause.

    everything: all of them, as after a crash; else those that our own changes kept from being
    compared for a while, or whose directories have changed.
    """
    notes = _Notes(store)
    for name in store.account_names():
        account = store.find_account(name)
        if account is None:
            continue
        try:
            account.adopt_folders(notes.add)
        except (StoreError, OSError) as e:
            log.error("comparing account with its folders", err=e, account=name)
        for mailbox_id, state in _states(store, account):
            try:
                if everything or state.scanned < 0:
                    account.mend(mailbox_id, notes.add)
                else:
                    account.refresh(mailbox_id, notes.add)
            except (StoreError, OSError) as e:
                log.error("comparing mailbox with its files", err=e, account=name, id=mailbox_id)
            notes.visited()
            yield account, mailbox_id
    notes.write()


def _states(store: Store, account: Account) -> list[tuple[MailboxId, MailboxState]]:
    with store.dbs.env.begin() as txn:
        return list(mailbox_states(txn, store.dbs, account.id))


def pending_intents(store: Store) -> set[tuple[int, bytes]]:
    """(account id, intent) of all directory operations under way; see finish_intents."""
    with store.dbs.env.begin() as txn:
        items = range_items(txn, store.dbs.intent, b"")
        return {(KEY_AM.unpack(key)[0], key + value) for key, value in items}


def finish_intents(store: Store, seen_before: set[tuple[int, bytes]]) -> None:
    """Finish renames and removals that were under way some seconds ago and still are."""
    for account_id in {account_id for account_id, _ in pending_intents(store) & seen_before}:
        account = store.account_by_id(account_id)
        if account is not None:
            log.info("finishing an interrupted mailbox rename or removal", account=account.name)
            account.finish_intents()
