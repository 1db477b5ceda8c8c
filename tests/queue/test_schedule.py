from __future__ import annotations

import random

import pytest

from mox.queue import schedule

MINUTE = 60.0
HOUR = 3600.0


def test_waits_double_from_seven_and_a_half_minutes() -> None:
    waits = [schedule.interval(n) for n in range(7)]
    minutes = [7.5 * MINUTE, 15 * MINUTE, 30 * MINUTE]
    assert waits == [*minutes, 1 * HOUR, 2 * HOUR, 4 * HOUR, 8 * HOUR]
    assert sum(waits) == 15 * HOUR + 52.5 * MINUTE


def test_jitter_is_doubled_along() -> None:
    assert schedule.interval(0, 4) == 454
    assert schedule.interval(6, -5) == 445 * 64
    source = random.Random(1)
    assert {schedule.draw(source) for _ in range(1000)} == set(range(-5, 5))


def test_waits_are_bounded() -> None:
    assert schedule.interval(1000) == schedule.interval(10)


@pytest.mark.parametrize(
    ("attempts", "most", "last"),
    [(7, 0, False), (8, 0, True), (9, 0, True), (4, 5, False), (5, 5, True), (8, 20, False)],
)
def test_last_attempt(attempts: int, most: int, last: bool) -> None:
    assert schedule.is_last(attempts, most) is last


def test_delay_is_told_once_and_only_while_there_is_hope() -> None:
    assert [n for n in range(1, 9) if schedule.is_time_to_tell(n, 0)] == [5]
    assert not any(schedule.is_time_to_tell(n, 5) for n in range(1, 6))


def test_further_attempts_are_the_true_ones() -> None:
    now = 1000.0
    assert schedule.further_attempts(5, 0, now + 2 * HOUR) == [
        now + 2 * HOUR,
        now + 6 * HOUR,
        now + 14 * HOUR,
    ]
    assert schedule.further_attempts(8, 0, now) == []
