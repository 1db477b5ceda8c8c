"""When the next batch of writes begins: once the event loop has nothing else to do.

A commit costs much the same for one write as for twenty. On a busy loop others are about to write,
too: whoever is in the middle of a command. So a batch that could begin waits until the loop would
sleep, for LONGEST_S at most; on a loop with nothing else to do that is at once. It also keeps the
committer's thread from taking turns with a busy loop, which costs both.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import TYPE_CHECKING, Final, Generic, TypeVar

if TYPE_CHECKING:
    from gevent._types import _Loop

# A loop that never comes to rest, because of work that only gives others a turn, keeps a write
# waiting for so long: about as long as a batch takes on a busy machine.
LONGEST_S: Final = 0.02

J = TypeVar("J")


class Gathering(Generic[J]):
    """The writes of the next batch. One batch at a time is under way: `done` says that it ended."""

    __slots__ = ("_begin", "_idle", "_is_begun", "_is_set", "_jobs", "_late", "_most")

    def __init__(self, begin: Callable[[list[J]], None], most: int, loop: _Loop) -> None:
        """`begin` gets each batch, of at most `most`."""
        self._begin = begin
        self._most = most
        self._jobs: list[J] = []
        self._is_begun = False
        self._is_set = False  # whether the watchers wait
        self._idle = loop.idle()
        self._late = loop.timer(LONGEST_S, LONGEST_S)

    def add(self, job: J) -> None:
        self._jobs.append(job)
        if not self._is_begun:
            self._wait()

    def done(self) -> None:
        """The batch that began is done."""
        self._is_begun = False
        if self._jobs:
            self._wait()

    def flush(self) -> None:
        """Begin with what there is, now: nothing comes after it."""
        while self._jobs:
            self._go()

    def close(self) -> None:
        self._idle.close()
        self._late.close()

    def _wait(self) -> None:
        if len(self._jobs) >= self._most:
            self._go()
        elif not self._is_set:
            self._is_set = True
            self._idle.start(self._go)
            self._late.again(self._go, update=True)

    def _go(self) -> None:
        self._is_set = False
        self._idle.stop()
        self._late.stop()
        batch, self._jobs = self._jobs[: self._most], self._jobs[self._most :]
        self._is_begun = True
        self._begin(batch)
