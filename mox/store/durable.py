"""Making files durable, many at once.

The order is the contract (docs/architecture.md): data durable under tmp/, rename, directory
durable; only then may an index transaction point to the file. All of this blocks, and runs on the
committer's thread.

For one or a few files each is synced by itself. For more, two `syncfs` calls replace all those
syncs when they are cheaper: the choice follows the running cost of both. `syncfs` waits for all
dirty data of the file system, so that a backup beside us makes it slow; then it is left alone
until it has been tried again.
"""

from __future__ import annotations

import contextlib
import ctypes
import errno
import os
import time
from collections.abc import Callable, Sequence
from dataclasses import dataclass

from mox.store.errors import ErrorKind, Moved, StoreError

_libc = ctypes.CDLL(None, use_errno=True)
_NO_SPACE = (errno.ENOSPC, errno.EDQUOT)

# After this many batches in which syncfs looked too dear it is tried once more.
_RETRY_SYNCFS = 200


class SyncFailed(Exception):
    """A sync reported an error: what it covered may be lost and must not be synced again.

    The whole batch has failed, and the process must not go on with this file system's page
    cache in doubt.
    """


class NoSpaceAtSync(SyncFailed):
    """A sync of many files found the disk full: all of the batch is taken back, and all is well."""


@dataclass(slots=True)
class FileWrite:
    """A file to be made durable at `final` before the transaction of its job commits.

    parts: its content in stored form, written to `tmp` first. When `parts` is None, `tmp` is a
    durable file already, or with `link` a durable file elsewhere that gets a second name.
    """

    tmp: str
    final: str
    parts: Sequence[bytes] | None = None
    link: bool = False


@dataclass(slots=True)
class _Cost:
    """Running estimate of what a sync takes, in seconds."""

    seconds: float

    def learn(self, seconds: float) -> None:
        self.seconds += (seconds - self.seconds) * 0.2


def syncfs(fd: int) -> None:
    """Write out everything dirty on the file system of `fd`; raises OSError on failure."""
    if _libc.syncfs(fd) != 0:
        number = ctypes.get_errno()
        raise OSError(number, os.strerror(number))


def fsync_directory(path: str) -> None:
    fd = os.open(path, os.O_RDONLY | os.O_DIRECTORY)
    try:
        os.fsync(fd)
    finally:
        os.close(fd)


def space_error(e: OSError, what: str) -> StoreError:
    """Map an OSError of a write to the error that the user sees."""
    if e.errno in _NO_SPACE:
        detail = f"{what}: {e.strerror}: free space or raise the disk quota"
        return StoreError(ErrorKind.DISK_FULL, "no space left for messages", detail)
    detail = f"{what}: {e}: check owner, mode and that the file system is mounted read-write"
    return StoreError(ErrorKind.INTERNAL, "cannot write message", detail)


class FileBatch:
    """Writes the files of one batch of jobs and knows which way of syncing is cheaper here."""

    def __init__(self, data_dir: str, clock: Callable[[], float] = time.perf_counter) -> None:
        self._root_fd = os.open(data_dir, os.O_RDONLY | os.O_DIRECTORY)
        self._device = os.fstat(self._root_fd).st_dev
        self._clock = clock
        self._file_cost = _Cost(0.0003)
        self._syncfs_cost = _Cost(0.0015)
        self._shunned = 0
        # Directories of the last batch: their mtime before and after our renames, in ns.
        self.mtimes: dict[str, tuple[int, int]] = {}

    def close(self) -> None:
        os.close(self._root_fd)

    def make_durable(self, jobs: Sequence[Sequence[FileWrite]]) -> list[StoreError | None]:
        """Write and rename the files of all jobs; one result for each job.

        A job whose file cannot be written gets its error and leaves no file. Raises SyncFailed
        when durability itself is in doubt; then no file of the batch is left in place.
        """
        results: list[StoreError | None] = [None] * len(jobs)
        self.mtimes = {}
        files = sum(len(job) for job in jobs)
        if not files:
            return results
        together = self._prefers_syncfs(files)
        try:
            for i, job in enumerate(jobs):
                results[i] = self._write_job(job, sync=not together)
            if together:
                self._timed_syncfs()
            directories = _directories(jobs, results)
            before = {directory: _mtime(directory) for directory in directories}
            for i, job in enumerate(jobs):
                if results[i] is None:
                    results[i] = _rename_job(job)
            self.mtimes = {d: (old, _mtime(d)) for d, old in before.items()}
            lost = self._sync_directories(_directories(jobs, results), together)
            for i, job in enumerate(jobs):
                if results[i] is None:
                    results[i] = _lost_job(job, lost)
        except SyncFailed:
            for job in jobs:
                discard(job)
            raise
        return results

    def _prefers_syncfs(self, files: int) -> bool:
        if files < 2:
            return False
        if self._syncfs_cost.seconds * 2 < self._file_cost.seconds * files:
            return True
        self._shunned += 1
        if self._shunned < _RETRY_SYNCFS:
            return False
        self._shunned = 0
        return True

    def _write_job(self, job: Sequence[FileWrite], *, sync: bool) -> StoreError | None:
        try:
            for file in job:
                if file.parts is not None:
                    self._write(file.tmp, file.parts, sync)
        except FileNotFoundError as e:
            discard(job)
            return Moved(str(e))
        except OSError as e:
            discard(job)
            return space_error(e, job[0].final)
        return None

    def _write(self, path: str, parts: Sequence[bytes], sync: bool) -> None:
        fd = os.open(path, os.O_WRONLY | os.O_CREAT | os.O_EXCL | os.O_CLOEXEC, 0o600)
        try:
            write_all(fd, parts)
            if not sync and not self._is_ours(fd):
                sync = True  # syncfs on the data directory would not reach it
            if sync:
                start = self._clock()
                try:
                    os.fdatasync(fd)
                except OSError as e:
                    if e.errno in _NO_SPACE:
                        raise  # found out late, but this file goes away anyway
                    raise SyncFailed(f"sync of {path}: {e}") from e
                self._file_cost.learn(self._clock() - start)
        finally:
            os.close(fd)

    def _timed_syncfs(self) -> None:
        start = self._clock()
        try:
            syncfs(self._root_fd)
        except OSError as e:
            raise _sync_failed("the file system", e) from e
        self._syncfs_cost.learn(self._clock() - start)

    def _sync_directories(self, directories: set[str], together: bool) -> dict[str, StoreError]:
        """Returns those that cannot be synced for another reason than a failing disk."""
        lost: dict[str, StoreError] = {}
        together = together and len(directories) > 2
        if together:
            self._timed_syncfs()
        for directory in directories:
            try:
                fd = os.open(directory, os.O_RDONLY | os.O_DIRECTORY)
            except FileNotFoundError as e:
                lost[directory] = Moved(str(e))
                continue
            except OSError as e:
                lost[directory] = space_error(e, directory)
                continue
            try:
                if not (together and self._is_ours(fd)):
                    os.fsync(fd)
            except OSError as e:
                raise _sync_failed(directory, e) from e
            finally:
                os.close(fd)
        return lost

    def _is_ours(self, fd: int) -> bool:
        """Whether syncfs on the data directory reaches it."""
        return os.fstat(fd).st_dev == self._device


def _sync_failed(what: str, e: OSError) -> SyncFailed:
    kind = NoSpaceAtSync if e.errno in _NO_SPACE else SyncFailed
    return kind(f"sync of {what}: {e}")


def _directories(
    jobs: Sequence[Sequence[FileWrite]], results: Sequence[StoreError | None]
) -> set[str]:
    live = [job for job, error in zip(jobs, results, strict=True) if error is None]
    return {os.path.dirname(file.final) for job in live for file in job}


def _lost_job(job: Sequence[FileWrite], lost: dict[str, StoreError]) -> StoreError | None:
    for file in job:
        error = lost.get(os.path.dirname(file.final))
        if error is not None:
            discard(job)
            return error
    return None


def _mtime(path: str) -> int:
    """mtime in ns; 0 when there is no such directory (the rename will tell)."""
    try:
        return os.stat(path).st_mtime_ns
    except OSError:
        return 0


def write_all(fd: int, parts: Sequence[bytes]) -> None:
    """Write all parts, also when the kernel takes them in pieces."""
    wanted = sum(map(len, parts))
    written = os.writev(fd, parts)
    if written == wanted:
        return
    rest = memoryview(b"".join(parts))[written:]
    while rest:
        rest = rest[os.write(fd, rest) :]


def _rename_job(job: Sequence[FileWrite]) -> StoreError | None:
    try:
        for file in job:
            if file.link:
                _link(file.tmp, file.final)
            else:
                os.rename(file.tmp, file.final)
    except FileNotFoundError as e:
        discard(job)
        return Moved(str(e))
    except OSError as e:
        discard(job)
        return space_error(e, job[0].final)
    return None


def _link(source: str, target: str) -> None:
    try:
        os.link(source, target)
    except FileExistsError:
        # An earlier attempt made it, before the mailbox was renamed.
        if not os.path.samefile(source, target):
            raise


def discard(job: Sequence[FileWrite]) -> None:
    """Remove what a failed job left behind; what cannot be removed is an orphan, found later."""
    for file in job:
        with contextlib.suppress(OSError):
            if not file.link:
                os.unlink(file.tmp)
        with contextlib.suppress(OSError):
            os.unlink(file.final)
