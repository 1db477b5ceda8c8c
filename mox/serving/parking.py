"""Waiting on the loop for a socket, a bell or the time, without helper greenlets."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from typing import TYPE_CHECKING, Literal

from gevent.hub import Waiter, get_hub

if TYPE_CHECKING:
    from gevent._types import _IoWatcher as IoWatcher

READ, WRITE = 1, 2

Event = Literal["ready", "timeout", "interrupt"]


class Wake:
    """A bell for `Stream.wait`: ring it on the loop's thread (a store callback, a greenlet)."""

    __slots__ = ("rung", "waiter")

    def __init__(self) -> None:
        self.rung = False
        self.waiter: Waiter[Event] | Sentry | None = None

    def ring(self) -> None:
        """Make the stream's current or next `wait` return "wake". Rings before that merge."""
        if not self.rung:
            self.rung = True
            if self.waiter is not None:
                interrupt(self.waiter)

    def clear(self) -> None:
        """Forget a ring that no `wait` has reported yet."""
        self.rung = False


def new_waiter() -> Waiter[Event]:
    """Return what `park` waits with; pass it to `interrupt` to end that wait early."""
    return Waiter(get_hub())


def interrupt(waiter: Waiter[Event] | Sentry) -> None:
    """End the wait of another greenlet; without effect if it has ended already."""
    # Only the hub may switch into a waiting greenlet.
    get_hub().loop.run_callback(waiter.switch, "interrupt")


@dataclass(frozen=True, slots=True)
class Parked:
    """What a handler returns to wait without a greenlet: the connection sleeps until something
    happens, then `resume` goes on in a new greenlet.

    `resume` gets "ready" (bytes or the end are there), "interrupt" (a ring, or draining begins)
    or "timeout", and returns like a handler. Its stack, and what hangs on it, costs nothing
    meanwhile.
    """

    resume: Callable[[Event], Parked | None]
    timeout_s: float
    wake: Wake | None = None


class Sentry:
    """Stands at a parked stream: the first event ends its watch and calls back, on the loop."""

    __slots__ = ("_callback", "_timer", "_wake", "_watcher")

    def __init__(
        self,
        watcher: IoWatcher,
        timeout_s: float,
        wake: Wake | None,
        callback: Callable[[Event], None],
    ) -> None:
        self._watcher = watcher
        self._wake = wake
        self._callback: Callable[[Event], None] | None = callback
        self._timer = get_hub().loop.timer(max(timeout_s, 0.0))
        switch = self.switch  # bound once: thousands of these may wait
        watcher.start(switch, "ready")
        self._timer.start(switch, "timeout", update=True)
        if wake is not None:
            wake.waiter = self

    def switch(self, event: Event) -> None:
        """Something happened; only the first call counts."""
        callback, self._callback = self._callback, None
        if callback is not None:
            self._timer.close()
            self._watcher.stop()
            if self._wake is not None:
                self._wake.waiter = None
            callback(event)


def park(waiter: Waiter[Event], watcher: IoWatcher, timeout_s: float) -> Event:
    """Let the loop go on until the watcher fires, somebody interrupts, or time is up."""
    timer = get_hub().loop.timer(max(timeout_s, 0.0))
    try:
        watcher.start(waiter.switch, "ready")
        # The loop's idea of now may be old after long work: without an update it ends early.
        timer.start(waiter.switch, "timeout", update=True)
        return waiter.get()
    finally:
        timer.close()
        watcher.stop()
