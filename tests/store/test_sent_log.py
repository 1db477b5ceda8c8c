from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

import pytest

from mox.store import open_store, sent_log
from mox.store.sent_log import SendLimitReached, SendLimits
from mox.store.store import Store

NOW = 1_800_000_000.0
DAY = 86_400.0


@pytest.fixture
def store(tmp_path: Path) -> Iterator[Store]:
    store = open_store(tmp_path)
    yield store
    store.close()


def send(store: Store, recipients: list[str], now: float, limits: SendLimits) -> None:
    store.write(lambda txn: sent_log.record(txn, 1, recipients, now, limits))


def test_messages_are_limited_within_a_day(store: Store) -> None:
    limits = SendLimits(messages=3, first_time=100)
    send(store, ["a@x", "b@x"], NOW, limits)
    with pytest.raises(SendLimitReached, match=r"max number of messages \(3\)"):
        send(store, ["a@x", "b@x"], NOW + 1, limits)
    send(store, ["a@x"], NOW + 1, limits)
    with pytest.raises(SendLimitReached):
        send(store, ["a@x"], NOW + DAY, limits)
    send(store, ["a@x", "c@x"], NOW + DAY + 0.5, limits)


def test_same_microsecond_counts_twice(store: Store) -> None:
    limits = SendLimits(messages=2, first_time=100)
    send(store, ["a@x"], NOW, limits)
    send(store, ["a@x"], NOW, limits)
    with pytest.raises(SendLimitReached):
        send(store, ["a@x"], NOW, limits)


def test_first_time_recipients_are_limited(store: Store) -> None:
    limits = SendLimits(messages=100, first_time=2)
    send(store, ["a@x", "a@x", "b@x"], NOW, limits)
    send(store, ["a@x"], NOW + 1, limits)  # written to before: no new one
    with pytest.raises(SendLimitReached, match=r"first-time recipients \(2\)") as caught:
        send(store, ["c@x"], NOW + 2, limits)
    assert caught.value.first_time
    later = NOW + DAY + 10
    send(store, ["a@x", "b@x", "c@x", "d@x"], later, limits)


def test_accounts_do_not_share_limits(store: Store) -> None:
    limits = SendLimits(messages=1, first_time=100)
    send(store, ["a@x"], NOW, limits)
    store.write(lambda txn: sent_log.record(txn, 2, ["a@x"], NOW, limits))
    store.write(lambda txn: sent_log.record(txn, 256, ["a@x"], NOW, limits))


def test_old_entries_are_removed(store: Store) -> None:
    limits = SendLimits(messages=1000, first_time=1000)
    for i in range(30):
        send(store, [f"{i}@x", f"{i}@y"], NOW + i, limits)
    for i in range(3):
        send(store, ["z@x"], NOW + 2 * DAY + i, limits)
    with store.dbs.env.begin() as txn:
        assert txn.stat(store.dbs.sent_log)["entries"] == 3
