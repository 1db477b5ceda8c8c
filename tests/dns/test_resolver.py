"""The resolver against a name server that does what it is told."""

from __future__ import annotations

import random
import socket

import pytest

from mox.address import parse_domain
from mox.dns import Accepts, Resolver, Status, accepts_mail, mail_hosts
from mox.dns.mail import host_addresses
from tests.support.fakedns import FakeDNS

ZONE = {
    ("a.example", "MX"): ["20 mx2.a.example.", "10 mx1.a.example."],
    ("mx1.a.example", "A"): ["192.0.2.1"],
    ("mx1.a.example", "AAAA"): ["2001:db8::1"],
    ("mx2.a.example", "A"): ["192.0.2.2"],
    ("plain.example", "A"): ["192.0.2.3"],
    ("null.example", "MX"): ["0 ."],
    ("broken.example", "MX"): ["SERVFAIL"],
    ("silent.example", "MX"): ["DROP"],
    ("nowhere.example", "MX"): ["10 gone.example."],
    ("txt.example", "TXT"): ['"v=spf1 " "-all"'],
    ("many.example", "TXT"): [f'"{i}"' for i in range(300)],
}


class Clock:
    now = 1000.0

    def __call__(self) -> float:
        return self.now


def resolver(dns: FakeDNS, **kwargs: float) -> Resolver:
    return Resolver(server=dns.server, **kwargs)  # type: ignore[arg-type]


def test_mx_hosts_come_by_preference() -> None:
    with FakeDNS(ZONE) as dns:
        found = mail_hosts(resolver(dns), parse_domain("A.example"))
    assert found.hosts == ("mx1.a.example", "mx2.a.example")
    assert found.accepts is Accepts.YES


def test_equal_preference_is_shuffled() -> None:
    zone = {("eq.example", "MX"): [f"10 h{i}.example." for i in range(8)]}
    orders = set()
    with FakeDNS(zone) as dns:
        for seed in range(5):
            found = mail_hosts(resolver(dns), parse_domain("eq.example"), random.Random(seed))
            assert sorted(found.hosts) == [f"h{i}.example" for i in range(8)]
            orders.add(found.hosts)
    assert len(orders) > 1


@pytest.mark.parametrize(
    ("name", "expected"),
    [
        ("a.example", Accepts.YES),
        ("plain.example", Accepts.YES),  # no MX: the domain itself
        ("null.example", Accepts.NULL_MX),
        ("absent.example", Accepts.NO),
        ("broken.example", Accepts.TEMPORARY),
        ("nowhere.example", Accepts.NO),
    ],
)
def test_accepts_mail(name: str, expected: Accepts) -> None:
    with FakeDNS(ZONE) as dns:
        assert accepts_mail(resolver(dns), parse_domain(name)) is expected


def test_a_silent_server_is_a_temporary_failure_within_the_time_limit() -> None:
    with FakeDNS(ZONE) as dns:
        answer = resolver(dns, timeout_s=0.3).query("silent.example", "MX")
    assert answer.status is Status.TEMPORARY
    assert "silent.example" in answer.error


def test_addresses_of_both_families() -> None:
    with FakeDNS(ZONE) as dns:
        found = host_addresses(resolver(dns), "mx1.a.example")
    assert [str(a) for a in found.addresses] == ["2001:db8::1", "192.0.2.1"]


def test_answers_are_cached_until_their_ttl() -> None:
    clock = Clock()
    with FakeDNS(ZONE) as dns:
        found = Resolver(server=dns.server, clock=clock)
        assert found.query("txt.example", "TXT").records[0].strings == (b"v=spf1 ", b"-all")  # type: ignore[attr-defined]
        found.query("TXT.example.", "TXT")
        assert len(dns.queries) == 1
        clock.now += 61
        found.query("txt.example", "TXT")
        assert len(dns.queries) == 2


def test_too_many_records_are_refused() -> None:
    with FakeDNS(ZONE) as dns:
        assert resolver(dns).query("many.example", "TXT").status is Status.TEMPORARY


def test_ad_bit_counts_from_loopback_also_for_negative_answers() -> None:
    with FakeDNS(ZONE, authentic=True) as dns:
        found = resolver(dns)
        assert found.query("txt.example", "TXT").authentic
        assert found.query("absent.example", "TXT").authentic
        assert found.query("txt.example", "A").authentic
        found.trusts_ad = False
        assert not found.query("mx1.a.example", "A").authentic


@pytest.mark.parametrize("name", ["a" * 70 + ".example", "x" * 300, "a..b", "\udcff.example"])
def test_names_that_cannot_be_do_not_exist(name: str) -> None:
    with FakeDNS(ZONE) as dns:
        assert resolver(dns).query(name, "A").status is Status.NXDOMAIN


def test_no_server_is_a_temporary_failure() -> None:
    with socket.socket(socket.AF_INET, socket.SOCK_DGRAM) as unused:
        unused.bind(("127.0.0.1", 0))
        port = unused.getsockname()[1]
    answer = Resolver(server=f"127.0.0.1:{port}", timeout_s=0.3).query("a.example", "A")
    assert answer.status is Status.TEMPORARY


def test_a_missing_resolv_conf_says_what_to_do(tmp_path: object) -> None:
    answer = Resolver(resolv_conf=f"{tmp_path}/none").query("a.example", "A")
    assert answer.status is Status.TEMPORARY
    assert "name a name server" in answer.error
