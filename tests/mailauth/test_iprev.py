"""The name of a client: reverse look-up, confirmed by forward look-ups."""

from __future__ import annotations

from ipaddress import ip_address
from typing import Any

import pytest

from mox.mailauth.iprev import check
from mox.mailauth.results import IPRevResult, IPRevStatus
from tests.support.zone import ZoneResolver

PASS, FAIL = IPRevStatus.PASS, IPRevStatus.FAIL
TEMPERROR, PERMERROR = IPRevStatus.TEMPERROR, IPRevStatus.PERMERROR
IP = "192.0.2.3"
PTR = ("3.2.0.192.in-addr.arpa", "PTR")

Zone = dict[tuple[str, str], list[Any]]


def run(resolver: ZoneResolver, ip: str = IP, **kwargs: Any) -> IPRevResult:
    return check(resolver, ip_address(ip), **kwargs)  # type: ignore[arg-type]


def test_a_name_that_leads_back_passes() -> None:
    zone: Zone = {
        PTR: ["other.example.", "Host.Example."],
        ("other.example", "A"): ["198.51.100.1"],
        ("host.example", "A"): ["198.51.100.2", IP],
    }
    assert run(ZoneResolver(zone, is_authentic=True)) == IPRevResult(
        PASS, "host.example", ("other.example", "host.example"), "", True
    )


@pytest.mark.parametrize("ip", ["2001:db8::1", "::ffff:192.0.2.3"])
def test_other_forms_of_addresses(ip: str) -> None:
    reverse = ip_address("2001:db8::1").reverse_pointer
    zone: Zone = {
        PTR: ["four.example."],
        ("four.example", "A"): [IP],
        (reverse, "PTR"): ["six.example."],
        ("six.example", "AAAA"): ["2001:db8::1"],
    }
    assert run(ZoneResolver(zone), ip).hostname in ("four.example", "six.example")


@pytest.mark.parametrize(
    ("zone", "status"),
    [
        ({}, PERMERROR),
        ({PTR: ["TIMEOUT"]}, TEMPERROR),
        ({PTR: ["x.example."]}, FAIL),
        ({PTR: ["x.example."], ("x.example", "A"): ["192.0.2.4"]}, FAIL),
        ({PTR: ["x.example."], ("x.example", "AAAA"): ["2001:db8::1"]}, FAIL),
        ({PTR: ["x.example.", "y.example."], ("x.example", "A"): ["TIMEOUT"]}, TEMPERROR),
        ({PTR: ["x.example.", "y.example."], ("y.example", "A"): ["TIMEOUT"]}, TEMPERROR),
        (
            {
                PTR: ["x.example.", "y.example."],
                ("x.example", "A"): ["TIMEOUT"],
                ("y.example", "A"): [IP],
            },
            PASS,
        ),
        ({PTR: ["."]}, PERMERROR),
        ({PTR: ["a\\010b.example.", "a\\.b.example."]}, PERMERROR),
    ],
)
def test_results(zone: Zone, status: IPRevStatus) -> None:
    result = run(ZoneResolver(zone))
    assert result.status is status
    assert bool(result.problem) is (status is not PASS)
    assert bool(result.hostname) is (status is PASS)


def test_ten_names_are_looked_at() -> None:
    zone: Zone = {PTR: [f"n{i}.example." for i in range(30)], ("n10.example", "A"): [IP]}
    resolver = ZoneResolver(zone)
    assert run(resolver).status is FAIL
    assert len(resolver.queries) == 11
    zone["n9.example", "A"] = [IP]
    assert run(ZoneResolver(zone)).hostname == "n9.example"


def test_there_is_a_time_limit() -> None:
    now = [0.0]

    def slow(name: str, rdtype: str) -> None:
        now[0] += 8

    zone: Zone = {PTR: [f"n{i}.example." for i in range(10)]}
    resolver = ZoneResolver(zone, before=slow)
    assert run(resolver, clock=lambda: now[0]).status is TEMPERROR
    assert len(resolver.queries) == 3


def test_one_answer_that_is_not_validated_is_enough() -> None:
    zone: Zone = {PTR: ["x.example."], ("x.example", "A"): [IP]}
    resolver = ZoneResolver(zone, is_authentic=True)

    def turn(name: str, rdtype: str) -> None:
        resolver.is_authentic = rdtype == "PTR"

    resolver.before = turn
    assert not run(resolver).authentic
