"""Sharing the event loop: long commands let other connections run every few milliseconds."""

from __future__ import annotations

import time
from collections.abc import Callable

import gevent

# A round of the loop for the others after so long; a notification waits no longer.
_TURN_S = 0.003
# Not 0: that runs greenlets which wait already, and looks at sockets only after many such turns.
_ROUND_S = 1e-6


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
            gevent.sleep(_ROUND_S)
            if self._tell is not None:
                self._tell()
            self._since = time.monotonic()
