"""Making files durable, many at once.

The order is the contract (docs/architecture.md): data durable under tmp/, rename, directory
durable; only then may an index transaction point to the file. All of this blocks, and runs on the
committer's thread.

A file alone is synced by itself, and so is a directory. For several, one `syncfs` replaces all
those syncs when it is cheaper: the choice follows the running cost of both, for files and for
directories apart. (One disk took 0.2 ms for a file and 0.25 ms for `syncfs` with four of them;
where there is a journal, the first directory's sync is that of all.) `syncfs` waits for all dirty
data of the file system, so that a backup beside us makes it slow; then it is left alone until it
has been tried again.
"""

from __future__ import annotations

import contextlib
import ctypes
import errno
import os
import time
from collections.abc import Callable, Sequence
from dataclasses import dataclass

from gevent import monkey

from mox.store.errors import ErrorKind, Moved, StoreError

_libc = ctypes.CDLL(None, use_errno=True)
# gevent's looks first whether someone waits for the descriptor.
_close: Callable[[int], None] = monkey.get_original("os", "close")
NO_SPACE = (errno.ENOSPC, errno.EDQUOT)

# Share of the last sync in the estimate of the next one.
_LEARN = 0.2
# After so many batches in which syncfs looked too dear it is tried once more; each time that it
# still is, after twice as many.
_FIRST_PAUSE = 4
_LONGEST_PAUSE = 256
# One sync that takes so many times as long as the last ones may be the only one: it had to write
# what others left, as the first sync of a process may have to.
_SURPRISE = 4


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
    durable file already.
    """

    tmp: str
    final: str
    parts: Sequence[bytes] | None = None


class _Ways:
    """Two ways to sync several things, and what each has cost lately: one by one, or `syncfs`."""

    __slots__ = ("_is_trial", "_pause", "_shunned", "apart_s", "together_s")

    def __init__(self) -> None:
        self.apart_s = 0.0003  # for each
        self.together_s = 0.0003  # for all; looks cheap at first, so that it is tried
        self._shunned = 0  # batches for which syncfs looked too dear, since it was used
        self._pause = _FIRST_PAUSE  # batches for which it is shunned before it is tried
        self._is_trial = False

    def prefers_together(self, count: int) -> bool:
        if count < 2:
            return False
        self._is_trial = self.together_s >= self.apart_s * count
        if self._is_trial:
            self._shunned += 1
            if self._shunned < self._pause:
                return False
            self._pause = min(self._pause * 2, _LONGEST_PAUSE)
        self._shunned = 0
        return True

    def took_apart(self, seconds: float) -> None:
        self.apart_s += (seconds - self.apart_s) * _LEARN

    def took_together(self, seconds: float) -> None:
        """What a trial says counts more than all before."""
        if self._is_trial:
            self.together_s = seconds
            return
        if seconds > self.together_s * _SURPRISE:
            self._pause = _FIRST_PAUSE
        self.together_s += (seconds - self.together_s) * _LEARN


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
    if e.errno in NO_SPACE:
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
        self._file_ways = _Ways()
        self._directory_ways = _Ways()
        # Of the batch: the very directories that we wrote to, whatever they are called by now.
        self._directories: dict[str, int] = {}
        # Directories of the last batch: their mtime before and after our renames, in ns.
        self.mtimes: dict[str, tuple[int, int]] = {}

    def close(self) -> None:
        self.release()
        os.close(self._root_fd)

    def release(self) -> None:
        """The batch is over: nothing of it will be discarded any more."""
        for fd in self._directories.values():
            _close(fd)
        self._directories.clear()

    def make_durable(self, jobs: Sequence[Sequence[FileWrite]]) -> list[StoreError | None]:
        """Write and rename the files of all jobs; one result for each job.

        A job whose file cannot be written gets its error and leaves no file. Raises SyncFailed
        when durability itself is in doubt; then no file of the batch is left in place. Until
        `release` files can be taken back with `discard`.
        """
        self.release()
        results: list[StoreError | None] = [None] * len(jobs)
        self.mtimes = {}
        files = sum(len(job) for job in jobs)
        if not files:
            return results
        together = self._file_ways.prefers_together(files)
        try:
            for i, job in enumerate(jobs):
                results[i] = self._write_job(job, sync=not together)
            if together:
                self._syncfs(self._file_ways)
            for i, job in enumerate(jobs):
                if results[i] is None:
                    results[i] = self._open_directories(job)
            before = {path: os.fstat(fd) for path, fd in self._directories.items()}
            for i, job in enumerate(jobs):
                if results[i] is None:
                    results[i] = self._rename_job(job)
            self.mtimes = {
                path: (before[path].st_mtime_ns, os.fstat(fd).st_mtime_ns)
                for path, fd in self._directories.items()
            }
            self._sync_directories({path for path in before if before[path].st_dev == self._device})
        except SyncFailed:
            for job in jobs:
                self.discard(job)
            raise
        return results

    def discard(self, job: Sequence[FileWrite]) -> None:
        """Remove what a failed job left behind, also where its directory was renamed meanwhile.

        What cannot be removed is an orphan, found later.
        """
        for file in job:
            with contextlib.suppress(OSError):
                os.unlink(file.tmp)
            directory, name = os.path.split(file.final)
            fd = self._directories.get(directory)
            if fd is not None:
                with contextlib.suppress(OSError):
                    os.unlink(name, dir_fd=fd)

    def _write_job(self, job: Sequence[FileWrite], *, sync: bool) -> StoreError | None:
        try:
            for file in job:
                if file.parts is not None:
                    self._write(file.tmp, file.parts, sync)
        except OSError as e:
            return self._failed(job, e)
        return None

    def _failed(self, job: Sequence[FileWrite], e: OSError) -> StoreError:
        self.discard(job)
        return Moved(str(e)) if e.errno == errno.ENOENT else space_error(e, job[0].final)

    def _open_directories(self, job: Sequence[FileWrite]) -> StoreError | None:
        try:
            for file in job:
                directory = os.path.dirname(file.final)
                if directory not in self._directories:
                    flags = os.O_RDONLY | os.O_DIRECTORY | os.O_CLOEXEC
                    self._directories[directory] = os.open(directory, flags)
        except OSError as e:
            return self._failed(job, e)
        return None

    def _rename_job(self, job: Sequence[FileWrite]) -> StoreError | None:
        try:
            for file in job:
                directory, name = os.path.split(file.final)
                fd = self._directories[directory]
                os.rename(file.tmp, name, dst_dir_fd=fd)
        except OSError as e:
            return self._failed(job, e)
        return None

    def _write(self, path: str, parts: Sequence[bytes], sync: bool) -> None:
        fd = os.open(path, os.O_WRONLY | os.O_CREAT | os.O_EXCL | os.O_CLOEXEC, 0o600)
        try:
            write_all(fd, parts)
            if not sync and os.fstat(fd).st_dev != self._device:
                sync = True  # syncfs on the data directory does not reach it
            if sync:
                start = self._clock()
                try:
                    os.fdatasync(fd)
                except OSError as e:
                    if e.errno in NO_SPACE:
                        raise  # found out late, but this file goes away anyway
                    raise SyncFailed(f"sync of {path}: {e}") from e
                self._file_ways.took_apart(self._clock() - start)
        finally:
            _close(fd)

    def _syncfs(self, ways: _Ways) -> None:
        start = self._clock()
        try:
            syncfs(self._root_fd)
        except OSError as e:
            raise _sync_failed("the file system", e) from e
        ways.took_together(self._clock() - start)

    def _sync_directories(self, reached: set[str]) -> None:
        """Make the renames durable; `reached`: directories that syncfs reaches."""
        count = len(self._directories)
        together = self._directory_ways.prefers_together(count)
        if together:
            self._syncfs(self._directory_ways)
        start = self._clock()
        for path, fd in self._directories.items():
            try:
                if not (together and path in reached):
                    os.fsync(fd)
            except OSError as e:
                raise _sync_failed(path, e) from e
        if count and not together:
            self._directory_ways.took_apart((self._clock() - start) / count)


def _sync_failed(what: str, e: OSError) -> SyncFailed:
    kind = NoSpaceAtSync if e.errno in NO_SPACE else SyncFailed
    return kind(f"sync of {what}: {e}")


def write_all(fd: int, parts: Sequence[bytes]) -> None:
    """Write all parts, also when the kernel takes them in pieces."""
    wanted = sum(map(len, parts))
    written = os.writev(fd, parts)
    if written == wanted:
        return
    rest = memoryview(b"".join(parts))[written:]
    while rest:
        rest = rest[os.write(fd, rest) :]
