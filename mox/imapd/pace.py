"""Sharing the event loop: long commands let other connections run every few milliseconds."""

from __future__ import annotations

import time

import gevent

# A round of the loop for the others after so long; a notification waits no longer.
_TURN_S = 0.003


class Pace:
    """Call it within a long loop, where nothing must stay as it is."""

    __slots__ = ("_since",)

    def __init__(self) -> None:
        self._since = time.monotonic()

    def __call__(self) -> None:
        if time.monotonic() - self._since > _TURN_S:
            gevent.sleep(0)
            self._since = time.monotonic()
