"""The pid file: who serves this data directory, as a lock that ends with its holder.

The lock tells the truth, the text in the file is for people and init scripts: a file in a
directory that belongs to the mail user must not decide which process root sends a signal to.
"""

from __future__ import annotations

import fcntl
import os
import struct
from pathlib import Path

from mox.supervisor.errors import StartError

# struct flock on 64-bit Linux: type, whence, start, length, pid.
_FLOCK = struct.Struct("@hhqqi4x")


def pid_path(data_dir: Path) -> Path:
    return data_dir / "run" / "mox.pid"


def acquire(path: Path) -> int:
    """Take the lock and write our pid; returns the descriptor, to be kept open.

    Raises StartError when another process has it.
    """
    fd = os.open(path, os.O_RDWR | os.O_CREAT | os.O_NOFOLLOW | os.O_CLOEXEC, 0o644)
    try:
        fcntl.lockf(fd, fcntl.LOCK_EX | fcntl.LOCK_NB)
    except OSError as exc:
        holder = _holder(fd)
        os.close(fd)
        raise StartError(
            f"another mox serves this data directory already: process {holder or 'unknown'}, "
            f"pid file {path}"
        ) from exc
    os.ftruncate(fd, 0)
    os.pwrite(fd, f"{os.getpid()}\n".encode(), 0)
    return fd


def release(fd: int, path: Path) -> None:
    """Remove the file, then give up the lock."""
    path.unlink(missing_ok=True)
    os.close(fd)


def running(path: Path) -> int | None:
    """The pid of the process that holds the lock, None if there is none."""
    try:
        fd = os.open(path, os.O_RDONLY | os.O_NOFOLLOW | os.O_CLOEXEC)
    except FileNotFoundError:
        return None
    try:
        return _holder(fd)
    finally:
        os.close(fd)


def _holder(fd: int) -> int | None:
    query = _FLOCK.pack(fcntl.F_WRLCK, os.SEEK_SET, 0, 0, 0)
    kind, _, _, _, pid = _FLOCK.unpack(fcntl.fcntl(fd, fcntl.F_GETLK, query))
    return pid if kind != fcntl.F_UNLCK else None
