"""Bells: how a commit in one process wakes the others.

A bell is an eventfd, one for each worker slot, made by the supervisor before it forks. Ringing
carries no content: rings may merge or come for nothing, the change log says what happened. Only
those who wait for something are rung: a shared page has one octet per slot for that.
"""

from __future__ import annotations

import mmap
import os
from collections.abc import Sequence
from pathlib import Path

_PAGE = mmap.PAGESIZE

# What may have changed.
ACCOUNTS = 1
QUEUE = 2


class Bells:
    """All bells of the server, seen from the process in `slot`."""

    __slots__ = ("_is_alone", "_listening", "fd", "fds", "slot")

    def __init__(self, fds: Sequence[int], slot: int, *, is_alone: bool = False) -> None:
        self.fds = tuple(fds)
        self.slot = slot
        self.fd = self.fds[slot]
        self._listening: mmap.mmap | None = None
        self._is_alone = is_alone

    @classmethod
    def alone(cls) -> Bells:
        """A single bell, for a process that runs without a supervisor."""
        return cls([os.eventfd(0, os.EFD_NONBLOCK | os.EFD_CLOEXEC)], 0, is_alone=True)

    def share(self, path: Path) -> None:
        """Use the page at `path` that all processes share. Without it everyone is rung.

        Raises OSError; all its blocks are taken now, as a full disk would mean SIGBUS later.
        """
        fd = os.open(path, os.O_RDWR | os.O_CREAT | os.O_CLOEXEC, 0o600)
        try:
            os.posix_fallocate(fd, 0, max(_PAGE, -(-len(self.fds) // _PAGE) * _PAGE))
            self._listening = mmap.mmap(fd, 0)
        finally:
            os.close(fd)
        self.listen(0)

    def listen(self, topics: int) -> None:
        """Say for which topics (bits) to be rung. What was committed before may not ring."""
        if self._listening is not None:
            self._listening[self.slot] = topics

    def ring_others(self, topics: int) -> None:
        """Wake every other process that listens for one of these. Safe from any thread."""
        listening = self._listening
        for slot, fd in enumerate(self.fds):
            if slot != self.slot and (listening is None or listening[slot] & topics):
                _ring(fd)

    def clear(self) -> None:
        """Take back the rings of our own bell."""
        try:
            os.eventfd_read(self.fd)
        except BlockingIOError:
            return

    def close(self) -> None:
        """Stop listening and let go of the shared page; the supervisor's bells stay open."""
        if self._listening is not None:
            self.listen(0)
            self._listening.close()
            self._listening = None
        if self._is_alone:
            os.close(self.fd)
            self._is_alone = False


def _ring(fd: int) -> None:
    try:
        os.eventfd_write(fd, 1)
    except BlockingIOError:
        return  # 2**64-2 rings not yet answered: it is awake enough
