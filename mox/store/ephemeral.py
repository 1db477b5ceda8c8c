"""Counters that all workers share and that may be lost: an LMDB environment without sync.

It lives in `run/ephemeral` and belongs to one boot of the machine: pages that were never
synced cannot be trusted after a power loss, so the first process after a boot starts anew.
Also one that LMDB finds damaged is thrown away.

Write transactions run on one native thread per process: waiting for another process's write
lock would stop the event loop. Jobs that wait are run together in one transaction. Opened
after fork, once per process.
"""

from __future__ import annotations

import fcntl
import os
from _queue import SimpleQueue  # the C one: it waits natively also in a monkey-patched process
from collections.abc import Callable
from pathlib import Path
from typing import TYPE_CHECKING, TypeVar

import lmdb
from gevent import monkey
from gevent.hub import Waiter, get_hub

from mox.errors import MoxError
from mox.store.env import MAX_READERS, reserve_lock_file

if TYPE_CHECKING:
    from gevent.hub import Hub

T = TypeVar("T")
Job = Callable[[lmdb.Transaction], object]

# Sparse; some millions of counters.
MAP_SIZE = 1 << 30
MAX_BATCH = 256
# Jobs that nobody waits for are dropped beyond this: another process sits on the write lock.
MAX_QUEUED = 10_000
WAIT_S = 2.0

_BOOT_ID = Path("/proc/sys/kernel/random/boot_id")
_start_native_thread = monkey.get_original("_thread", "start_new_thread")


class EphemeralError(MoxError):
    """The environment cannot be opened, written or read now; callers do without."""


class _Entry:
    """A job in the queue, and who waits for its result."""

    __slots__ = ("abandoned", "error", "job", "waiter")

    def __init__(self, job: Job, waiter: Waiter[None] | None) -> None:
        self.job = job
        self.waiter = waiter
        self.abandoned = False
        self.error: Exception | None = None


class Ephemeral:
    """The open environment of this process. Keys and values are for its users to define."""

    def __init__(self, env: lmdb.Environment) -> None:
        self._env = env
        self._queued = 0
        self._hub: Hub = get_hub()
        self._queue: SimpleQueue[_Entry | None] = SimpleQueue()
        _start_native_thread(self._run, ())

    def read(self, job: Callable[[lmdb.Transaction], T]) -> T:
        """Run `job` in a read transaction, here and now: keep it short. Raises EphemeralError."""
        try:
            with self._env.begin() as txn:
                return job(txn)
        except lmdb.Error as e:
            raise EphemeralError(f"reading: {e}") from e

    def write(self, job: Callable[[lmdb.Transaction], T], wait_s: float = WAIT_S) -> T:
        """Run `job` in a write transaction and return its result; other greenlets go on.

        A job must not wait for anything, and should not raise: what it raises fails all jobs
        of its batch. Raises EphemeralError, also when it takes longer than `wait_s`: then the
        job will not run, unless it was just being run.
        """
        waiter: Waiter[None] = Waiter(self._hub)
        entry = _Entry(job, waiter)
        results: list[T] = []
        entry.job = lambda txn: results.append(job(txn))
        self._put(entry)
        self._wait(entry, waiter, wait_s)
        if entry.error is not None:
            raise EphemeralError(f"writing: {entry.error}") from entry.error
        return results[-1]

    def post(self, job: Job) -> None:
        """Run `job` like `write`, without waiting. Raises EphemeralError when too many wait."""
        if self._queued >= MAX_QUEUED:
            raise EphemeralError("too many writes are waiting")
        self._put(_Entry(job, None))

    def _put(self, entry: _Entry) -> None:
        self._queued += 1
        self._queue.put(entry)

    def _wait(self, entry: _Entry, waiter: Waiter[None], wait_s: float) -> None:
        timer = self._hub.loop.timer(wait_s)
        try:
            late = EphemeralError(f"no write lock within {wait_s:g} s")
            timer.start(waiter.throw, late, update=True)
            waiter.get()
        except BaseException:
            entry.abandoned = True
            raise
        finally:
            timer.close()

    def close(self) -> None:
        """Let the thread finish what waits and close the environment behind it."""
        self._queue.put(None)

    # From here on: the native thread.

    def _run(self) -> None:
        while True:
            batch, ends = self._next_batch()
            if batch:
                self._run_batch(batch)
                self._hub.loop.run_callback_threadsafe(self._complete, batch)
            if ends:
                self._env.close()
                return

    def _next_batch(self) -> tuple[list[_Entry], bool]:
        """Wait for a job and take all others that are there; true at the end of the queue."""
        batch: list[_Entry] = []
        while len(batch) < MAX_BATCH:
            if batch and self._queue.empty():
                break
            entry = self._queue.get()
            if entry is None:
                return batch, True
            batch.append(entry)
        return batch, False

    def _run_batch(self, batch: list[_Entry]) -> None:
        try:
            with self._env.begin(write=True) as txn:
                for entry in batch:
                    if not entry.abandoned:
                        entry.job(txn)
        except Exception as e:
            # Nothing of the batch has happened; each of its greenlets gets to know.
            for entry in batch:
                entry.error = e

    # On the loop again.

    def _complete(self, batch: list[_Entry]) -> None:
        self._queued -= len(batch)
        for entry in batch:
            if entry.waiter is not None and not entry.abandoned:
                entry.waiter.switch(None)


def open_ephemeral(data_dir: Path) -> Ephemeral:
    """Open (create, or replace a damaged or old one) the environment `run/ephemeral`.

    Raises EphemeralError. Call once per process, after fork.
    """
    directory = data_dir / "run" / "ephemeral"
    try:
        directory.mkdir(mode=0o700, parents=True, exist_ok=True)
        lock = os.open(directory / "opening", os.O_CREAT | os.O_RDWR | os.O_CLOEXEC, 0o600)
        try:
            # Only one process at a time looks whether it has to begin anew.
            fcntl.flock(lock, fcntl.LOCK_EX)
            return Ephemeral(_open(directory))
        finally:
            os.close(lock)
    except (OSError, lmdb.Error) as e:
        raise EphemeralError(f"cannot open {directory}: {e}") from e


def _open(directory: Path) -> lmdb.Environment:
    boot_id = _BOOT_ID.read_text() if _BOOT_ID.exists() else ""
    marker = directory / "boot"
    if not marker.exists() or marker.read_text() != boot_id:
        _remove(directory)
        marker.write_text(boot_id)
    try:
        return _environment(directory)
    except (lmdb.CorruptedError, lmdb.InvalidError, lmdb.VersionMismatchError, lmdb.PanicError):
        _remove(directory)
        return _environment(directory)


def _remove(directory: Path) -> None:
    for name in ("data.mdb", "lock.mdb"):
        (directory / name).unlink(missing_ok=True)


def _environment(directory: Path) -> lmdb.Environment:
    reserve_lock_file(directory)
    env = lmdb.open(
        os.fspath(directory),
        map_size=MAP_SIZE,
        max_readers=MAX_READERS,
        mode=0o600,
        sync=False,
        metasync=False,
    )
    env.reader_check()
    return env
