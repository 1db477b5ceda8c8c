"""Letting the other greenlets of a process run in the middle of long work."""

from __future__ import annotations

from collections.abc import Iterable
from typing import Final

import gevent

# Not 0: that runs greenlets which wait already, and looks at sockets only after many such turns.
_ROUND_S: Final = 1e-6


def let_begin() -> None:
    """Let greenlets that have just been spawned run until they wait.

    Without it they begin when this one waits, which it may not do for long: what a quick client
    says next is often there before it is asked for.
    """
    gevent.sleep(0)


def give_turn() -> None:
    """Let the event loop go round once: look at sockets and timers, and run who has work."""
    gevent.sleep(_ROUND_S)


def in_turns(steps: Iterable[None]) -> None:
    """Do long work that comes in short steps, with a turn for the others after each.

    The better place for what is done in Python than a native thread, which keeps the loop waiting
    for the interpreter: for a switch interval each time, and longer when the machine is busy.
    """
    for _ in steps:
        give_turn()
