"""Making files durable, many at once.

The order is the contract (docs/architecture.md): data durable, then the name in the mailbox's
directory, directory durable; only then may an index transaction point to the file. All of this
blocks, and runs on the committer's thread.

A file alone is synced by itself, and so is a directory. For several, one `syncfs` replaces all
those syncs when it is cheaper: the choice follows the running cost of both, for files and for
directories apart. (One disk took 0.2 ms for a file and 0.25 ms for `syncfs` with four of them;
where there is a journal, the first directory's sync is that of all.) `syncfs` waits for all dirty
data of the file system, so that a backup beside us makes it slow; then it is left alone until it
has been tried again.

Until its data is durable a file lies in tmp/, or has no name at all (O_TMPFILE): then one directory
less has to be written. That its inode has a name now must be written, too, which the sync of the
directory alone does not do everywhere; so only where `syncfs` does both.
"""

from __future__ import annotations

import contextlib
import ctypes
import errno
import os
import time
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from functools import partial
from typing import Final

from gevent import monkey

from mox.store.errors import ErrorKind, Moved, StoreError
from mox.store.syncways import Ways

_libc = ctypes.CDLL(None, use_errno=True)
# gevent's looks first whether someone waits for the descriptor.
_close: Callable[[int], None] = monkey.get_original("os", "close")
NO_SPACE = (errno.ENOSPC, errno.EDQUOT)

# linkat(2): names an open file that has no name.
_DESCRIPTORS: Final = "/proc/self/fd"
# open(2): the file system (or the kernel) has no O_TMPFILE.
_NO_UNNAMED: Final = (errno.EOPNOTSUPP, errno.EISDIR, errno.EINVAL)
# Each is an open descriptor until it has its name.
_MOST_UNNAMED: Final = 64


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


def syncfs(fd: int) -> None:
    """Write out everything dirty on the file system of `fd`; raises OSError on failure."""
    if _libc.syncfs(fd) != 0:
        number = ctypes.get_errno()
        raise OSError(number, os.strerror(number))


def write_out(data_dir: str) -> None:
    """Write out what programs before us left in memory; the first `syncfs` would wait for it.

    By a descriptor of its own: an error of the disk is told once to each. Blocks.
    """
    fd = os.open(data_dir, os.O_RDONLY | os.O_DIRECTORY | os.O_CLOEXEC)
    try:
        syncfs(fd)
    finally:
        os.close(fd)


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
    is_reached: bool  # by syncfs on the data directory


class FileBatch:
    """Writes the files of one batch of jobs and knows which way of syncing is cheaper here."""

    def __init__(self, data_dir: str, clock: Callable[[], float] = time.perf_counter) -> None:
        self._root_fd = os.open(data_dir, os.O_RDONLY | os.O_DIRECTORY)
        self._device = os.fstat(self._root_fd).st_dev
        self._clock = clock
        self._file_ways = Ways()
        self._directory_ways = Ways()
        # A file without a name gets its first one by way of this.
        self._can_be_unnamed = os.path.isdir(_DESCRIPTORS)
        # Of the batch, by path:
        self._directories: dict[str, _Directory] = {}
        self._unnamed: dict[str, int] = {}  # files that have no name yet, by the one they get
        self._placed: set[str] = set()  # files that have got theirs
        # Directories of the last batch: their mtime before and after its files came, in ns.
        self.mtimes: dict[str, tuple[int, int]] = {}

    def close(self) -> None:
        self.release()
        os.close(self._root_fd)

    def release(self) -> None:
        """The batch is over: nothing of it will be discarded any more."""
        for fd in self._unnamed.values():
            _close(fd)
        self._unnamed.clear()
        self._placed.clear()
        for directory in self._directories.values():
            _close(directory.fd)
        self._directories.clear()

    def make_durable(self, jobs: Sequence[Sequence[FileWrite]]) -> list[StoreError | None]:
        """Write the files of all jobs and put them in place; one result for each job.

        A job whose file cannot be written gets its error and leaves no file. Raises SyncFailed
        when durability itself is in doubt; then no file of the batch is left in place. Until
        `release` files can be taken back with `discard`.
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
            fd = self._unnamed.pop(file.final, None)
            if fd is not None:
                _close(fd)
            elif file.final in self._placed:
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
        count = sum(map(len, jobs))
        together = self._file_ways.prefers_together(count)
        directories_together = self._directory_ways.prefers_together(len(self._directories))
        unnamed = together and directories_together and count <= _MOST_UNNAMED
        self._each(partial(self._write_job, sync=not together, unnamed=unnamed), jobs, results)
        if together:
            self._syncfs(self._file_ways)
        before = self._times()
        self._each(self._place_job, jobs, results)
        after = self._times()
        self.mtimes = {path: (mtime, after[path]) for path, mtime in before.items()}
        self._sync_directories(together=directories_together)

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

    def _write_job(self, job: Sequence[FileWrite], *, sync: bool, unnamed: bool) -> None:
        for file in job:
            if file.parts is not None:
                directory = self._directories[os.path.dirname(file.final)]
                by_itself = sync or not directory.is_reached
                fd = self._unnamed_file(file, directory) if unnamed and not by_itself else None
                if fd is not None:
                    write_all(fd, file.parts)
                else:
                    self._write_named(file.tmp, file.parts, by_itself)

    def _unnamed_file(self, file: FileWrite, directory: _Directory) -> int | None:
        """A new file that has no name yet, so that tmp/ need not change; None: not here."""
        if self._can_be_unnamed:
            try:
                flags = os.O_WRONLY | os.O_TMPFILE | os.O_CLOEXEC
                fd = self._unnamed[file.final] = os.open(".", flags, 0o600, dir_fd=directory.fd)
            except OSError as e:
                if e.errno not in _NO_UNNAMED:
                    raise
                self._can_be_unnamed = False
            else:
                return fd
        return None

    def _write_named(self, path: str, parts: Sequence[bytes], sync: bool) -> None:
        fd = os.open(path, os.O_WRONLY | os.O_CREAT | os.O_EXCL | os.O_CLOEXEC, 0o600)
        try:
            write_all(fd, parts)
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

    def _place_job(self, job: Sequence[FileWrite]) -> None:
        """Give the files their names."""
        for file in job:
            path, name = os.path.split(file.final)
            directory = self._directories[path].fd
            fd = self._unnamed.get(file.final)
            if fd is None:
                os.rename(file.tmp, name, dst_dir_fd=directory)
            else:
                os.link(f"{_DESCRIPTORS}/{fd}", name, dst_dir_fd=directory, follow_symlinks=True)
                _close(self._unnamed.pop(file.final))
            self._placed.add(file.final)

    def _syncfs(self, ways: Ways) -> None:
        start = self._clock()
        try:
            syncfs(self._root_fd)
        except OSError as e:
            raise _sync_failed("the file system", e) from e
        ways.took_together(self._clock() - start)

    def _sync_directories(self, *, together: bool) -> None:
        """Make the names durable. `together`: of all files that had none, too."""
        if together:
            self._syncfs(self._directory_ways)
        start = self._clock()
        for path, directory in self._directories.items():
            if not (together and directory.is_reached):
                try:
                    os.fsync(directory.fd)
                except OSError as e:
                    raise _sync_failed(path, e) from e
        if self._directories and not together:
            self._directory_ways.took_apart((self._clock() - start) / len(self._directories))


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
