"""The directories of a server before its workers start: they exist, and belong to whom they should.

The mail user can write below DataDir, and root works here: nothing follows symbolic links.
"""

from __future__ import annotations

import os
import stat
from pathlib import Path

from mox import logfmt
from mox.supervisor.errors import StartError
from mox.supervisor.settings import Identity

RECEIVED_ID_FILE = "receivedid.key"
_RECEIVED_ID_OCTETS = 24
_DIRECTORY_MODE = 0o2750
_OTHERS = 0o007

log = logfmt.logger("serve")


def prepare(data_dir: Path, identity: Identity | None) -> None:
    """Create what is missing: DataDir, run/, the key that hides connection ids."""
    for directory in (data_dir, data_dir / "run", metrics_dir(data_dir)):
        if not directory.is_dir():
            directory.mkdir(mode=0o770, parents=True)
            _give(directory, identity)
    key = data_dir / RECEIVED_ID_FILE
    if not key.exists():
        fd = os.open(key, os.O_WRONLY | os.O_CREAT | os.O_EXCL | os.O_CLOEXEC, 0o640)
        with os.fdopen(fd, "wb") as file:
            file.write(os.urandom(_RECEIVED_ID_OCTETS))
            file.flush()
            os.fsync(file.fileno())
        _give(key, identity)


def metrics_dir(data_dir: Path) -> Path:
    """Where each process keeps its counters, in files that are gone with the next start."""
    return data_dir / "run" / "metrics"


def forget_metrics(data_dir: Path, pattern: str = "*") -> None:
    """Remove counters' files; no process that should be counted may still use them."""
    for path in metrics_dir(data_dir).glob(f"{pattern}.db"):
        path.unlink(missing_ok=True)


def fix_permissions(directory: Path, identity: Identity) -> None:
    """Let the mail user own a directory that is not as it should be, and others see nothing.

    One look at the top decides: a healthy server starts without walking over all mail. Problems
    are logged, and leave the rest to be tried.
    """
    status = directory.stat()
    if (status.st_uid, status.st_gid) == (identity.uid, 0) and (
        stat.S_IMODE(status.st_mode) == _DIRECTORY_MODE
    ):
        return
    log.info("repairing owner and mode", directory=str(directory), uid=identity.uid)
    for _, directories, files, fd in os.fwalk(directory, onerror=_walk_failed):
        for name in (*directories, *files):
            try:
                _fix(name, fd, identity)
            except OSError as exc:
                log.error("repairing owner and mode", err=exc, name=name)
    os.chown(directory, identity.uid, 0)
    os.chmod(directory, _DIRECTORY_MODE)


def open_way(directory: Path, identity: Identity) -> None:
    """Let the mail user pass to a directory through the one above it, if that is root's.

    Others may then pass too, but not look around. Raises StartError with what is in the way when
    that is not enough.
    """
    parent = directory.parent
    status = parent.stat()
    if status.st_uid == 0 and parent != Path("/") and not may_pass(status, identity):
        log.info("letting the mail user pass", directory=str(parent))
        parent.chmod(stat.S_IMODE(status.st_mode) | stat.S_IXOTH)
    for above in reversed((directory, *directory.parents)):
        if not may_pass(above.stat(), identity):
            raise StartError(
                f"user {identity.uid} cannot get to {directory}: {above} lets nobody else pass; "
                f"choose another place, or: chmod o+x {above}"
            )


def may_pass(status: os.stat_result, identity: Identity) -> bool:
    """Whether the mail user may go through a directory, going by its mode."""
    if status.st_uid == identity.uid:
        return bool(status.st_mode & stat.S_IXUSR)
    if status.st_gid == identity.gid:
        return bool(status.st_mode & stat.S_IXGRP)
    return bool(status.st_mode & stat.S_IXOTH)


def _walk_failed(exc: OSError) -> None:
    log.error("repairing owner and mode", err=exc)


def _fix(name: str, directory: int, identity: Identity) -> None:
    status = os.stat(name, dir_fd=directory, follow_symlinks=False)
    if status.st_uid != identity.uid:
        os.chown(name, identity.uid, -1, dir_fd=directory, follow_symlinks=False)
    if stat.S_ISLNK(status.st_mode) or not status.st_mode & _OTHERS:
        return
    fd = os.open(name, os.O_RDONLY | os.O_NOFOLLOW | os.O_NONBLOCK, dir_fd=directory)
    try:
        os.fchmod(fd, stat.S_IMODE(os.fstat(fd).st_mode) & ~_OTHERS)
    finally:
        os.close(fd)


def _give(path: Path, identity: Identity | None) -> None:
    if identity is not None:
        os.chown(path, identity.uid, identity.gid, follow_symlinks=False)
