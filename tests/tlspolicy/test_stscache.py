"""The life of a cached MTA-STS policy, situation by situation, on a clock of the test."""

from __future__ import annotations

import random
from dataclasses import dataclass, field

import pytest
from hypothesis import given
from hypothesis import strategies as st
from msgspec import structs

from mox.tlspolicy.mtasts import Found, Mode, Record, RecordLookup, format_policy
from mox.tlspolicy.report import Problem, ResultType
from mox.tlspolicy.stscache import (
    BACKOFF_S,
    REFRESH_SPREAD_S,
    CachedPolicy,
    Consulted,
    FetchFailed,
    consult,
    plan_refresh,
    refresh,
)

DAY = 86400.0
DOMAIN = "example.org"
FETCH_ERROR = ResultType.STS_POLICY_FETCH_ERROR


@dataclass
class World:
    """DNS and web server of one domain, the cache, and the time."""

    now: float = 1_800_000_000.0
    record: RecordLookup = RecordLookup(Found.RECORD, Record("1"))  # noqa: RUF009 - frozen
    served: str | FetchFailed = ""
    cached: CachedPolicy | None = None
    fetches: list[float] = field(default_factory=list)
    lookups: int = 0

    def lookup(self, domain: str) -> RecordLookup:
        assert domain == DOMAIN
        self.lookups += 1
        return self.record

    def fetch(self, domain: str, timeout_s: float) -> str:
        assert domain == DOMAIN
        self.fetches.append(timeout_s)
        if isinstance(self.served, FetchFailed):
            raise self.served
        return self.served

    def consult(self) -> Consulted:
        found = consult(DOMAIN, self.cached, self.lookup, self.fetch, self.now)
        self.cached = found.keep or self.cached
        return found

    def serve(self, mode: Mode, mx: str = "mx.example.org", max_age_s: int = 7 * 86400) -> None:
        self.served = format_policy(mode, (mx,) if mx else (), max_age_s)


def world(mode: Mode = Mode.ENFORCE, **fields: object) -> World:
    made = World(**fields)  # type: ignore[arg-type]
    made.serve(mode)
    return made


def failing(absent: bool = False) -> FetchFailed:
    return FetchFailed(
        "web server is down", Problem(FETCH_ERROR, "cannot-fetch-policy"), absent=absent
    )


def reasons(found: Consulted) -> list[str]:
    return [problem.reason for problem in found.problems]


@pytest.mark.parametrize("mode", [Mode.ENFORCE, Mode.TESTING])
def test_first_look(mode: Mode) -> None:
    it = world(mode)
    found = it.consult()
    assert found.policy is not None
    assert found.policy.mode is mode
    assert found.problems == ()
    assert it.fetches == [60.0]
    assert it.cached is not None
    assert it.cached.valid_end == it.now + 7 * DAY


@pytest.mark.parametrize(
    ("record", "problems", "unavailable"),
    [
        (RecordLookup(Found.NONE), [], False),
        (RecordLookup(Found.SEVERAL), ["multiple-mta-sts-records"], False),
        (RecordLookup(Found.BAD, error="no id"), ["record-syntax-error"], False),
        (RecordLookup(Found.TEMPORARY, error="SERVFAIL"), ["dns-lookup"], True),
    ],
)
def test_first_look_without_record(
    record: RecordLookup, problems: list[str], unavailable: bool
) -> None:
    it = world(record=record)
    found = it.consult()
    assert (found.policy, reasons(found), found.unavailable) == (None, problems, unavailable)
    assert it.cached is None
    assert it.fetches == []


def test_first_fetch_that_fails_is_not_repeated_for_five_minutes() -> None:
    it = world()
    it.served = failing()
    found = it.consult()
    assert (found.policy, reasons(found)) == (None, ["cannot-fetch-policy"])
    it.serve(Mode.ENFORCE)
    it.now += BACKOFF_S - 1
    found = it.consult()
    assert (found.policy, reasons(found)) == (None, ["back-off-after-recent-fetch-error"])
    assert len(it.fetches) == 1
    it.now += 2
    assert it.consult().policy is not None
    assert len(it.fetches) == 2


def test_first_policy_that_makes_no_sense() -> None:
    it = world()
    it.served = "<html>"
    found = it.consult()
    assert found.problems == (Problem(ResultType.STS_POLICY_INVALID, "policy-syntax-error"),)
    assert it.cached is not None
    assert it.cached.backoff


def test_unchanged_policy_is_used_without_fetching() -> None:
    it = world()
    it.consult()
    it.now += 60
    found = it.consult()
    assert found.policy is not None
    assert (found.problems, found.keep) == ((), None)
    assert (len(it.fetches), it.lookups) == (1, 2)


def test_use_is_noted_by_the_hour() -> None:
    it = world()
    it.consult()
    it.now += 3599
    assert it.consult().keep is None
    it.now += 1
    assert it.consult().keep is not None
    assert it.cached is not None
    assert it.cached.last_use == it.now


@pytest.mark.parametrize(
    ("record", "reason"),
    [
        (RecordLookup(Found.NONE), "no-record"),
        (RecordLookup(Found.SEVERAL), "multiple-mta-sts-records"),
        (RecordLookup(Found.BAD), "record-syntax-error"),
        (RecordLookup(Found.TEMPORARY), "dns-lookup"),
    ],
)
def test_cached_policy_outlives_its_record(record: RecordLookup, reason: str) -> None:
    it = world()
    it.consult()
    it.record = record
    it.now += 6 * DAY
    found = it.consult()
    assert found.policy is not None
    assert not found.unavailable
    assert found.problems == (Problem(FETCH_ERROR, f"{reason}+fallback-to-cached-policy"),)


def test_changed_record_brings_the_new_policy() -> None:
    it = world()
    it.consult()
    assert it.cached is not None
    first = it.cached.inserted
    it.now += 100
    it.record = RecordLookup(Found.RECORD, Record("2"))
    it.serve(Mode.TESTING, "other.example.org")
    found = it.consult()
    assert found.policy is not None
    assert (found.policy.mode, found.policy.mx) == (Mode.TESTING, ("other.example.org",))
    assert it.fetches == [60.0, 30.0]
    assert (it.cached.inserted, it.cached.last_update) == (first, it.now)


@pytest.mark.parametrize("served", [failing(), "<html>"])
def test_changed_record_without_new_policy(served: str | FetchFailed) -> None:
    it = world()
    it.consult()
    it.record = RecordLookup(Found.RECORD, Record("2"))
    it.served = served
    found = it.consult()
    assert found.policy is not None
    assert found.policy.mode is Mode.ENFORCE
    [reason] = reasons(found)
    assert reason.endswith("+fallback-to-cached-policy")


def test_policy_ends_with_its_max_age() -> None:
    it = world()
    it.consult()
    it.record = RecordLookup(Found.NONE)
    it.now += 7 * DAY
    assert it.consult().policy is None


def test_mode_none_is_as_without_policy() -> None:
    it = world(Mode.NONE)
    found = it.consult()
    assert (found.policy, found.problems) == (None, ())
    it.record = RecordLookup(Found.NONE)
    found = it.consult()
    assert (found.policy, found.problems) == (None, ())
    assert len(it.fetches) == 1


def test_policy_that_ends_enforcement_is_followed() -> None:
    it = world()
    it.consult()
    it.record = RecordLookup(Found.RECORD, Record("2"))
    it.serve(Mode.NONE, "")
    assert it.consult().policy is None


def entry(name: str, **changes: object) -> CachedPolicy:
    now = 1_800_000_000.0
    made = CachedPolicy(
        domain=name, inserted=now, valid_end=now + 30 * DAY, last_update=now, last_use=now
    )
    return structs.replace(made, mode="enforce", mx=("a",), max_age_s=30 * 86400, **changes)


def test_daily_plan() -> None:
    now = 1_800_000_000.0
    entries = [
        entry("fresh.example"),
        entry("old.example", last_update=now - 13 * 3600),
        entry("older.example", last_update=now - 9 * DAY),
        entry("unused.example", last_use=now - 181 * DAY),
        entry("over.example", valid_end=now - 1, last_update=now - 31 * DAY),
        entry("backoff.example", backoff=True, valid_end=now - 1),
        entry("waiting.example", backoff=True, valid_end=now + 100, last_update=now - DAY),
    ]
    plan = plan_refresh(entries, now, random.Random(1))
    assert set(plan.forget) == {"unused.example", "backoff.example"}
    assert {name for _, name in plan.refresh} == {"old.example", "older.example", "over.example"}


@given(st.integers(0, 300), st.integers())
def test_refreshes_are_spread_over_three_hours(count: int, seed: int) -> None:
    now = 1_800_000_000.0
    entries = [entry(f"{n}.example", last_update=now - DAY) for n in range(count)]
    times = [when for when, _ in plan_refresh(entries, now, random.Random(seed)).refresh]
    assert times == sorted(times)
    assert len(times) == count
    assert all(0 <= when < REFRESH_SPREAD_S for when in times)
    if count > 1:
        step = REFRESH_SPREAD_S / count
        assert all(n * step <= when < (n + 0.5) * step for n, when in enumerate(times))


def aged(mode: Mode = Mode.ENFORCE) -> World:
    it = world(mode)
    it.consult()
    it.now += DAY
    return it


def test_refresh_of_an_unchanged_policy_makes_it_last_longer() -> None:
    it = aged()
    assert it.cached is not None
    done = refresh(it.cached, it.lookup, it.fetch, it.now)
    assert done.keep is not None
    assert (done.keep.valid_end, done.keep.last_update) == (it.now + 7 * DAY, it.now)
    assert done.keep.last_use == it.cached.last_use
    assert len(it.fetches) == 1


def test_refresh_of_a_changed_policy_fetches_it() -> None:
    it = aged()
    assert it.cached is not None
    it.record = RecordLookup(Found.RECORD, Record("2"))
    it.serve(Mode.TESTING)
    done = refresh(it.cached, it.lookup, it.fetch, it.now)
    assert done.keep is not None
    assert (done.keep.mode, done.keep.record_id) == ("testing", "2")
    assert done.keep.last_use == it.cached.last_use


@pytest.mark.parametrize("record", [RecordLookup(Found.NONE), RecordLookup(Found.TEMPORARY)])
def test_refresh_without_record_changes_nothing(record: RecordLookup) -> None:
    it = aged()
    assert it.cached is not None
    it.record = record
    done = refresh(it.cached, it.lookup, it.fetch, it.now)
    assert (done.keep, done.forget) == (None, False)
    assert done.error


def test_policy_of_mode_none_is_forgotten_with_its_record() -> None:
    it = aged(Mode.NONE)
    assert it.cached is not None
    it.record = RecordLookup(Found.NONE)
    assert refresh(it.cached, it.lookup, it.fetch, it.now).forget


def test_refresh_that_cannot_fetch_changes_nothing() -> None:
    it = aged()
    assert it.cached is not None
    it.record = RecordLookup(Found.RECORD, Record("2"))
    it.served = failing()
    done = refresh(it.cached, it.lookup, it.fetch, it.now)
    assert (done.keep, done.forget, done.error) == (None, False, "web server is down")


@given(
    st.lists(
        st.tuples(
            st.floats(0, 3 * DAY),
            st.sampled_from([*Found]),
            st.sampled_from(["1", "2", "3"]),
            st.sampled_from(["enforce", "testing", "none", "bad", "down"]),
        ),
        max_size=20,
    )
)
def test_enforcement_never_ends_by_failures_alone(
    steps: list[tuple[float, Found, str, str]],
) -> None:
    """As long as a cached policy is valid, only another policy can replace it."""
    it = world()
    it.consult()
    for pause_s, found, id, served in steps:
        before = it.cached
        it.now += pause_s
        it.record = RecordLookup(found, Record(id) if found is Found.RECORD else None)
        if served == "down":
            it.served = failing()
        elif served == "bad":
            it.served = "bad"
        else:
            it.serve(Mode(served))
        policy = it.consult().policy
        assert before is not None
        fetched = found is Found.RECORD and served in ("enforce", "testing", "none")
        if before.mode == "enforce" and before.valid_end > it.now and not fetched:
            assert policy is not None
            assert policy.mode is Mode.ENFORCE
