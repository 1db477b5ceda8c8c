"""When a call is tried again: twelve attempts over 32 hours."""

from __future__ import annotations

import random
from typing import Final

# Seconds after each attempt that failed, but the last.
WAITS_S: Final = (60, 120, 240, 450, 900, 1800, 3600, 7200, 14400, 28800, 57600)
MAX_ATTEMPTS: Final = len(WAITS_S) + 1
# In hundredths of a percent, so that calls of one moment do not stay together for ever.
_JITTER: Final = (-100, 99)


def wait_s(attempt: int, source: random.Random) -> float:
    """Return how long after this attempt, counted from 1, the next one is due."""
    base = WAITS_S[min(max(attempt, 1), len(WAITS_S)) - 1]
    return base * (1 + source.randint(*_JITTER) / 10_000)


def is_last(attempt: int) -> bool:
    return attempt >= MAX_ATTEMPTS
