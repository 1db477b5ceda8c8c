"""DNS block lists: listed or not, and whether a list works."""

from __future__ import annotations

from ipaddress import ip_address
from typing import Any

import pytest

from mox.address import parse_domain
from mox.mailauth.dnsbl import (
    HEALTH_TTL_S,
    DNSBLResult,
    DNSBLStatus,
    ZonesInUse,
    check_health,
    lookup,
)
from tests.support.zone import ZoneResolver

LIST = parse_domain("list.example")
PASS, LISTED, TEMPERROR = DNSBLStatus.PASS, DNSBLStatus.LISTED, DNSBLStatus.TEMPERROR
NAME = "3.2.0.192.list.example"

Zone = dict[tuple[str, str], list[Any]]


def run(zone: Zone, ip: str = "192.0.2.3", **kwargs: Any) -> DNSBLResult:
    return lookup(ZoneResolver(zone), LIST, ip_address(ip), **kwargs)  # type: ignore[arg-type]


def test_what_is_in_the_zone_is_listed() -> None:
    zone: Zone = {
        (NAME, "A"): ["127.0.0.2", "127.0.0.10"],
        (NAME, "TXT"): ['"see " "https://list.example/\\013\\010x"'],
    }
    assert run(zone) == DNSBLResult(
        LISTED,
        LIST,
        (ip_address("127.0.0.2"), ip_address("127.0.0.10")),
        "see https://list.example/??x",
    )


def test_a_listing_needs_no_text() -> None:
    for text in ([], ["TIMEOUT"]):
        result = run({(NAME, "A"): ["127.0.0.2"], (NAME, "TXT"): text})
        assert (result.status, result.explanation) == (LISTED, "")


@pytest.mark.parametrize(
    ("ip", "name"),
    [
        ("::ffff:192.0.2.3", NAME),
        (
            "2001:db8::1",
            "1.0.0.0.0.0.0.0.0.0.0.0.0.0.0.0.0.0.0.0.0.0.0.0.8.b.d.0.1.0.0.2.list.example",
        ),
    ],
)
def test_other_forms_of_addresses(ip: str, name: str) -> None:
    assert run({(name, "A"): ["127.0.0.2"]}, ip).status is LISTED


@pytest.mark.parametrize(
    ("answers", "status"),
    [
        ([], PASS),
        (["TIMEOUT"], TEMPERROR),
        (["127.255.255.254"], TEMPERROR),
        (["198.51.100.1"], TEMPERROR),
        (["198.51.100.1", "127.0.0.2"], LISTED),
    ],
)
def test_answers(answers: list[str], status: DNSBLStatus) -> None:
    result = run({(NAME, "A"): answers})
    assert result.status is status
    assert bool(result.problem) is (status is TEMPERROR)


def test_without_time_left_the_text_is_not_asked_for() -> None:
    now = [0.0]

    def slow(name: str, rdtype: str) -> None:
        now[0] += 40

    resolver = ZoneResolver({(NAME, "A"): ["127.0.0.2"]}, before=slow)
    ip = ip_address("192.0.2.3")
    result = lookup(resolver, LIST, ip, clock=lambda: now[0])  # type: ignore[arg-type]
    assert result.status is LISTED
    assert resolver.queries == [(NAME, "A")]


GOOD, BAD = "2.0.0.127.list.example", "1.0.0.127.list.example"


@pytest.mark.parametrize(
    ("zone", "is_healthy", "has_problem"),
    [
        ({(GOOD, "A"): ["127.0.0.2"]}, True, False),
        ({}, False, True),
        ({(GOOD, "A"): ["127.0.0.2"], (BAD, "A"): ["127.0.0.2"]}, False, True),
        ({(GOOD, "A"): ["TIMEOUT"]}, True, True),
        ({(GOOD, "A"): ["127.0.0.2"], (BAD, "A"): ["TIMEOUT"]}, True, True),
        ({(GOOD, "A"): ["127.255.255.254"], (BAD, "A"): ["127.255.255.254"]}, False, True),
        ({(GOOD, "A"): ["198.51.100.1"], (BAD, "A"): ["198.51.100.1"]}, False, True),
        ({(GOOD, "A"): ["127.0.0.2"], (BAD, "A"): ["198.51.100.1"]}, False, True),
    ],
)
def test_health(zone: Zone, is_healthy: bool, has_problem: bool) -> None:
    health = check_health(ZoneResolver(zone), LIST)  # type: ignore[arg-type]
    assert (health.is_healthy, bool(health.problem)) == (is_healthy, has_problem)


@pytest.mark.parametrize(
    ("answers", "kept"), [(["127.0.0.2"], True), ([], True), (["TIMEOUT"], False)]
)
def test_health_is_known_for_hours(answers: list[str], kept: bool) -> None:
    now = [1000.0]
    resolver = ZoneResolver({(GOOD, "A"): answers})
    zones = ZonesInUse(resolver, lambda: now[0])  # type: ignore[arg-type]
    first = zones.health(LIST)
    now[0] += HEALTH_TTL_S - 1
    asked = len(resolver.queries)
    assert zones.health(LIST) == first
    assert (len(resolver.queries) == asked) is kept
    now[0] += 1
    zones.health(LIST)
    assert len(resolver.queries) > asked
