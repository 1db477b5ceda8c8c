"""Which way of making several things durable is cheaper here."""

from __future__ import annotations

# Share of the last sync in the estimate of the next one.
_LEARN = 0.2
# After so many batches in which syncfs looked too dear it is tried once more; each time that it
# still is, after twice as many.
_FIRST_PAUSE = 4
_LONGEST_PAUSE = 256
# One sync that takes so many times as long as the last ones may be the only one: it had to write
# what others left, as the first sync of a process may have to.
_SURPRISE = 4


class Ways:
    """Two ways to sync several things, and what each has cost lately: one by one, or `syncfs`."""

    __slots__ = ("_is_trial", "_pause", "_shunned", "apart_s", "together_s")

    def __init__(self) -> None:
        self.apart_s = 0.0003  # for each
        self.together_s = 0.0003  # for all; looks cheap at first, so that it is tried
        self._shunned = 0  # batches for which syncfs looked too dear, since it was used
        self._pause = _FIRST_PAUSE  # batches for which it is shunned before it is tried
        self._is_trial = False

    def prefers_together(self, count: int) -> bool:
        if count < 2:
            return False
        self._is_trial = self.together_s >= self.apart_s * count
        if self._is_trial:
            self._shunned += 1
            if self._shunned < self._pause:
                return False
            self._pause = min(self._pause * 2, _LONGEST_PAUSE)
        self._shunned = 0
        return True

    def took_apart(self, seconds: float) -> None:
        self.apart_s += (seconds - self.apart_s) * _LEARN

    def took_together(self, seconds: float) -> None:
        """What a trial says counts more than all before."""
        if self._is_trial:
            self.together_s = seconds
            return
        if seconds > self.together_s * _SURPRISE:
            self._pause = _FIRST_PAUSE
        self.together_s += (seconds - self.together_s) * _LEARN
