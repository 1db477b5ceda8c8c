"""Answers that are kept under a client's key."""

from __future__ import annotations

import pytest

from mox.store import Store, idempotency
from mox.store.idempotency import Answer, Repeated

DAY = 86400.0
NOW = 1_800_000_000.0


def answer(text: str, until: float = NOW + DAY, *, is_error: bool = False) -> Answer:
    return Answer(digest=b"digest", body=text.encode(), is_error=is_error, until=until)


def keep(store: Store, account_id: int, key: str, kept: Answer, now: float = NOW) -> None:
    store.write(lambda txn: idempotency.keep(txn, account_id, key, kept, now))


def entries(store: Store) -> tuple[int, int]:
    with store.dbs.env.begin() as txn:
        return (
            txn.stat(store.dbs.idempotency)["entries"],
            txn.stat(store.dbs.idempotency_until)["entries"],
        )


def test_a_key_has_its_answer_for_its_account_until_its_time_is_over(store: Store) -> None:
    keep(store, 1, "a", answer("first"))
    assert idempotency.find(store, 1, "a", NOW + DAY - 1) == answer("first")
    assert idempotency.find(store, 1, "a", NOW + DAY) is None
    assert idempotency.find(store, 1, "b", NOW) is None
    assert idempotency.find(store, 2, "a", NOW) is None


def test_a_repetition_within_a_transaction_is_refused_with_the_answer(store: Store) -> None:
    store.write(lambda txn: idempotency.refuse_repetition(txn, 1, "a", NOW))
    keep(store, 1, "a", answer("first"))
    with pytest.raises(Repeated) as caught:
        store.write(lambda txn: idempotency.refuse_repetition(txn, 1, "a", NOW))
    assert caught.value.answer == answer("first")
    store.write(lambda txn: idempotency.refuse_repetition(txn, 1, "a", NOW + DAY))


def test_an_answer_can_be_replaced(store: Store) -> None:
    keep(store, 1, "a", answer("first"))
    keep(store, 1, "a", answer("second", is_error=True))
    assert idempotency.find(store, 1, "a", NOW) == answer("second", is_error=True)


def test_old_answers_go_when_new_ones_come(store: Store) -> None:
    for i in range(10):
        keep(store, 1, f"old{i}", answer("old"))
    keep(store, 1, "old0", answer("renewed", NOW + 2 * DAY), NOW + DAY)
    for i in range(10):
        keep(store, 1, f"new{i}", answer("new", NOW + 3 * DAY), NOW + DAY + 1)
    assert idempotency.find(store, 1, "old0", NOW + DAY + 1) == answer("renewed", NOW + 2 * DAY)
    assert entries(store) == (11, 11)


def test_keys_of_any_length_are_told_apart(store: Store) -> None:
    keep(store, 1, "x" * 1000, answer("a"))
    keep(store, 1, "x" * 1001, answer("b"))
    found = idempotency.find(store, 1, "x" * 1001, NOW)
    assert found is not None
    assert found.body == b"b"
