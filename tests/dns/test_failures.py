"""Failures are kept: from five seconds to five minutes, and only for who has no more time."""

from __future__ import annotations

from pathlib import Path

import pytest

from mox.dns import Answer, Resolver, Status, failures
from mox.dns.failures import FIRST_S, LONGEST_S, Failures
from tests.support.fakedns import FakeDNS

KEY = ("a.example", "MX")
SERVFAIL = Answer(Status.TEMPORARY, error="a.example MX: SERVFAIL")


class Clock:
    now = 1000.0

    def __call__(self) -> float:
        return self.now


def kept_s(book: Failures, now: float) -> int:
    """How many whole seconds a failure noted now is returned."""
    book.note(KEY, SERVFAIL, 20.0, now - 1, now)
    return next(s for s in range(1, 1000) if book.get(KEY, 20.0, now + s) is None)


def test_each_further_failure_is_kept_twice_as_long() -> None:
    book, now, periods = Failures(), 1000.0, []
    for _ in range(9):
        periods.append(kept_s(book, now))
        now += periods[-1] + 1
    assert periods == [5, 10, 20, 40, 80, 160, 300, 300, 300]


def test_failure_long_after_another_begins_anew() -> None:
    book = Failures()
    assert kept_s(book, 1000.0) == FIRST_S
    assert kept_s(book, 1000.0 + FIRST_S + LONGEST_S) == FIRST_S


def test_failure_says_how_old_it_is() -> None:
    book = Failures()
    book.note(KEY, SERVFAIL, 20.0, 999.0, 1000.0)
    found = book.get(KEY, 20.0, 1003.5)
    assert found is not None
    assert (found.status, found.error) == (Status.TEMPORARY, "a.example MX: SERVFAIL (3 s ago)")


def test_who_has_more_time_asks_again() -> None:
    book = Failures()
    book.note(KEY, SERVFAIL, 2.0, 998.0, 1000.0)  # the two seconds were over
    assert book.get(KEY, 2.0, 1001.0) is not None
    assert book.get(KEY, 2.5, 1001.0) is None
    book.note(KEY, SERVFAIL, 2.0, 999.0, 1000.0)  # it failed earlier
    assert book.get(KEY, 20.0, 1001.0) is not None


def test_number_of_failures_is_bounded(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(failures, "_MAX_ENTRIES", 4)
    book = Failures()
    for n in range(10):
        book.note((f"{n}.example", "MX"), SERVFAIL, 20.0, 999.0, 1000.0 + n / 10)
    assert len(book._entries) <= 4
    assert book.get(("9.example", "MX"), 20.0, 1001.0) is not None
    assert book.get(("0.example", "MX"), 20.0, 1001.0) is None


def test_resolver_asks_again_when_the_time_is_over() -> None:
    clock = Clock()
    zone = {("a.example", "MX"): ["SERVFAIL"]}
    with FakeDNS(zone) as dns:
        resolver = Resolver(server=dns.server, clock=clock)
        for _ in range(3):
            assert resolver.query(*KEY).status is Status.TEMPORARY
        assert dns.queries == [KEY]
        clock.now += FIRST_S
        zone[KEY] = ["10 mx.a.example."]
        assert resolver.query(*KEY).status is Status.OK
        # An answer ends the trouble: the next failure is the first one again.
        clock.now += 3600
        zone[KEY] = ["SERVFAIL"]
        resolver.query(*KEY)
        asked = len(dns.queries)
        clock.now += FIRST_S
        resolver.query(*KEY)
        assert len(dns.queries) == asked + 1


def test_silence_costs_its_time_once() -> None:
    with FakeDNS({KEY: ["DROP"]}) as dns:
        resolver = Resolver(server=dns.server, timeout_s=0.1)
        for _ in range(5):
            assert resolver.query(*KEY).status is Status.TEMPORARY
        assert len(dns.queries) == 1
        resolver.query(*KEY, timeout_s=0.05)
        assert len(dns.queries) == 1


def test_missing_name_server_is_no_failure_of_names(tmp_path: Path) -> None:
    resolver = Resolver(resolv_conf=str(tmp_path / "resolv.conf"), clock=Clock())
    first, second = resolver.query(*KEY), resolver.query(*KEY)
    assert first.status is second.status is Status.TEMPORARY
    assert first.error == second.error
