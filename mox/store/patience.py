"""How long a batch waits for company: clients that were just answered are about to ask again.

Without a wait, N connections that each send one change after the other end up as two halves that
take turns: while one half is synced the other gathers, and each commit costs as much as one for
all. So a batch that is smaller than the last one plus what was waiting then gives the others a
moment, as long as that has been paying off. One connection alone never waits.
"""

from __future__ import annotations

from typing import Final

# Longer than a client near by needs for its next command, shorter than a sync.
LONGEST_S: Final = 0.0007
# Of the time that the last batch took.
SHARE: Final = 0.25
# Below this share of expected jobs that came, waiting stops, but for one try in so many batches.
ENOUGH: Final = 0.5
TRY_EVERY: Final = 64


class Patience:
    """Learns from how batches went whether the next one should wait."""

    __slots__ = ("_batches", "_paid", "_seconds", "expected")

    def __init__(self) -> None:
        self.expected = 1  # jobs that the next batch may become
        self._paid = 1.0  # running share of the expected jobs that came while we waited
        self._seconds = 0.0
        self._batches = 0

    def batch_done(self, size: int, waiting: int, seconds: float) -> None:
        """A batch of `size` jobs took so long; `waiting` came in meanwhile."""
        self.expected = size + waiting
        self._seconds = min(LONGEST_S, seconds * SHARE)
        self._batches += 1

    def limit(self, size: int) -> float:
        """Return for how many seconds a batch that has `size` jobs should wait for more."""
        if size >= self.expected:
            return 0.0
        if self._paid < ENOUGH and self._batches % TRY_EVERY:
            return 0.0
        return self._seconds

    def waited(self, before: int, after: int) -> None:
        """A wait is over: the batch had `before` jobs then, `after` now."""
        came = min(1.0, (after - before) / (self.expected - before))
        self._paid += (came - self._paid) * 0.1
