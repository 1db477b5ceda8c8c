"""Counters of incoming mail by network: within windows, across their borders, and forgotten."""

from __future__ import annotations

from collections.abc import Callable

import pytest

from mox.store import Store, housekeeping
from mox.store.arrivals import DAY_S, Rate
from mox.store.history import History
from mox.store.spool import Spool
from tests.store.origins import NETWORKS, deliver_from, origin_of

MakeSpool = Callable[..., Spool]
# The beginning of a day.
MIDNIGHT = 20_000 * DAY_S
MESSAGE = b"Subject: x\r\n\r\n" + b"y" * 84 + b"\r\n"


def history(store: Store) -> History:
    return store.account("mjl").history(None)


@pytest.mark.parametrize(
    ("arrived", "asked", "expected"),
    [
        ((0,), 0, (1, 1)),
        ((0, 1, 59), 59, (3, 3)),
        ((0,), 60, (1, 1)),
        ((0, 0), 90, (1, 2)),  # half of the minute before is out of reach
        ((0,), 119, (1 / 60, 1)),
        ((0,), 120, (0, 1)),
        ((0,), 3600, (0, 1)),
        ((0, 60), 60, (2, 2)),
        ((-1,), 0, (1, 1)),  # across midnight
        ((-30, 10), 30, (1.5, 2 - 30 / DAY_S)),
        ((-1,), DAY_S // 2, (0, 0.5)),
        ((-DAY_S - 1,), 0, (0, 0)),
    ],
)
def test_what_came_within_the_past_minute_and_day(
    store: Store,
    spool: MakeSpool,
    arrived: tuple[int, ...],
    asked: int,
    expected: tuple[float, float],
) -> None:
    for at in arrived:
        deliver_from(store, spool(MESSAGE), origin_of(), when=MIDNIGHT + at)
    minute, day = expected
    for network in NETWORKS:
        found = history(store).rate(network, MIDNIGHT + asked)
        assert found.minute_messages == pytest.approx(minute)
        assert found.minute_octets == pytest.approx(minute * len(MESSAGE))
        assert found.day_messages == pytest.approx(day)
        assert found.day_octets == pytest.approx(day * len(MESSAGE))


def test_other_networks_and_accounts_are_apart(store: Store, spool: MakeSpool) -> None:
    deliver_from(store, spool(), origin_of(networks=(b"n" * 17,)), when=MIDNIGHT)
    deliver_from(store, spool(), origin_of(), account="other", when=MIDNIGHT)
    assert history(store).rate(NETWORKS[0], MIDNIGHT) == Rate(0, 0, 0, 0)


def test_old_counters_are_forgotten(store: Store, spool: MakeSpool) -> None:
    for days in (0, 1, 2, 3):
        for account in ("mjl", "other"):
            when = MIDNIGHT + days * DAY_S
            deliver_from(store, spool(), origin_of(), account=account, when=when)
    housekeeping.clear_arrivals(store, MIDNIGHT + 3 * DAY_S)
    with store.dbs.env.begin() as txn:
        assert txn.stat(store.dbs.arrivals)["entries"] == 2 * 2 * 3
    assert history(store).rate(NETWORKS[0], MIDNIGHT + 3 * DAY_S).day_messages == 2
