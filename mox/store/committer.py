"""Group commit: every write transaction of a process, on one native thread.

A write is a function of the transaction. The committer takes all that gathered (at most MAX_BATCH,
see `gathering`), makes their files durable, runs the functions in one LMDB transaction, commits
once, and completes all. One that fails takes back only itself.

Why a thread: beginning a write transaction waits for the writers of other processes, and commit
waits for the disk; on the event loop both would stop every connection. Why only one, and why a
transaction begins and ends in one function there: LMDB ties the write lock to the thread; a
transaction that ends on another one blocks every writer of the machine.
"""

from __future__ import annotations

import errno
import os
from _queue import SimpleQueue  # the C one waits natively also in a monkey-patched process
from collections.abc import Callable, Sequence
from dataclasses import dataclass, field
from typing import Any, Generic, TypeVar, cast

import gevent
import lmdb
from gevent import monkey
from gevent.hub import Waiter

from mox.store import journal
from mox.store.bells import Bells
from mox.store.durable import NO_SPACE, FileBatch, FileWrite, NoSpaceAtSync, SyncFailed
from mox.store.env import Databases
from mox.store.errors import ErrorKind, StoreError
from mox.store.gathering import Gathering
from mox.store.notify import NOBODY, Touched, topics
from mox.store.records import KEY_A, KEY_SEQ
from mox.store.seat import Seat

MAX_BATCH = 256
# Records of `touched` that are kept. A process that missed more looks at all accounts it watches.
KEEP_TOUCHED = 4096

# Less than this is left after a write that the disk could not take in full.
_SHORT_OF_SPACE = 1 << 20
# What LMDB says of one job's arguments; everything else that it says concerns the index.
_OWN_FAULT = (lmdb.BadValsizeError, lmdb.InvalidParameterError, lmdb.KeyExistsError)

_start_native_thread = monkey.get_original("_thread", "start_new_thread")

T = TypeVar("T")


@dataclass(slots=True)
class WriteTxn:
    """What a write function gets: the transaction, the databases, and whom to wake."""

    txn: lmdb.Transaction
    dbs: Databases
    mtimes: dict[str, tuple[int, int]]  # of directories written to, before and after, ns
    touched: set[int] = field(default_factory=set)  # account ids; notify.QUEUE, notify.HOOKS

    def get(self, db: lmdb._Database, key: bytes) -> bytes | None:
        return cast("bytes | None", self.txn.get(key, db=db))

    def put(self, db: lmdb._Database, key: bytes, value: bytes) -> None:
        self.txn.put(key, value, db=db)

    def delete(self, db: lmdb._Database, key: bytes) -> bool:
        return self.txn.delete(key, db=db)


# Sees to it that a change is committed some time; its loss costs only repeated work.
WriteLater = Callable[[Callable[[WriteTxn], object]], None]


@dataclass(slots=True)
class _Job(Generic[T]):
    fn: Callable[[WriteTxn], T]
    files: Sequence[FileWrite]
    prepare: Callable[[], None] | None
    waiter: Waiter[T]
    durable: bool = True
    result: T | None = None
    error: BaseException | None = None
    touched: set[int] = field(default_factory=set)


class Committer:
    """The write side of one process's environment.

    on_commit is called on the event loop after commits that touched something, when those who
    waited for them have gone on. So is on_fatal when durability is in doubt (a sync failed): the
    batch got a temporary error, and the process has to be replaced. `lazy` is how the environment
    was opened.
    """

    def __init__(
        self,
        dbs: Databases,
        files: FileBatch,
        bells: Bells,
        on_commit: Callable[[Touched], None],
        on_fatal: Callable[[BaseException], None],
        *,
        lazy: bool = False,
        seat: Seat | None = None,
    ) -> None:
        self._dbs = dbs
        self._seat = seat
        self._is_lazy = lazy
        self._may_be_undone = False  # the last commit, by a crash of the machine
        self._index_dir: str = dbs.env.path()
        self._files = files
        self._bells = bells
        self._on_commit = on_commit
        self._on_fatal = on_fatal
        self._begun: SimpleQueue[list[_Job[Any]]] = SimpleQueue()
        self._done: SimpleQueue[tuple[list[_Job[Any]], Touched]] = SimpleQueue()
        self._fatal: BaseException | None = None
        self._broken = ""
        self._stopped: Waiter[None] = Waiter()
        loop = gevent.get_hub().loop
        self._gathering = Gathering(self._begun.put, MAX_BATCH, loop)
        self._async = loop.async_()
        self._async.start(self._complete)
        _start_native_thread(self._run, ())

    def write(
        self,
        fn: Callable[[WriteTxn], T],
        files: Sequence[FileWrite] = (),
        prepare: Callable[[], None] | None = None,
        *,
        durable: bool = True,
    ) -> T:
        """Run `fn` in the next transaction and wait until it is durable; returns its result.

        Not `durable`: where the environment is lazy a crash of the machine may undo it for a while.

        `prepare` runs on the committer's thread before the files are written (making a
        directory, say). `fn` may run twice, so it must change nothing but the transaction.
        Raises what `prepare` or `fn` raised, or StoreError; then no trace is left.
        """
        waiter: Waiter[T] = Waiter()
        job = _Job(fn, files, prepare, waiter, durable)
        self._gathering.add(job)
        return job.waiter.get()

    def flush(self) -> None:
        """Wait until nothing that was written before can be undone."""
        if self._may_be_undone:
            self.write(lambda txn: None)

    def close(self) -> None:
        """Finish what waits, then stop the thread."""
        self._gathering.flush()
        self._begun.put([])
        self._stopped.get()
        self._gathering.close()
        self._async.stop()
        self._async.close()

    # ---- on the event loop

    def _complete(self) -> None:
        while not self._done.empty():
            batch, touched = self._done.get()
            if not batch:
                self._stopped.switch(None)
                continue
            self._gathering.done()
            for job in batch:
                if job.error is None:
                    job.waiter.switch(job.result)
                else:
                    job.waiter.throw(job.error)
            if touched.ids:
                self._on_commit(touched)
        if self._fatal is not None:
            fatal, self._fatal = self._fatal, None
            self._on_fatal(fatal)

    # ---- on the committer's thread

    def _run(self) -> None:
        batch = self._begun.get()
        while batch:
            touched = self._run_batch(batch)
            self._done.put((batch, touched))
            self._async.send()
            # Those who wait for this batch come before all else.
            self._files.release()
            if touched.ids:
                self._bells.ring_others(topics(touched.ids))
            if self._seat is not None:
                self._seat.look(len(batch))
            batch = self._begun.get()
        self._sync_last()
        self._done.put(([], NOBODY))
        self._async.send()

    def _sync_last(self) -> None:
        if self._may_be_undone and not self._broken:
            try:
                self._dbs.env.sync(True)
            except lmdb.Error as e:
                self._give_up(e)

    def _run_batch(self, batch: list[_Job[Any]]) -> Touched:
        if self._broken:
            self._fail(batch, SyncFailed(self._broken), "the disk failed")
            return NOBODY
        try:
            self._prepare(batch)
            live = [job for job in batch if job.error is None]
            errors = self._files.make_durable([job.files for job in live])
            for job, error in zip(live, errors, strict=True):
                job.error = error
            return self._commit([job for job in live if job.error is None])
        except SyncFailed as e:
            self._fail(batch, e, "the disk failed")
            self._give_up(e)
        except lmdb.Error as e:
            self._fail(batch, e, "the index cannot be written")
            self._give_up(e)
        except BaseException as e:
            self._fail(batch, e, "internal error")
            self._give_up(e)
        return NOBODY

    def _give_up(self, cause: BaseException) -> None:
        if not _is_full(cause, self._index_dir):
            self._broken = str(cause) or repr(cause)
            self._fatal = cause

    def _prepare(self, batch: list[_Job[Any]]) -> None:
        for job in batch:
            if job.prepare is not None:
                try:
                    job.prepare()
                except Exception as e:
                    job.error = e

    def _commit(self, jobs: list[_Job[Any]]) -> Touched:
        """Commit all jobs together; when one fails, again with each in a transaction of its own."""
        if not jobs:
            return NOBODY
        try:
            with self._dbs.env.begin(write=True) as txn:
                for job in jobs:
                    self._run_job(job, txn)
                touched = self._end(txn, jobs)
        except lmdb.Error:
            raise
        except Exception:
            touched = self._commit_apart(jobs)
        if self._is_lazy:
            self._may_be_undone = not any(job.durable for job in jobs)
            if not self._may_be_undone:
                self._dbs.env.sync(True)
        return touched

    def _commit_apart(self, jobs: list[_Job[Any]]) -> Touched:
        with self._dbs.env.begin(write=True) as txn:
            for job in jobs:
                try:
                    with self._dbs.env.begin(write=True, parent=txn) as nested:
                        self._run_job(job, nested)
                except lmdb.Error:
                    raise
                except Exception as e:
                    job.error = e
                    job.touched = set()
            touched = self._end(txn, jobs)
        for job in jobs:
            if job.error is not None:
                self._files.discard(job.files)
        return touched

    def _run_job(self, job: _Job[Any], txn: lmdb.Transaction) -> None:
        write = WriteTxn(txn, self._dbs, self._files.mtimes)
        try:
            job.result = job.fn(write)
        except _OWN_FAULT as e:
            raise StoreError(ErrorKind.INTERNAL, "cannot be stored in the index", str(e)) from e
        job.touched = write.touched

    def _end(self, txn: lmdb.Transaction, jobs: list[_Job[Any]]) -> Touched:
        """What comes last in a transaction."""
        if any(job.files for job in jobs):
            self._files.has_room = journal.has_room(txn, self._dbs)
        return self._note_touched(txn, jobs)

    def _note_touched(self, txn: lmdb.Transaction, jobs: list[_Job[Any]]) -> Touched:
        """Leave word of which accounts were touched."""
        accounts = set[int]().union(*(job.touched for job in jobs))
        if not accounts:
            return NOBODY
        with txn.cursor(db=self._dbs.touched) as cursor:
            last = KEY_SEQ.unpack(cursor.key())[0] if cursor.last() else 0
            value = b"".join(map(KEY_A.pack, sorted(accounts)))
            cursor.put(KEY_SEQ.pack(last + 1), value, append=True)
            if last % 64 == 0 and last > KEEP_TOUCHED:
                cursor.first()
                while KEY_SEQ.unpack(cursor.key())[0] <= last - KEEP_TOUCHED:
                    cursor.delete()
        return Touched(accounts, last + 1)

    def _fail(self, batch: list[_Job[Any]], cause: BaseException, text: str) -> None:
        kind, detail = ErrorKind.INTERNAL, str(cause)
        if _is_full(cause, self._index_dir):
            kind, text = ErrorKind.DISK_FULL, "no space left"
            detail += ": free space on the file system of the data directory"
        for job in batch:
            if job.error is None:
                job.error = StoreError(kind, text, detail)
                job.error.__cause__ = cause
            self._files.discard(job.files)


def _is_full(e: BaseException, index_dir: str) -> bool:
    """Whether space ran out: of the disk, or of LMDB's map."""
    if isinstance(e, lmdb.MapFullError | NoSpaceAtSync):
        return True
    if not isinstance(e, lmdb.Error):
        return False
    if any(os.strerror(number) in str(e) for number in NO_SPACE):
        return True
    # The write that uses up the last space is a short one; LMDB says EIO for that.
    status = os.statvfs(index_dir)
    is_short_write = os.strerror(errno.EIO) in str(e)
    return is_short_write and status.f_bavail * status.f_frsize < _SHORT_OF_SPACE
