"""Sharing the event loop: long commands let other connections run every few milliseconds."""

from __future__ import annotations

import time
from collections.abc import Callable
from typing import TypeVar

from mox.turns import give_turn

# A round of the loop for the others after so long; a notification waits no longer.
_TURN_S = 0.003
# Objects freed without a break.
_RELEASED_AT_ONCE = 5000

T = TypeVar("T")


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


def release(objects: list[T], pace: Callable[[], None]) -> None:
    """Empty a list step by step: to free 100,000 records in one go takes 30 ms."""
    while objects:
        del objects[-_RELEASED_AT_ONCE:]
        pace()
