"""When a batch waits for company."""

from __future__ import annotations

from mox.store.patience import LONGEST_S, TRY_EVERY, Patience


def test_one_connection_alone_never_waits() -> None:
    patience = Patience()
    assert patience.limit(1) == 0.0
    for _ in range(3):
        patience.batch_done(1, 0, 0.002)
        assert patience.limit(1) == 0.0


def test_half_that_was_gathering_waits_for_the_half_that_was_answered() -> None:
    patience = Patience()
    patience.batch_done(2, 2, 0.002)
    assert patience.expected == 4
    assert patience.limit(2) == 0.0005
    assert patience.limit(4) == 0.0


def test_wait_is_short_also_after_a_slow_sync() -> None:
    patience = Patience()
    patience.batch_done(2, 2, 3.0)
    assert patience.limit(2) == LONGEST_S


def test_waiting_in_vain_stops_and_is_tried_again_now_and_then() -> None:
    patience = Patience()
    waits = 0
    for _ in range(TRY_EVERY * 10):
        patience.batch_done(2, 2, 0.01)
        if patience.limit(2):
            waits += 1
            patience.waited(2, 2)
    assert 10 <= waits <= 20


def test_waiting_that_pays_again_is_taken_up_again() -> None:
    patience = Patience()
    for _ in range(20):
        patience.batch_done(2, 2, 0.01)
        if patience.limit(2):
            patience.waited(2, 2)
    waits = 0
    for _ in range(TRY_EVERY * 10):
        patience.batch_done(2, 2, 0.01)
        if patience.limit(2):
            waits += 1
            patience.waited(2, 4)
    assert waits > TRY_EVERY * 2


def test_more_than_expected_counts_as_all() -> None:
    patience = Patience()
    patience.batch_done(1, 1, 0.01)
    patience.waited(1, 9)
    patience.batch_done(1, 1, 0.01)
    assert patience.limit(1) == LONGEST_S
