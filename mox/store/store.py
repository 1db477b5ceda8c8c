"""The store of one process: environment, committer, accounts, and who waits for changes."""

from __future__ import annotations

import os
import time
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import ParamSpec, TypeVar

import gevent
import msgspec
from gevent.pool import Group

from mox import logfmt
from mox.store import delivering, maildir, records
from mox.store.account import Account
from mox.store.account_txn import AccountTxn
from mox.store.bells import Bells
from mox.store.committer import Committer, WriteTxn
from mox.store.credentials import Credentials
from mox.store.durable import FileBatch, FileWrite, fsync_directory, space_error
from mox.store.env import Databases, open_environment
from mox.store.errors import ErrorKind, StoreError
from mox.store.folders import add_mailbox
from mox.store.model import Delivered, MailboxId, Target
from mox.store.notify import Notifier, Watch
from mox.store.pool import BlockingPool
from mox.store.reading import lookup, range_items
from mox.store.records import (
    ACCOUNT,
    KEY_A,
    KEY_ACCOUNT_STATE,
    KEY_AM,
    KEY_AMU,
    KEY_MAILBOX_STATE,
    MAILBOX,
    AccountRecord,
    AccountState,
)
from mox.store.residence import Residence
from mox.store.seat import Seat
from mox.store.spool import Spool
from mox.store.watch import FileWatcher

log = logfmt.logger("store")

P = ParamSpec("P")
T = TypeVar("T")

# (name, special use) of the mailboxes of a new account, as the reference makes them.
INITIAL_MAILBOXES: Sequence[tuple[str, str]] = (
    ("INBOX", ""),
    ("Archive", "\\Archive"),
    ("Drafts", "\\Drafts"),
    ("Junk", "\\Junk"),
    ("Sent", "\\Sent"),
    ("Trash", "\\Trash"),
)

_POOL_THREADS = 8
# After a failed sync the replies get this long to leave before the process ends.
_FAREWELL_S = 0.5
_EX_IOERR = 74
_MAX_KEY = 511  # octets of a key in LMDB


def open_store(
    data_dir: Path,
    *,
    bells: Bells | None = None,
    initial_mailboxes: Sequence[tuple[str, str]] = INITIAL_MAILBOXES,
    lazy: bool = False,
    number: int | None = None,
) -> Store:
    """Open the store, once per process and after fork. Raises StoreError with what to do.

    `lazy`: writes that do not ask to be durable need not wait for the disk twice. `number`: of this
    process among those that do the same work.
    """
    data_dir = data_dir.absolute()
    try:
        for name in ("accounts", "queue", "tmp", "run"):
            (data_dir / name).mkdir(mode=0o700, parents=True, exist_ok=True)
    except OSError as e:
        raise space_error(e, os.fspath(data_dir)) from e
    dbs = open_environment(data_dir / "index", lazy=lazy)
    if bells is None:
        bells = Bells.alone()
    else:
        try:
            bells.share(data_dir / "run" / "listening")
        except OSError as e:
            log.error("every process will be woken by every change", err=e)
    seat = None if number is None else Seat(number)
    return Store(data_dir, dbs, bells, initial_mailboxes, lazy=lazy, seat=seat)


class Store:
    """See the package's docstring. Made by open_store()."""

    def __init__(
        self,
        data_dir: Path,
        dbs: Databases,
        bells: Bells,
        initial_mailboxes: Sequence[tuple[str, str]],
        *,
        lazy: bool = False,
        seat: Seat | None = None,
    ) -> None:
        self.data_dir = data_dir
        # Asked for with each message; making paths takes longer than it looks.
        self.tmp_dir = os.fspath(data_dir / "tmp")
        self.queue_dir = data_dir / "queue"
        self.dbs = dbs
        self.pool = BlockingPool(_POOL_THREADS)
        self._background = Group()
        self.files = FileBatch(os.fspath(data_dir))
        self._bells = bells
        self.notifier = Notifier(dbs, bells)
        on_commit = self.notifier.committed
        self.committer = Committer(
            dbs, self.files, bells, on_commit, self._give_up, lazy=lazy, seat=seat
        )
        self.file_watcher = FileWatcher()
        self._residence = Residence(dbs.env.path(), self.later)
        self._initial = initial_mailboxes
        self._accounts: dict[str, Account] = {}

    def close(self) -> None:
        """Finish what waits and release the environment."""
        self.file_watcher.close()
        self._residence.close()
        self.notifier.close()
        self.finish_background()
        self.committer.close()
        self.pool.close()
        self._bells.close()
        self.files.release()
        self.dbs.env.close()

    # ---- accounts

    def find_account(self, name: str) -> Account | None:
        """The account, when it has been used before."""
        account = self._accounts.get(name)
        if account is None:
            with self.dbs.env.begin() as txn:
                value = lookup(txn, self.dbs.account_name, name.encode())
            if value is None:
                return None
            account = Account(self, int.from_bytes(value, "big"), name)
            self._accounts[name] = account
        return account

    def account(self, name: str) -> Account:
        """The account; its directory, index entry and first mailboxes are made at first use."""
        account = self.find_account(name)
        if account is None:
            if not name or name != os.path.basename(name) or name in (".", ".."):
                raise StoreError(ErrorKind.BAD_NAME, f"bad account name {name!r}")
            self.committer.write(
                lambda write: self._create_account(write, name),
                prepare=lambda: self._make_directories(name),
            )
            account = self.find_account(name)
            assert account is not None, "just created"
        return account

    def account_by_id(self, account_id: int) -> Account | None:
        with self.dbs.env.begin() as txn:
            value = lookup(txn, self.dbs.account, KEY_A.pack(account_id))
        return None if value is None else self.find_account(records.decode_account(value).name)

    def account_names(self) -> list[str]:
        """Names of all accounts that have been used, sorted."""
        with self.dbs.env.begin() as txn:
            return [key.decode() for key, _ in range_items(txn, self.dbs.account_name, b"")]

    def _make_directories(self, name: str) -> None:
        base = self.data_dir / "accounts" / name
        try:
            maildir.make_mailbox_directory(os.fspath(base / "Maildir"))
            (base / "expunged").mkdir(mode=0o700, exist_ok=True)
            for mailbox, _ in self._initial:
                entry = maildir.directory_name(mailbox)
                maildir.make_mailbox_directory(os.fspath(base / "Maildir" / entry))
            for directory in (base, base.parent, self.data_dir):
                fsync_directory(os.fspath(directory))
        except OSError as e:
            raise space_error(e, os.fspath(base)) from e

    def _create_account(self, write: WriteTxn, name: str) -> None:
        dbs = write.dbs
        if write.get(dbs.account_name, name.encode()) is not None:
            return  # another process was faster
        with write.txn.cursor(db=dbs.account) as cursor:
            account_id = KEY_A.unpack(cursor.key())[0] + 1 if cursor.last() else 1
        key = KEY_A.pack(account_id)
        now = int(time.time())
        write.put(dbs.account_name, name.encode(), key)
        write.put(dbs.account, key, records.encode(AccountRecord(name, now)))
        # Half the clock leaves room for a rebuilt index to begin above all earlier values.
        state_key = KEY_ACCOUNT_STATE.pack(account_id, ACCOUNT)
        write.put(dbs.state, state_key, AccountState.fresh(now // 2).pack())
        account = AccountTxn(write, account_id)
        for mailbox_name, use in self._initial:
            mailbox_id = add_mailbox(account, mailbox_name)
            if use:
                account.mailbox(mailbox_id).set_record(special_use=(use,))
        account.save()

    # ---- changes

    def watch(self, account_id: int, callback: Callable[[], None]) -> Watch:
        """Call `callback` on the event loop after commits that touched the account."""
        return self.notifier.add(account_id, callback)

    # ---- messages

    def spool(self) -> Spool:
        """A place for a message that comes in."""
        return Spool(self.tmp_dir, self.pool)

    def deliver(self, targets: Sequence[Target], spool: Spool) -> list[Delivered | StoreError]:
        """Deliver one message to all targets in one durable batch; a result for each."""
        return delivering.deliver(self, targets, spool)

    def write(
        self,
        fn: Callable[[WriteTxn], T],
        files: Sequence[FileWrite] = (),
        prepare: Callable[[], None] | None = None,
        *,
        durable: bool = True,
    ) -> T:
        """Run `fn` in the next group commit; see Committer.write."""
        return self.committer.write(fn, files, prepare, durable=durable)

    def flush(self) -> None:
        """Wait until nothing that was written before can be undone by a crash of the machine."""
        self.committer.flush()

    # ---- credentials

    def credentials(self, account_id: int) -> Credentials | None:
        with self.dbs.env.begin() as txn:
            value = lookup(txn, self.dbs.credentials, KEY_A.pack(account_id))
        return None if value is None else msgspec.msgpack.decode(value, type=Credentials)

    def set_credentials(self, account_id: int, credentials: Credentials) -> None:
        value = msgspec.msgpack.encode(credentials)
        self.committer.write(
            lambda write: write.put(write.dbs.credentials, KEY_A.pack(account_id), value)
        )

    # ---- work that nobody waits for

    def later(self, fn: Callable[P, object], *args: P.args, **kwargs: P.kwargs) -> None:
        """Run blocking work in the thread pool; a failure is logged."""
        self._background.spawn(self._guarded, lambda: self.pool.apply(lambda: fn(*args, **kwargs)))

    def background(self, fn: Callable[P, object], *args: P.args, **kwargs: P.kwargs) -> None:
        """Run work of several steps that waits; a failure is logged."""
        self._background.spawn(self._guarded, lambda: fn(*args, **kwargs))

    def later_write(self, fn: Callable[[WriteTxn], object]) -> None:
        """Commit something whose loss costs only repeated work."""
        self._background.spawn(self._guarded, lambda: self.committer.write(fn, durable=False))

    def finish_background(self) -> None:
        """Wait for all work that was begun with later() and later_write()."""
        self._background.join()

    def _guarded(self, fn: Callable[[], object]) -> None:
        try:
            fn()
        except (StoreError, OSError) as e:
            log.error("background work of the store", err=e)

    def _give_up(self, cause: BaseException) -> None:
        log.error(
            "writing failed in a way that leaves the disk's state in doubt; this process ends, "
            "its clients got temporary errors: check the disk and the kernel's log",
            err=cause,
        )
        gevent.spawn_later(_FAREWELL_S, os._exit, _EX_IOERR)

    # ---- what comparisons with the file system ask (sync.py)

    def known_paths(self, account_id: int, mailbox_id: MailboxId) -> dict[str, int]:
        """{path: uid} of a mailbox. May run on a thread of the pool."""
        prefix = KEY_AM.pack(account_id, mailbox_id)
        with self.dbs.env.begin() as txn:
            items = range_items(txn, self.dbs.file, prefix)
            return {
                value.decode(): KEY_AMU.unpack(key)[2]
                for key, value in items
                if len(key) == KEY_AMU.size  # not an origin
            }

    def files_of_bases(
        self, account_id: int, mailbox_id: MailboxId, bases: Sequence[str]
    ) -> dict[str, tuple[int, str] | None]:
        """{base name: (uid, path)} of files that the index knows; None for expunged ones.

        May run on a thread of the pool.
        """
        prefix = KEY_AM.pack(account_id, mailbox_id)
        found: dict[str, tuple[int, str] | None] = {}
        with (
            self.dbs.env.begin() as txn,
            txn.cursor(db=self.dbs.base) as base_cursor,
            txn.cursor(db=self.dbs.file) as file_cursor,
        ):
            keys = {prefix + os.fsencode(base): base for base in bases}
            # A longer name cannot be one of ours.
            found = {base: None for key, base in keys.items() if len(key) > _MAX_KEY}
            usable = [key for key in keys if len(key) <= _MAX_KEY]
            known = base_cursor.getmulti(usable)
            found.update((keys[key], None) for key, _ in known)
            live = {prefix + value: keys[key] for key, value in known if len(value) == KEY_A.size}
            for key, path in file_cursor.getmulti(list(live)):
                found[live[key]] = int.from_bytes(key[8:], "big"), path.decode()
        return found

    def recorded_mtimes(self, account_id: int, mailbox_id: MailboxId) -> tuple[int, int]:
        """When new/ and cur/ were known to agree with the index, as kept."""
        with self.dbs.env.begin() as txn:
            key = KEY_MAILBOX_STATE.pack(account_id, MAILBOX, mailbox_id)
            value = lookup(txn, self.dbs.state, key)
        state = None if value is None else records.MailboxState(value)
        return (0, 0) if state is None else (state.new_mtime, state.cur_mtime)

    def renaming(self, account_id: int) -> bool:
        """Whether a rename or removal of one of the account's mailboxes is under way."""
        with self.dbs.env.begin() as txn:
            items = range_items(txn, self.dbs.intent, KEY_A.pack(account_id))
            return any(True for _ in items)
