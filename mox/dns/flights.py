"""Equal questions at the same time share one exchange."""

from __future__ import annotations

import threading
import time
from collections.abc import Callable

from mox.dns.answer import Answer, Status
from mox.dns.cache import Key


class _Flight:
    __slots__ = ("answer", "done", "has_landed", "limit_s")

    def __init__(self, limit_s: float) -> None:
        self.limit_s = limit_s
        self.done: threading.Event | None = None  # made by the first who waits
        self.has_landed = False
        self.answer: Answer | None = None

    def land(self) -> None:
        # In this order: who makes the event afterwards sees that there is nothing to wait for.
        self.has_landed = True
        if self.done is not None:
            self.done.set()

    def wait(self, limit_s: float) -> bool:
        """Wait for the landing; false when it takes longer."""
        done = self.done
        if done is None:
            done = self.done = threading.Event()
        return self.has_landed or done.wait(limit_s)


class Flights:
    """The questions that are being asked now. Waiting is cooperative where threads are patched."""

    def __init__(self, clock: Callable[[], float] = time.monotonic) -> None:
        self._clock = clock
        self._flights: dict[Key, _Flight] = {}

    def ask(self, key: Key, limit_s: float, work: Callable[[float], Answer]) -> Answer | None:
        """Return what `work(limit_s)` answers, or the same work of another caller.

        None: nothing came within the limit. `work` may be stopped from outside by any exception;
        another of those who wait then takes its place.
        """
        end = self._clock() + limit_s
        while limit_s > 0:
            mine = _Flight(limit_s)
            flight = self._flights.setdefault(key, mine)
            if flight is mine:
                return self._fly(key, mine, work)
            if not flight.wait(limit_s):
                return None
            limit_s = end - self._clock()
            # Who had less time may have given up too early for us.
            answer = flight.answer
            if answer is not None and not (_failed(answer) and flight.limit_s < limit_s):
                return answer
        return None

    def _fly(self, key: Key, mine: _Flight, work: Callable[[float], Answer]) -> Answer:
        try:
            mine.answer = work(mine.limit_s)
            return mine.answer
        finally:
            del self._flights[key]
            mine.land()


def _failed(answer: Answer) -> bool:
    return answer.status is Status.TEMPORARY
