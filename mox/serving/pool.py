"""Blocking or long work beside the loop, in native threads, with a bounded queue.

For what releases the interpreter lock: password hashes, large digests and compressions, files.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import ParamSpec, TypeVar, cast

from gevent.threadpool import ThreadPool

from mox.errors import MoxError

P = ParamSpec("P")
T = TypeVar("T")


class PoolBusy(MoxError):
    """Too much work waits already: ask the client to try again later."""


class WorkPool:
    """Some threads for one kind of work. Make it after fork, one per process and kind."""

    def __init__(self, threads: int, most_waiting: int) -> None:
        self._threads = ThreadPool(threads)
        self._most = threads + most_waiting
        self._running = 0

    def run(self, work: Callable[P, T], *args: P.args, **kwargs: P.kwargs) -> T:
        """Run `work` in a thread and return its result; other greenlets go on.

        Raises PoolBusy at once when the queue is full, and what `work` raises. Work that has
        begun ends by itself, also when the caller does not wait any longer.
        """
        if self._running >= self._most:
            raise PoolBusy(f"{self._running} jobs are under way")
        self._running += 1
        job = self._threads.spawn(work, *args, **kwargs)
        job.rawlink(self._ended)
        return cast("T", job.get())

    def _ended(self, _: object) -> None:
        self._running -= 1
