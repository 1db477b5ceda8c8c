"""Files in their places, and durable.

The order is the contract (docs/architecture.md): data durable, then the name in the mailbox's
directory, directory durable; only then may an index transaction point to the file. Where that
transaction takes the content along (journal.py) it is what makes the message durable, and the file
has only to be in its place.

All of this blocks, and runs on the committer's thread.
"""

from __future__ import annotations

import contextlib
import ctypes
import errno
import os
from collections.abc import Callable, Sequence
from dataclasses import dataclass

from gevent import monkey

from mox.store.errors import ErrorKind, Moved, StoreError

_libc = ctypes.CDLL(None, use_errno=True)
# gevent's looks first whether someone waits for the descriptor.
_close: Callable[[int], None] = monkey.get_original("os", "close")
# linux/fs.h; offset and length 0: all of the file.
_SYNC_FILE_RANGE_WRITE = 2
_WHOLE = ctypes.c_int64(0)
NO_SPACE = (errno.ENOSPC, errno.EDQUOT)


class SyncFailed(Exception):
    """A sync reported an error: what it covered may be lost and must not be synced again.

    The whole batch has failed, and the process must not go on with this file system's page
    cache in doubt.
    """


class NoSpaceAtSync(SyncFailed):
    """A sync found the disk full: all of the batch is taken back, and all is well."""


@dataclass(slots=True)
class FileWrite:
    """A file to be made durable at `final` before the transaction of its job commits.

    parts: its content in stored form, written to `tmp` first. When `parts` is None, `tmp` is a
    durable file already.
    for_journal: the job can keep the content in the journal; in_journal: it has to.
    """

    tmp: str
    final: str
    parts: Sequence[bytes] | None = None
    for_journal: bool = False
    in_journal: bool = False  # set when the file is in its place


def syncfs(fd: int) -> None:
    """Write out everything dirty on the file system of `fd`; raises OSError on failure."""
    if _libc.syncfs(fd) != 0:
        number = ctypes.get_errno()
        raise OSError(number, os.strerror(number))


def write_out(data_dir: str) -> None:
    """Write out everything dirty, by a descriptor of its own. Blocks."""
    fd = os.open(data_dir, os.O_RDONLY | os.O_DIRECTORY | os.O_CLOEXEC)
    try:
        syncfs(fd)
    finally:
        os.close(fd)


def sync_file(path: str) -> None:
    """Make a file durable that is in its place. Raises Moved where it is not, StoreError."""
    try:
        fd = os.open(path, os.O_RDONLY | os.O_NOFOLLOW | os.O_CLOEXEC)
        try:
            os.fdatasync(fd)
        finally:
            _close(fd)
    except FileNotFoundError as e:
        raise Moved(str(e)) from e
    except OSError as e:
        raise space_error(e, path) from e


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


@dataclass(frozen=True, slots=True)
class _Directory:
    """A directory that the batch writes to: the very one, whatever it is called by now."""

    fd: int
    is_reached: bool  # by a sync of the data directory's file system


class FileBatch:
    """Writes the files of one batch of jobs."""

    def __init__(self, data_dir: str) -> None:
        self._device = os.stat(data_dir).st_dev
        # Whether the journal takes more.
        self.has_room = True
        # Of the batch, by path:
        self._directories: dict[str, _Directory] = {}
        self._placed: set[str] = set()  # files that have got their names
        self._unsynced: dict[str, int] = {}  # descriptors of files in tmp/ that have to be synced
        # Directories of the last batch: their mtime before and after its files came, in ns.
        self.mtimes: dict[str, tuple[int, int]] = {}

    def release(self) -> None:
        """The batch is over: nothing of it will be discarded any more."""
        self._placed.clear()
        for fd in self._unsynced.values():
            _close(fd)
        self._unsynced.clear()
        for directory in self._directories.values():
            _close(directory.fd)
        self._directories.clear()

    def make_durable(self, jobs: Sequence[Sequence[FileWrite]]) -> list[StoreError | None]:
        """Write the files of all jobs and put them in place; one result for each job.

        Those that are `in_journal` by then are durable with the contents that their jobs keep. A
        job whose file cannot be written gets its error and leaves no file. Raises SyncFailed when
        durability itself is in doubt; then no file of the batch is left in place. Until `release`
        files can be taken back with `discard`.
        """
        self.release()
        results: list[StoreError | None] = [None] * len(jobs)
        self.mtimes = {}
        if any(jobs):
            try:
                self._make_durable(jobs, results)
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
            fd = self._unsynced.pop(file.tmp, None)
            if fd is not None:
                _close(fd)
            if file.final in self._placed:
                self._placed.remove(file.final)
                path, name = os.path.split(file.final)
                with contextlib.suppress(OSError):
                    os.unlink(name, dir_fd=self._directories[path].fd)
            else:
                with contextlib.suppress(OSError):
                    os.unlink(file.tmp)

    def _make_durable(
        self, jobs: Sequence[Sequence[FileWrite]], results: list[StoreError | None]
    ) -> None:
        self._each(self._open_directories, jobs, results)
        self._each(self._write_job, jobs, results)
        if len(self._unsynced) > 1:
            for fd in self._unsynced.values():
                _start_writing(fd)
        self._each(self._sync_job, jobs, results)
        before = self._times()
        self._each(self._place_job, jobs, results)
        after = self._times()
        self.mtimes = {path: (mtime, after[path]) for path, mtime in before.items()}
        self._sync_directories(jobs)

    def _each(
        self,
        step: Callable[[Sequence[FileWrite]], None],
        jobs: Sequence[Sequence[FileWrite]],
        results: list[StoreError | None],
    ) -> None:
        """Do a step of the jobs that have not failed; one that fails now is taken back."""
        for i, job in enumerate(jobs):
            if results[i] is None:
                try:
                    step(job)
                except OSError as e:
                    self.discard(job)
                    is_moved = e.errno == errno.ENOENT
                    results[i] = Moved(str(e)) if is_moved else space_error(e, job[0].final)

    def _open_directories(self, job: Sequence[FileWrite]) -> None:
        for file in job:
            path = os.path.dirname(file.final)
            if path not in self._directories:
                fd = os.open(path, os.O_RDONLY | os.O_DIRECTORY | os.O_CLOEXEC)
                is_reached = os.fstat(fd).st_dev == self._device
                self._directories[path] = _Directory(fd, is_reached)

    def _times(self) -> dict[str, int]:
        return {path: os.fstat(each.fd).st_mtime_ns for path, each in self._directories.items()}

    def _write_job(self, job: Sequence[FileWrite]) -> None:
        for file in job:
            if file.parts is not None:
                directory = self._directories[os.path.dirname(file.final)]
                file.in_journal = file.for_journal and self.has_room and directory.is_reached
                fd = os.open(file.tmp, os.O_WRONLY | os.O_CREAT | os.O_EXCL | os.O_CLOEXEC, 0o600)
                self._unsynced[file.tmp] = fd
                write_all(fd, file.parts)
                if file.in_journal:
                    _close(self._unsynced.pop(file.tmp))

    def _sync_job(self, job: Sequence[FileWrite]) -> None:
        for file in job:
            fd = self._unsynced.get(file.tmp)
            if fd is not None:
                try:
                    os.fdatasync(fd)
                except OSError as e:
                    if e.errno in NO_SPACE:
                        raise  # found out late, but this file goes away anyway
                    raise SyncFailed(f"sync of {file.tmp}: {e}") from e
                _close(self._unsynced.pop(file.tmp))

    def _place_job(self, job: Sequence[FileWrite]) -> None:
        """Give the files their names."""
        for file in job:
            path, name = os.path.split(file.final)
            os.rename(file.tmp, name, dst_dir_fd=self._directories[path].fd)
            self._placed.add(file.final)

    def _sync_directories(self, jobs: Sequence[Sequence[FileWrite]]) -> None:
        """Make the names durable of files that are not in the journal."""
        placed = {
            os.path.dirname(file.final)
            for job in jobs
            for file in job
            if not file.in_journal and file.final in self._placed
        }
        for path in placed:
            try:
                os.fsync(self._directories[path].fd)
            except OSError as e:
                raise _sync_failed(path, e) from e


def _start_writing(fd: int) -> None:
    """Have the kernel begin to write a file out: several take not much longer than one.

    That it cannot is no matter; the sync that follows says what is.
    """
    _libc.sync_file_range(fd, _WHOLE, _WHOLE, _SYNC_FILE_RANGE_WRITE)


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
