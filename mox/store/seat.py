"""Keeping a thread on one CPU, as long as it need not wait for it.

The committer's thread sleeps for the disk many times in a batch. Left alone, the scheduler wakes it
here and there, often where the committer of another worker is at work, while a CPU next to it has
nothing to do. With a CPU for the committer of each worker, two workers on two CPUs stored a tenth
more. But beside a program that never rests the thread waits behind that one each time that it
wakes: less than half was stored. So the kernel is asked now and then how long the thread waited to
run, and when that is longer than it ran, it may go where it likes for a while. With one client,
whose writes come one by one, there is nobody to keep away from.
"""

from __future__ import annotations

import math
import os
import time
from collections.abc import Callable
from typing import Final

# sched(7), Documentation/scheduler/sched-stats: of the thread that reads it.
_TIMES: Final = "/proc/thread-self/schedstat"
LOOK_S: Final = 0.1
# A wait that is not worth a move, between two looks.
_SHORT_S: Final = 0.01
FIRST_ABSENCE_S: Final = 10.0
LONGEST_ABSENCE_S: Final = 640.0


def thread_times() -> tuple[float, float]:
    """How long this thread ran, and waited for a CPU, in seconds. Raises OSError, ValueError."""
    with open(_TIMES, "rb") as file:
        ran, waited = file.read().split()[:2]
    return int(ran) / 1e9, int(waited) / 1e9


class Seat:
    """The place of one thread, which makes all calls."""

    __slots__ = (
        "_absence_s",
        "_clock",
        "_cpus",
        "_due",
        "_is_busy",
        "_number",
        "_sits",
        "_times",
        "_was",
    )

    def __init__(
        self,
        number: int,
        clock: Callable[[], float] = time.monotonic,
        times: Callable[[], tuple[float, float]] = thread_times,
    ) -> None:
        """Threads of different number, from 0 on, get different CPUs if there are enough."""
        self._number = number
        self._clock = clock
        self._times = times
        self._cpus: list[int] = []
        self._due = 0.0  # the next look
        self._is_busy = False  # since the last one
        self._sits = False
        self._was = (0.0, 0.0)
        self._absence_s = FIRST_ABSENCE_S

    def look(self, writes: int) -> None:
        """After a batch of so many: take the seat, or leave it. Costs next to nothing mostly."""
        self._is_busy = self._is_busy or writes > 1
        now = self._clock()
        if now < self._due:
            return
        self._due = now + LOOK_S
        try:
            self._look(now)
        except (OSError, ValueError):
            # No such figures here, or the CPUs of this process were changed, and the kernel has put
            # the thread on one of those: then it stays a thread like others.
            self._due = math.inf
        self._is_busy = False

    def _look(self, now: float) -> None:
        if not (self._sits or self._is_busy):
            return  # to ask would only be in the way of those who wait for the batch
        ran, waited = self._times()
        if not self._sits:
            self._sit()
        elif waited - self._was[1] > max(ran - self._was[0], _SHORT_S):
            self._leave()
            self._due = now + self._absence_s
            self._absence_s = min(self._absence_s * 2, LONGEST_ABSENCE_S)
        elif not self._is_busy:
            self._leave()
        self._was = ran, waited

    def _sit(self) -> None:
        if not self._cpus:
            self._cpus = sorted(os.sched_getaffinity(0))
        os.sched_setaffinity(0, {self._cpus[self._number % len(self._cpus)]})
        self._sits = True

    def _leave(self) -> None:
        os.sched_setaffinity(0, self._cpus)
        self._sits = False
