"""Questions that nobody could answer just now: they are not asked again at once (RFC 9520).

In this process only. What is known in spite of a failure, from another process, goes before.
"""

from __future__ import annotations

from dataclasses import dataclass, replace
from typing import Final

from mox.dns.answer import Answer
from mox.dns.cache import Key

# RFC 9520 §3.2: at least a second, at most five minutes, and longer while it goes on failing.
FIRST_S: Final = 5.0
LONGEST_S: Final = 300.0
_GROWTH: Final = 2
_MAX_ENTRIES: Final = 10_000


@dataclass(frozen=True, slots=True)
class _Failure:
    answer: Answer
    began: float
    period_s: float
    limit_s: float | None  # that it had; None: it failed before time was up

    @property
    def until(self) -> float:
        return self.began + self.period_s

    def is_recent(self, now: float) -> bool:
        """Say whether another failure at this time is taken for the same trouble."""
        return now < self.until + LONGEST_S


class Failures:
    """The failures of one resolver, by question. Times are those of the resolver's clock."""

    def __init__(self) -> None:
        self._entries: dict[Key, _Failure] = {}

    def get(self, key: Key, limit_s: float, now: float) -> Answer | None:
        """Return the failure of a question that is not to be asked within `limit_s` again yet."""
        failure = self._entries.get(key)
        if failure is None or now >= failure.until:
            return None
        # Who has more time may get an answer.
        if failure.limit_s is not None and limit_s > failure.limit_s:
            return None
        answer = failure.answer
        return replace(answer, error=f"{answer.error} ({int(now - failure.began)} s ago)")

    def note(self, key: Key, answer: Answer, limit_s: float, began: float, now: float) -> None:
        """Keep a failure; `limit_s` is what the question had from `began` on."""
        before = self._entries.pop(key, None)
        period_s = FIRST_S
        if before is not None and before.is_recent(now):
            period_s = min(LONGEST_S, before.period_s * _GROWTH)
        if len(self._entries) >= _MAX_ENTRIES:
            self._evict(now)
        ran_out = now - began >= limit_s
        self._entries[key] = _Failure(answer, now, period_s, limit_s if ran_out else None)

    def forget(self, key: Key) -> None:
        """Note that a question has been answered."""
        self._entries.pop(key, None)

    def _evict(self, now: float) -> None:
        """Drop what is over, and the oldest half when that is not enough."""
        self._entries = {key: one for key, one in self._entries.items() if one.is_recent(now)}
        if len(self._entries) >= _MAX_ENTRIES:
            for key in list(self._entries)[: _MAX_ENTRIES // 2]:
                del self._entries[key]
