"""Slots: small numbers for the processes alive, each with a bell (an eventfd)."""

from __future__ import annotations

import os
from collections.abc import Sequence


class Slots:
    """Bells made before any fork, and who has which.

    There are twice as many as places, so that a generation of workers can start while the one
    before it still finishes its work.
    """

    def __init__(self, places: int, inherited: Sequence[int] = ()) -> None:
        self.fds = list(inherited)
        while len(self.fds) < 2 * places:
            self.fds.append(os.eventfd(0, os.EFD_NONBLOCK | os.EFD_CLOEXEC))
        self._free = set(range(len(self.fds)))

    def take(self) -> int | None:
        """The lowest free slot; None when all are taken."""
        if not self._free:
            return None
        slot = min(self._free)
        self._free.remove(slot)
        return slot

    def claim(self, slot: int) -> None:
        """Mark a slot as taken by a process that was there before us."""
        self._free.discard(slot)

    def release(self, slot: int | None) -> None:
        if slot is not None:
            self._free.add(slot)
