from __future__ import annotations

import random

from mox.queue.webhook import schedule


def test_twelve_attempts_over_32_hours() -> None:
    assert schedule.MAX_ATTEMPTS == 12
    assert [schedule.is_last(n) for n in (11, 12, 13)] == [False, True, True]
    assert sum(schedule.WAITS_S) == 31 * 3600 + 59 * 60 + 30
    assert schedule.WAITS_S[:5] == (60, 120, 240, 450, 900)


def test_waits_are_jittered_by_one_percent() -> None:
    chance = random.Random(1)
    for attempt, wait in enumerate(schedule.WAITS_S, 1):
        drawn = {schedule.wait_s(attempt, chance) / wait for _ in range(300)}
        assert 0.99 <= min(drawn) < 0.992
        assert 1.0079 < max(drawn) <= 1.0099


def test_attempts_beyond_the_schedule_wait_as_the_last() -> None:
    assert schedule.wait_s(40, random.Random(1)) > 57_000
