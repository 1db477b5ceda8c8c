"""Giving up rights, dying with the parent, and limits of the operating system."""

from __future__ import annotations

import ctypes
import os
import resource
import signal

from mox.supervisor.errors import StartError
from mox.supervisor.settings import Identity

# linux/prctl.h
_PR_SET_PDEATHSIG = 1
_PR_SET_NO_NEW_PRIVS = 38

# Descriptors that a busy server may want: connections, message files, the index.
WANTED_FILES = 65536

_libc = ctypes.CDLL(None, use_errno=True)


def become(identity: Identity | None) -> None:
    """Give up root for good, groups included. Without identity only new rights are ruled out."""
    if identity is not None:
        os.setgroups([])
        os.setresgid(identity.gid, identity.gid, identity.gid)
        os.setresuid(identity.uid, identity.uid, identity.uid)
        if os.getresuid() != (identity.uid,) * 3:
            raise StartError("user id did not change")
    _prctl(_PR_SET_NO_NEW_PRIVS, 1)


def end_with_parent(parent: int) -> None:
    """Get SIGTERM when the supervisor dies. After `become`: a change of user clears it."""
    _prctl(_PR_SET_PDEATHSIG, signal.SIGTERM)
    if os.getppid() != parent:
        raise StartError("the supervisor ended before its child had started")


def raise_file_limit() -> int:
    """Raise the number of open files as far as allowed; returns the limit in force."""
    soft, hard = resource.getrlimit(resource.RLIMIT_NOFILE)
    wanted = max(hard, WANTED_FILES) if hard != resource.RLIM_INFINITY else WANTED_FILES
    for limit in (wanted, hard):
        try:
            resource.setrlimit(resource.RLIMIT_NOFILE, (limit, max(limit, hard)))
        except (OSError, ValueError):
            continue  # only root may go beyond the hard limit
        return limit
    return soft


def _prctl(option: int, value: int) -> None:
    if _libc.prctl(option, ctypes.c_ulong(value), 0, 0, 0) != 0:
        code = ctypes.get_errno()
        raise OSError(code, f"prctl {option}: {os.strerror(code)}")
