"""The files behind the journal: making them durable, and writing those again that a crash took.

The keeper settles once a second. One file after another or all with `syncfs`, whichever is cheaper
here (syncways.py): a few files must not have all that others wrote written out as well.

A crash of the machine (not one of a process) leaves files that are empty, or not there. Before
anybody compares mailboxes with their directories, which would take those messages for removed, the
files are made anew.
"""

from __future__ import annotations

import os
import time
from collections.abc import Callable, Iterable
from functools import partial
from typing import TYPE_CHECKING

from gevent import monkey

from mox import logfmt
from mox.store import housekeeping, journal, maildir, mailfiles
from mox.store.durable import fsync_directory, space_error, syncfs, write_all
from mox.store.model import MailboxId
from mox.store.records import KEY_AMU
from mox.store.syncways import Ways

if TYPE_CHECKING:
    from mox.store.committer import WriteTxn
    from mox.store.store import Store

# Pieces that are forgotten in one commit, which others wait for.
_AT_ONCE = 500

log = logfmt.logger("store")

_close: Callable[[int], None] = monkey.get_original("os", "close")


class Settler:
    """Settles what has come since the last time. One per server: the keeper's."""

    def __init__(self, store: Store, clock: Callable[[], float] = time.perf_counter) -> None:
        self._store = store
        self._clock = clock
        self._ways = Ways()
        # Kept open: errors of the disk are told once to each descriptor, if they happened since.
        self._root = os.open(store.data_dir, os.O_RDONLY | os.O_DIRECTORY | os.O_CLOEXEC)
        self._is_doubtful = False  # files may seem durable and are not: a sync has failed

    def close(self) -> None:
        _close(self._root)

    def settle(self) -> bool:
        """Make durable what has come until now and forget the contents; whether there was any.

        Raises StoreError when the disk fails: contents are kept, and the next call tries again.
        """
        with self._store.dbs.env.begin() as txn:
            last = journal.last(txn, self._store.dbs)
            keys = list(journal.messages(txn, self._store.dbs)) if last is not None else []
        if last is None:
            return False
        self._store.pool.apply(self._make_durable, (keys,))
        forget = partial(journal.forget, last, _AT_ONCE)
        while self._store.write(forget, durable=False):
            pass
        return True

    def _make_durable(self, keys: list[bytes]) -> None:
        """Blocks."""
        try:
            if self._is_doubtful:
                self._write_again()
            elif self._ways.prefers_together(len(keys)) or not self._sync_each(keys):
                self._sync_all()
        except OSError as e:
            # What the failed sync covered is gone from the page cache, or will be; asking again
            # would lie.
            self._is_doubtful = True
            raise space_error(e, "making files of messages durable") from e
        self._is_doubtful = False

    def _sync_all(self) -> None:
        start = self._clock()
        syncfs(self._root)
        self._ways.took_together(self._clock() - start)

    def _sync_each(self, keys: Iterable[bytes]) -> bool:
        """Sync each file, and their directories; false when one is not where it should be."""
        mailboxes: set[str] = set()
        for key in keys:
            path = _path(self._store, key)
            if path is None:
                continue  # removed, or moved, which has made it durable
            start = self._clock()
            try:
                fd = os.open(path, os.O_RDONLY | os.O_NOFOLLOW | os.O_CLOEXEC)
            except OSError:
                return False  # renamed by another program, or removed
            try:
                os.fdatasync(fd)
            finally:
                _close(fd)
            self._ways.took_apart(self._clock() - start)
            mailboxes.add(_mailbox_of(path))
        try:
            for directory in mailboxes:
                # In this order none is lost that goes from one to the other meanwhile.
                fsync_directory(f"{directory}/new")
                fsync_directory(f"{directory}/cur")
        except FileNotFoundError:
            return False
        return True

    def _write_again(self) -> None:
        with self._store.dbs.env.begin() as txn:
            for key, content in journal.contents(txn, self._store.dbs):
                path = _path(self._store, key)
                found = None if path is None else _found(path)
                if found is not None:
                    _write(found, content)


def restore(store: Store) -> int:
    """Write files again that are missing or not whole; how many. Raises StoreError.

    Interrupted renames of mailboxes are finished first. Nobody may have compared mailboxes with
    their directories since the crash. A file that another program removed in the second before the
    crash comes back.
    """
    with store.dbs.env.begin() as txn:
        if journal.last(txn, store.dbs) is None:
            return 0
    housekeeping.finish_intents(store, housekeeping.pending_intents(store))
    # In a transaction, as then no worker that may run removes messages.
    count = store.write(partial(_restore, store))
    if count:
        log.warn("wrote files of messages that a crash of the machine took", files=count)
    return count


def _restore(store: Store, write: WriteTxn) -> int:
    count = 0
    for key, content in journal.contents(write.txn, write.dbs):
        path = _path(store, key)
        if path is not None:
            try:
                count += _restore_file(path, content)
            except OSError as e:
                raise space_error(e, path) from e
    return count


def _restore_file(path: str, content: bytes) -> bool:
    if _holds(path, content):
        return False
    directory = _mailbox_of(path)
    is_folder = os.path.basename(directory).startswith(".")
    if not os.path.isdir(os.path.dirname(directory) if is_folder else directory):
        return False  # the whole Maildir is not there
    maildir.make_mailbox_directory(directory)
    found = _found(path) or path
    if _holds(found, content):
        return False
    _write(found, content)
    return True


def _holds(path: str, content: bytes) -> bool:
    found = mailfiles.read_regular(path)
    return found is not None and found[0] == content


def _found(path: str) -> str | None:
    """Where a file is that the index knows by this path: its name may have got other flags."""
    if os.path.lexists(path):
        return path
    directory, base = _mailbox_of(path), maildir.split_name(os.path.basename(path))[0]
    try:
        paths = mailfiles.paths_of_bases(directory, {base})
    except FileNotFoundError:
        return None
    return f"{directory}/{paths[0]}" if paths else None


def _mailbox_of(path: str) -> str:
    """The directory of a mailbox, of the path of a file in it."""
    return os.path.dirname(os.path.dirname(path))


def _write(path: str, content: bytes) -> None:
    directory = os.path.dirname(path)
    tmp = os.path.join(_mailbox_of(path), "tmp", maildir.unique_name())
    fd = os.open(tmp, os.O_WRONLY | os.O_CREAT | os.O_EXCL | os.O_CLOEXEC, 0o600)
    try:
        write_all(fd, [content])
        os.fdatasync(fd)
        os.rename(tmp, path)
    except OSError:
        os.unlink(tmp)
        raise
    finally:
        _close(fd)
    fsync_directory(directory)


def _path(store: Store, key: bytes) -> str | None:
    """Where the file of a message should be; None when there is no such message any more."""
    account_id, mailbox_id, uid = KEY_AMU.unpack(key)
    account = store.account_by_id(account_id)
    if account is None:
        return None
    directory = account.present_directory(MailboxId(mailbox_id))
    path = account.path(MailboxId(mailbox_id), uid)
    return None if directory is None or path is None else f"{directory}/{path}"
