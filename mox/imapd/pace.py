"""Sharing the event loop: long commands let other connections run every few milliseconds."""

from __future__ import annotations

import time
from collections.abc import Callable

from mox.turns import give_turn

# A round of the loop for the others after so long; a notification waits no longer.
_TURN_S = 0.003


class Pace:
    """Call it within a long loop, where nothing must stay as it is.

    `tell` is called after each turn of the others; it may wait.
    """

    __slots__ = ("_since", "_tell")

    def __init__(self, tell: Callable[[], None] | None = None) -> None:
        self._since = time.monotonic()
        self._tell = tell

    def __call__(self) -> None:
        if time.monotonic() - self._since > _TURN_S:
            give_turn()
            if self._tell is not None:
                self._tell()
            self._since = time.monotonic()
