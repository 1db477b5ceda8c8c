"""When a message is tried again, and when its sender hears of it (RFC 5321 §4.5.4.1).

Eight attempts over almost 16 hours: after the n-th the wait is 7.5 minutes times 2^(n-1).
"""

from __future__ import annotations

import random
from typing import Final

from mox.store.outgoing_records import DEFAULT_MAX_ATTEMPTS

BASE_S: Final = 450
# Seconds around it, so that messages of one moment do not stay together for ever.
JITTER_S: Final = (-5, 4)
# The attempt whose failure the sender is told about while there is still hope.
DELAY_NOTICE_AT: Final = 5
# An administrator can let a message have more attempts than the schedule was made for.
_MAX_DOUBLINGS: Final = 10


def draw(source: random.Random) -> int:
    """Return seconds of jitter."""
    return source.randint(*JITTER_S)


def interval(attempts_before: int, jitter_s: int = 0) -> float:
    """Return how long after an attempt the next one is due."""
    return float((BASE_S + jitter_s) * 2 ** min(attempts_before, _MAX_DOUBLINGS))


def is_last(attempts: int, max_attempts: int) -> bool:
    """Say whether there is no attempt after this many. `max_attempts` 0 is the default."""
    return attempts >= (max_attempts or DEFAULT_MAX_ATTEMPTS)


def is_time_to_tell(attempts: int, max_attempts: int) -> bool:
    """Say whether the failure of this attempt is told as a delay."""
    return attempts == DELAY_NOTICE_AT and not is_last(attempts, max_attempts)


def further_attempts(attempts: int, max_attempts: int, next_attempt: float) -> list[float]:
    """Return the times of all attempts that are left, the first of them at `next_attempt`."""
    times: list[float] = []
    when = next_attempt
    while not is_last(attempts, max_attempts):
        times.append(when)
        attempts += 1
        when += interval(attempts - 1)
    return times
