"""Connection ids: 64-bit numbers that no two connections of this server ever share."""

from __future__ import annotations

import time
from collections.abc import Callable

# One residue class per worker slot: workers count without asking each other.
CLASSES = 256
# Four ids per slot and millisecond: counting stays behind the clock, so that a worker that
# starts again in the same slot begins above all that its predecessor gave out.
_PER_MILLISECOND = 4


class Cids:
    """The ids of one worker: begin at the unix time in milliseconds, scaled, and count up."""

    __slots__ = ("_last",)

    def __init__(self, slot: int, clock: Callable[[], float] = time.time) -> None:
        base = int(clock() * 1000) * _PER_MILLISECOND * CLASSES
        self._last = base + slot % CLASSES

    def next(self) -> int:
        self._last += CLASSES
        return self._last
