"""Mailboxes: create, delete, rename, subscribe, special use.

A rename or removal of directories cannot be part of the index's transaction. So it is announced
first (an Intent, durable), then done, then the index changes and the intent goes away in one
commit. What a crash leaves is finished by `finish_intents`. An account does one such operation
at a time: two that cross could not be told apart afterwards.
"""

from __future__ import annotations

import contextlib
import errno
import os
import shutil
import time
from collections.abc import Callable, Sequence
from functools import partial
from pathlib import Path
from typing import TypeVar

import gevent

from mox.store import history_txn, maildir, mailfiles, places, records
from mox.store.account_txn import AccountTxn, MailboxTxn
from mox.store.committer import Committer, WriteTxn
from mox.store.durable import fsync_directory, space_error
from mox.store.env import Databases
from mox.store.errors import ErrorKind, StoreError
from mox.store.model import M_FLAGS, MAX_UID, ChangeKind, MailboxId
from mox.store.reading import lookup, range_items
from mox.store.records import (
    HAS_ORIGIN,
    KEY_A,
    KEY_AM,
    KEY_MAILBOX_STATE,
    MAILBOX,
    Intent,
    MailboxState,
)

T = TypeVar("T")

# A rename takes milliseconds. One that a crash cut short is in the way until it is taken back.
_BUSY_S = 15.0
_BUSY_POLL_S = 0.02
# Whoever makes a mailbox where one is being renamed to makes us begin again.
_ATTEMPTS = 4

# Mailbox id, old name, new name.
_Rename = tuple[MailboxId, str, str]


class Folders:
    """The mailbox-changing half of an account. Each call waits until the change is durable."""

    __slots__ = ("_committer", "_dbs", "_expunged", "_maildir", "id")

    def __init__(
        self, dbs: Databases, committer: Committer, account_id: int, directory: Path
    ) -> None:
        self._dbs = dbs
        self._committer = committer
        self.id = account_id
        self._maildir = os.fspath(directory / "Maildir")
        self._expunged = os.fspath(directory / "expunged")

    def path(self, name: str) -> str:
        """The directory of a mailbox name."""
        directory = maildir.directory_name(name)
        return f"{self._maildir}/{directory}" if directory else self._maildir

    # ---- create

    def create(self, name: str, special_use: Sequence[str] = ()) -> list[MailboxId]:
        """Create and subscribe a mailbox and the parents it misses; ids, parents first."""
        name = maildir.normal_name(name)

        def make_directories() -> None:
            try:
                for each in (*maildir.parents(name), name):
                    maildir.make_mailbox_directory(self.path(each))
            except FileNotFoundError as e:
                raise _Busy from e  # a rename took it away under our hands
            except OSError as e:
                raise space_error(e, self.path(name)) from e

        def change(write: WriteTxn) -> list[MailboxId]:
            account = AccountTxn(write, self.id)
            entries = {maildir.directory_name(each) for each in (*maildir.parents(name), name)}
            if entries & account.entries_under_way():
                raise _Busy  # the directory may be that of another mailbox just now
            if account.mailbox_id(name) is not None:
                raise StoreError(ErrorKind.EXISTS, "mailbox exists already")
            made = [
                add_mailbox(account, parent)
                for parent in maildir.parents(name)
                if account.mailbox_id(parent) is None
            ]
            made.append(add_mailbox(account, name))
            for mailbox_id in made:
                self._note_if_empty(account.mailbox(mailbox_id))
            if special_use:
                _set_special_use(account, made[-1], special_use)
            account.save()
            return made

        return self._alone(change, make_directories)

    def _note_if_empty(self, mailbox: MailboxTxn) -> None:
        """Save the first SELECT a scan, which would find what we have put there by then."""
        directory = self.path(mailbox.record.name)
        try:
            times = mailfiles.mtimes(directory)
            files = os.listdir(f"{directory}/new") + os.listdir(f"{directory}/cur")
        except OSError:
            return  # the scan says what is the matter
        if not files:
            mailbox.note_empty(times)

    # ---- delete

    def delete(self, mailbox_id: MailboxId) -> None:
        """Delete a mailbox with its messages. INBOX and mailboxes with children are refused."""
        parked = os.path.join(self._expunged, "mailbox-" + maildir.unique_name())

        def announce(write: WriteTxn) -> str:
            account = AccountTxn(write, self.id)
            name = account.mailbox(mailbox_id).record.name
            if name == maildir.INBOX:
                raise StoreError(ErrorKind.BAD_NAME, "INBOX cannot be deleted")
            if _children(account, name):
                raise StoreError(ErrorKind.HAS_CHILDREN, "mailbox has children")
            self._announce(account, mailbox_id, [Intent(maildir.directory_name(name))])
            return name

        name = self._alone(announce)
        intents = [Intent(maildir.directory_name(name))]

        def park_directory() -> None:
            if not self._is_announced(mailbox_id, intents):
                raise _Changed  # another mailbox may have the name by now
            _rename_if_there(self.path(name), parked)

        def change(write: WriteTxn) -> None:
            account = AccountTxn(write, self.id)
            remove_mailbox(account, mailbox_id)
            write.delete(write.dbs.intent, KEY_AM.pack(self.id, mailbox_id))
            account.save()

        try:
            self._committer.write(change, prepare=park_directory)
        except StoreError:
            self._finish(mailbox_id, intents)
            raise

    # ---- rename

    def rename(self, mailbox_id: MailboxId, new: str) -> list[MailboxId]:
        """Rename a mailbox and its children; returns the ids of parents made for the new name.

        Not for INBOX, which RFC 9051 §6.3.6 treats apart (Account.rename_mailbox does).
        """
        new = maildir.normal_name(new)
        return _again(partial(self._rename, mailbox_id, new))

    def _rename(self, mailbox_id: MailboxId, new: str) -> list[MailboxId]:
        def announce(write: WriteTxn) -> tuple[list[_Rename], list[Intent]]:
            account = AccountTxn(write, self.id)
            pairs = _renames(account, mailbox_id, new)
            intents = self._intents(pairs)
            self._announce(account, mailbox_id, intents)
            return pairs, intents

        pairs, intents = self._alone(announce)

        def move_directories() -> None:
            if not self._is_announced(mailbox_id, intents):
                raise _Changed  # we were slow, and the keeper has taken it back
            for _, old, name in pairs:
                _rename_if_there(self.path(old), self.path(name))
            try:
                for parent in maildir.parents(new):
                    maildir.make_mailbox_directory(self.path(parent))
            except FileNotFoundError as e:
                raise _Changed from e
            except OSError as e:
                raise space_error(e, self.path(new)) from e

        def change(write: WriteTxn) -> list[MailboxId]:
            account = AccountTxn(write, self.id)
            announced = write.get(write.dbs.intent, KEY_AM.pack(self.id, mailbox_id))
            if announced is None or _renames(account, mailbox_id, new) != pairs:
                raise _Changed
            for member, old, name in pairs:
                _rename_record(account, member, old, name)
            write.delete(write.dbs.intent, KEY_AM.pack(self.id, mailbox_id))
            made = [
                add_mailbox(account, parent)
                for parent in maildir.parents(new)
                if account.mailbox_id(parent) is None
            ]
            account.save()
            return made

        try:
            return self._committer.write(change, prepare=move_directories)
        except StoreError:
            self._finish(mailbox_id, intents)
            raise

    # ---- subscriptions and special use

    def subscribe(self, name: str, on: bool) -> None:
        """Subscribe or unsubscribe a name, existing or not (RFC 9051 §6.3.7)."""
        name = maildir.normal_name(name)

        def change(write: WriteTxn) -> None:
            account = AccountTxn(write, self.id)
            key = account.key + name.encode()
            db = write.dbs.subscription
            if on == (write.get(db, key) is not None):
                return
            if on:
                write.put(db, key, b"")
            else:
                write.delete(db, key)
            mailbox_id = account.mailbox_id(name)
            mailbox = None if mailbox_id is None else account.mailbox(mailbox_id)
            kind = ChangeKind.SUBSCRIBED if on else ChangeKind.UNSUBSCRIBED
            account.log(kind, mailbox, name=name)
            account.save()

        self._committer.write(change)

    # ---- recovery

    def finish_intents(self) -> None:
        """Do or undo what a crash cut short. Only while nothing else renames this account."""

        def pending(write: WriteTxn) -> list[tuple[MailboxId, list[Intent]]]:
            items = range_items(write.txn, write.dbs.intent, KEY_A.pack(self.id))
            return [
                (MailboxId(int.from_bytes(key[4:], "big")), records.decode_intents(value))
                for key, value in items
            ]

        for mailbox_id, intents in self._committer.write(pending):
            self._finish(mailbox_id, intents)

    def _alone(
        self, change: Callable[[WriteTxn], T], prepare: Callable[[], None] | None = None
    ) -> T:
        """Commit a change that another announced operation may keep waiting."""
        deadline = time.monotonic() + _BUSY_S
        while True:
            try:
                return self._committer.write(change, prepare=prepare)
            except _Busy:
                if time.monotonic() > deadline:
                    raise
            gevent.sleep(_BUSY_POLL_S)

    def _announce(self, account: AccountTxn, mailbox_id: MailboxId, intents: list[Intent]) -> None:
        if account.entries_under_way():
            raise _Busy
        key = KEY_AM.pack(account.id, mailbox_id)
        account.write.put(account.write.dbs.intent, key, records.encode(intents))

    def _intents(self, pairs: list[_Rename]) -> list[Intent]:
        intents: list[Intent] = []
        for _, old, new in pairs:
            source, target = maildir.directory_name(old), maildir.directory_name(new)
            intents.append(Intent(source, target, _inode(self.path(old))))
        return intents

    def _finish(self, mailbox_id: MailboxId, intents: list[Intent]) -> None:
        """Renames are taken back; a removal whose directory is gone already is completed."""
        removal = not intents[0].target
        gone = not os.path.isdir(os.path.join(self._maildir, intents[0].source))

        def directories() -> None:
            if not self._is_announced(mailbox_id, intents):
                return  # someone else has finished it
            # The last first, as the names may follow each other (A/B to A/B/B, then A to A/B).
            for intent in reversed(intents):
                target = os.path.join(self._maildir, intent.target)
                if not removal and intent.inode and _inode(target) == intent.inode:
                    source = os.path.join(self._maildir, intent.source)
                    _bring_along(source, target)
                    _rename_if_there(target, source)

        def change(write: WriteTxn) -> None:
            account = AccountTxn(write, self.id)
            key = KEY_AM.pack(self.id, mailbox_id)
            if not _is_there(write.get(write.dbs.intent, key), intents):
                return
            write.delete(write.dbs.intent, key)
            if removal and gone:
                remove_mailbox(account, mailbox_id)
            account.save()

        _again(lambda: self._committer.write(change, prepare=directories))

    def _is_announced(self, mailbox_id: MailboxId, intents: list[Intent]) -> bool:
        """Whether the operation is still ours to do or to take back."""
        with self._dbs.env.begin() as txn:
            present = lookup(txn, self._dbs.intent, KEY_AM.pack(self.id, mailbox_id))
        return _is_there(present, intents)


# ---- inside the transaction


def add_mailbox(account: AccountTxn, name: str, *, subscribe: bool = True) -> MailboxId:
    """Records for a mailbox whose directory exists."""
    write, dbs = account.write, account.write.dbs
    account.state.mailbox_id += 1
    account.state.uidv += 1
    mailbox_id = MailboxId(account.state.mailbox_id)
    key = KEY_AM.pack(account.id, mailbox_id)
    record = records.MailboxRecord(name, account.state.uidv)
    write.put(dbs.mailbox, key, records.encode(record))
    state_key = KEY_MAILBOX_STATE.pack(account.id, MAILBOX, mailbox_id)
    write.put(dbs.state, state_key, MailboxState.fresh(account.modseq).pack())
    write.put(dbs.mailbox_name, account.key + name.encode(), KEY_A.pack(mailbox_id))
    if subscribe:
        write.put(dbs.subscription, account.key + name.encode(), b"")
    account.log(ChangeKind.MAILBOX_CREATED, account.mailbox(mailbox_id), name=name)
    return mailbox_id


def remove_mailbox(account: AccountTxn, mailbox_id: MailboxId) -> None:
    """Drop a mailbox's records and those of its messages."""
    write, dbs = account.write, account.write.dbs
    mailbox = account.mailbox(mailbox_id)
    account.state.messages -= mailbox.state.messages
    account.state.octets -= mailbox.state.size
    name = mailbox.record.name
    account.log(ChangeKind.MAILBOX_DELETED, mailbox, name=name)
    account.forget(mailbox_id)
    for message in mailbox.scan(1, MAX_UID):
        if message[M_FLAGS] & HAS_ORIGIN:
            history_txn.remove(mailbox, message)
    places.delete_all(write, account.id, mailbox_id)
    write.txn.delete(mailbox.key, db=dbs.message)
    for key, _ in list(range_items(write.txn, dbs.trained, mailbox.key)):
        write.put(dbs.training, key, b"")  # to be untrained
    for db in (
        dbs.file,
        dbs.base,
        dbs.mirror,
        dbs.vanished,
        dbs.removal,
        dbs.expunged,
        dbs.annotation,
    ):
        for key, _ in list(range_items(write.txn, db, mailbox.key)):
            write.delete(db, key)
    write.delete(dbs.mailbox, mailbox.key)
    write.delete(dbs.state, mailbox.state_key)
    write.delete(dbs.text_mark, mailbox.key)
    write.delete(dbs.mailbox_name, account.key + name.encode())


def _set_special_use(account: AccountTxn, mailbox_id: MailboxId, uses: Sequence[str]) -> None:
    """Give the mailbox these uses and take them from any other (RFC 6154 §3)."""
    write, dbs = account.write, account.write.dbs
    for key, value in list(range_items(write.txn, dbs.mailbox, account.key)):
        other = int.from_bytes(key[4:], "big")
        kept = tuple(use for use in records.decode_mailbox(value).special_use if use not in uses)
        if other != mailbox_id and len(kept) != len(records.decode_mailbox(value).special_use):
            mailbox = account.mailbox(other)
            mailbox.set_record(special_use=kept)
            account.log(ChangeKind.SPECIAL_USE, mailbox, name=mailbox.record.name)
    account.mailbox(mailbox_id).set_record(special_use=tuple(uses))


def _children(account: AccountTxn, name: str) -> list[tuple[MailboxId, str]]:
    prefix = account.key + name.encode() + b"/"
    items = range_items(account.write.txn, account.write.dbs.mailbox_name, prefix)
    return [(MailboxId(int.from_bytes(value, "big")), key[4:].decode()) for key, value in items]


def _renames(account: AccountTxn, mailbox_id: MailboxId, new: str) -> list[_Rename]:
    """(id, old name, new name) of the mailbox and all below it; raises where it cannot be."""
    old = account.mailbox(mailbox_id).record.name
    if old == maildir.INBOX:
        raise StoreError(ErrorKind.BAD_NAME, "INBOX cannot be renamed like that")
    members = [(mailbox_id, old), *_children(account, old)]
    pairs = [
        (member, name, maildir.normal_name(new + name[len(old) :])) for member, name in members
    ]
    going = {name for _, name in members}
    for _, _, name in pairs:
        if name not in going and account.mailbox_id(name) is not None:
            raise StoreError(ErrorKind.EXISTS, f"mailbox exists already: {name}")
    if new == old:
        raise StoreError(ErrorKind.EXISTS, "mailbox has that name already")
    # The new name of one may be the present name of another (A/B becomes A/B/B as A becomes A/B):
    # the deepest go first on the way down, the highest on the way up; so none lands on another.
    pairs.sort(key=lambda pair: pair[1].count("/"), reverse=new.startswith(old + "/"))
    return pairs


class _Busy(StoreError):
    def __init__(self) -> None:
        text = "another mailbox is being renamed or removed, try again"
        super().__init__(ErrorKind.BUSY, text)


class _Changed(StoreError):
    def __init__(self) -> None:
        super().__init__(ErrorKind.BUSY, "mailboxes have changed meanwhile, try again")


def _is_there(value: bytes | None, intents: list[Intent]) -> bool:
    return value is not None and records.decode_intents(value) == intents


def _again(operation: Callable[[], T]) -> T:
    """Begin again when someone made a mailbox of the same name that very moment."""
    for _ in range(_ATTEMPTS - 1):
        try:
            return operation()
        except _Changed:
            continue
    return operation()


def _inode(directory: str) -> int:
    """0 when there is none."""
    try:
        return os.stat(directory).st_ino
    except FileNotFoundError:
        return 0


def _rename_record(account: AccountTxn, mailbox_id: MailboxId, old: str, new: str) -> None:
    write = account.write
    mailbox = account.mailbox(mailbox_id)
    mailbox.set_record(name=new)
    key = account.key + old.encode()
    if write.get(write.dbs.mailbox_name, key) == KEY_A.pack(mailbox_id):
        write.delete(write.dbs.mailbox_name, key)
    write.put(write.dbs.mailbox_name, account.key + new.encode(), KEY_A.pack(mailbox_id))
    # The old name stays subscribed (RFC 9051 §6.3.6); the new one is what clients look for.
    write.put(write.dbs.subscription, account.key + new.encode(), b"")
    account.log(ChangeKind.MAILBOX_RENAMED, mailbox, name=new, old_name=old)


def _rename_if_there(source: str, target: str) -> None:
    """Rename a directory, durable; one that is not there was renamed before a crash."""
    if not os.path.isdir(source):
        return
    try:
        if os.path.isdir(target):
            # Left over from a mailbox of that name: it must not swallow the renamed one.
            shutil.rmtree(target) if not _has_files(target) else _refuse(target)
        os.rename(source, target)
        fsync_directory(os.path.dirname(source))
        fsync_directory(os.path.dirname(target))
    except OSError as e:
        if e.errno in (errno.ENOTEMPTY, errno.EEXIST, errno.ENOENT):
            raise _Changed from e  # someone makes a mailbox of that name this very moment
        raise space_error(e, target) from e


def _bring_along(made: str, directory: str) -> None:
    """What came into a directory that was made anew as parent belongs to the renamed one."""
    try:
        for sub in ("cur", "new"):
            if os.path.isdir(os.path.join(made, sub)):
                for name in os.listdir(os.path.join(made, sub)):
                    # What a writer has just taken back itself, as it could get no entry, is gone.
                    with contextlib.suppress(FileNotFoundError):
                        os.rename(os.path.join(made, sub, name), os.path.join(directory, sub, name))
    except OSError as e:
        raise space_error(e, directory) from e


def _has_files(directory: str) -> bool:
    for sub in ("cur", "new"):
        path = os.path.join(directory, sub)
        if os.path.isdir(path) and os.listdir(path):
            return True
    return False


def _refuse(target: str) -> None:
    detail = f"{target} holds messages that no mailbox of the index owns: move them away"
    raise StoreError(ErrorKind.EXISTS, "directory of that name is in the way", detail)
