"""Bells: how a commit in one process wakes the others.

A bell is an eventfd, one for each worker slot, made by the supervisor before it forks. Ringing
carries no content: rings may merge or come for nothing, the change log says what happened.
"""

from __future__ import annotations

import os
from collections.abc import Sequence


class Bells:
    """All bells of the server, seen from the process in `slot`."""

    __slots__ = ("fd", "fds", "slot")

    def __init__(self, fds: Sequence[int], slot: int) -> None:
        self.fds = tuple(fds)
        self.slot = slot
        self.fd = self.fds[slot]

    @classmethod
    def alone(cls) -> Bells:
        """A single bell, for a process that runs without a supervisor."""
        return cls([os.eventfd(0, os.EFD_NONBLOCK | os.EFD_CLOEXEC)], 0)

    def ring_all(self) -> None:
        """Wake every process, our own too. Safe from any thread."""
        for fd in self.fds:
            try:
                os.eventfd_write(fd, 1)
            except BlockingIOError:
                continue  # 2**64-2 rings not yet answered: it is awake enough

    def clear(self) -> None:
        """Take back the rings of our own bell."""
        try:
            os.eventfd_read(self.fd)
        except BlockingIOError:
            return
