"""The daily refresh of MTA-STS policies, with DNS, web server and clock in hand."""

from __future__ import annotations

import random
from collections.abc import Iterator
from dataclasses import replace
from pathlib import Path

import pytest

from mox.keeper.sts_refresh import Refresher
from mox.store import Store, evaluations, open_store, sts_policies, tls_results
from mox.tlspolicy.collect import PolicyResults
from mox.tlspolicy.mtasts import Mode, format_policy
from mox.tlspolicy.report import Problem, ResultType, TLSResult
from mox.tlspolicy.stscache import CachedPolicy, FetchFailed
from tests.store.evaluated import EVALUATION
from tests.support.zone import ZoneResolver

DAY = 86400.0
HOUR = 3600.0


class World:
    def __init__(self, store: Store) -> None:
        self.store = store
        self.now = 1_800_000_000.0
        self.records: dict[tuple[str, str], list[str]] = {}
        self.fetched: list[tuple[float, str]] = []
        self.broken: set[str] = set()
        self.refresher = Refresher(
            store,
            ZoneResolver(self.records),  # type: ignore[arg-type]
            self.fetch,
            clock=lambda: self.now,
            sleep=self.sleep,
            chance=random.Random(1),
        )

    def sleep(self, seconds: float) -> None:
        self.now += seconds

    def fetch(self, domain: str, timeout_s: float) -> str:
        self.fetched.append((self.now, domain))
        if domain in self.broken:
            raise FetchFailed("no", Problem(ResultType.STS_POLICY_FETCH_ERROR, "x"))
        return format_policy(Mode.TESTING, ("new.example",), 1000)

    def keep(self, domain: str, **changes: object) -> None:
        fields: dict[str, object] = {
            "inserted": self.now - 9 * DAY,
            "valid_end": self.now + DAY,
            "last_update": self.now - DAY,
            "last_use": self.now - 2 * DAY,
            "record_id": "1",
            "mode": "enforce",
            "mx": ("old.example",),
            "max_age_s": 10 * 86400,
            **changes,
        }
        entry = CachedPolicy(domain=domain, **fields)  # type: ignore[arg-type]
        self.store.write(lambda txn: sts_policies.put(txn, entry))

    def record(self, domain: str, id: str) -> None:
        self.records[(f"_mta-sts.{domain}", "TXT")] = [f'"v=STSv1; id={id}"']

    def get(self, domain: str) -> CachedPolicy | None:
        return sts_policies.get(self.store, domain)


@pytest.fixture
def world(tmp_path: Path) -> Iterator[World]:
    store = open_store(tmp_path / "data")
    yield World(store)
    store.close()


def test_unchanged_policies_last_longer_without_a_fetch(world: World) -> None:
    world.keep("a.example")
    world.record("a.example", "1")
    world.refresher.run()
    found = world.get("a.example")
    assert found is not None
    assert found.valid_end == found.last_update + 10 * DAY
    assert found.last_use < found.last_update
    assert world.fetched == []


def test_changed_policies_are_fetched(world: World) -> None:
    world.keep("a.example")
    world.record("a.example", "2")
    world.refresher.run()
    found = world.get("a.example")
    assert found is not None
    assert (found.record_id, found.mode, found.mx) == ("2", "testing", ("new.example",))


def test_failures_change_nothing(world: World) -> None:
    world.keep("gone.example")
    world.keep("down.example")
    world.record("down.example", "2")
    world.broken.add("down.example")
    before = [world.get("gone.example"), world.get("down.example")]
    world.refresher.run()
    assert [world.get("gone.example"), world.get("down.example")] == before
    assert len(world.fetched) == 1


def test_what_is_of_no_use_goes(world: World) -> None:
    world.keep("unused.example", last_use=world.now - 181 * DAY)
    world.keep("none.example", mode="none")
    world.keep("late.example", backoff=True, valid_end=world.now - 1)
    world.keep("fresh.example", last_update=world.now - HOUR)
    world.refresher.run()
    kept = [entry.domain for entry in sts_policies.all_policies(world.store)]
    assert kept == ["fresh.example"]


def test_fetches_are_spread_over_three_hours(world: World) -> None:
    begun = world.now
    for n in range(30):
        world.keep(f"d{n}.example")
        world.record(f"d{n}.example", "2")
    world.refresher.run()
    times = [when - begun for when, _ in world.fetched]
    assert times == sorted(times)
    assert len({int(when // (HOUR / 10)) for when in times}) == 30
    assert times[-1] < 3 * HOUR


def test_policy_that_a_delivery_replaced_meanwhile_stays(world: World) -> None:
    world.keep("a.example")
    world.record("a.example", "2")
    fetch = world.fetch

    def slow(domain: str, timeout_s: float) -> str:
        text = fetch(domain, timeout_s)
        world.now += 10
        world.keep("a.example", last_update=world.now, last_use=world.now, record_id="3")
        return text

    Refresher(
        world.store,
        ZoneResolver(world.records),  # type: ignore[arg-type]
        slow,
        clock=lambda: world.now,
        sleep=world.sleep,
        chance=random.Random(1),
    ).run()
    found = world.get("a.example")
    assert found is not None
    assert found.record_id == "3"


def test_results_of_old_days_go(world: World) -> None:
    results = PolicyResults("a.example", False, (TLSResult("sts", success=1),))
    for days in range(6):
        when = world.now - days * DAY
        world.store.write(
            lambda txn, when=when: tls_results.add(txn, "a.example", results, when, True)
        )
    world.refresher.run()
    days_kept = [record.day for record in tls_results.of_day(world.store, "")]
    assert days_kept == [tls_results.day_of(world.now - n * DAY) for n in (3, 2, 1, 0)]


def test_dmarc_evaluations_that_nobody_reported_go(world: World) -> None:
    made = [replace(EVALUATION, when=int(world.now) - hours * 3600) for hours in (1, 47, 49, 300)]
    world.store.write(lambda txn: evaluations.add(txn, made))
    world.refresher.run()
    kept = evaluations.of_domain(world.store, EVALUATION.policy_domain, int(world.now))
    assert [int(world.now) - each.when for each in kept] == [47 * 3600, 3600]
