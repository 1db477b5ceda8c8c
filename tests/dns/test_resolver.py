"""The resolver against a name server that does what it is told."""

from __future__ import annotations

import random
import socket
import threading

import pytest

from mox.address import parse_domain
from mox.dns import Accepts, Answer, ExtendedError, Resolver, Status, accepts_mail, mail_hosts
from mox.dns.mail import host_addresses
from tests.support.fakedns import FakeDNS, Mischief

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
    ("large.example", "TXT"): [f'"{i:0>200}"' for i in range(30)],
    ("www.example", "CNAME"): ["alias.example."],
    ("alias.example", "CNAME"): ["plain.example."],
    ("dangling.example", "CNAME"): ["absent.example."],
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
        answer = resolver(dns).query("many.example", "TXT")
    assert answer.status is Status.TEMPORARY
    assert "more than 256 records" in answer.error


def test_what_does_not_fit_a_datagram_comes_over_tcp() -> None:
    with FakeDNS(ZONE) as dns:
        answer = resolver(dns).query("large.example", "TXT")
        assert len(dns.queries) == 2
    assert len(answer.records) == 30


def test_cnames_are_followed() -> None:
    with FakeDNS(ZONE) as dns:
        found = resolver(dns)
        answer = found.query("www.example", "A")
        assert (answer.status, answer.canonical) == (Status.OK, "plain.example")
        assert found.query("www.example", "AAAA").status is Status.NODATA
        assert found.query("dangling.example", "A").status is Status.NXDOMAIN


def test_a_name_without_cname_has_none() -> None:
    with FakeDNS(ZONE) as dns:
        found = resolver(dns)
        answer = found.query("www.example", "CNAME")
        assert [record.to_text() for record in answer.records] == ["alias.example."]
        assert found.query("plain.example", "CNAME").status is Status.NODATA
        assert found.query("absent.example", "CNAME").status is Status.NXDOMAIN


def test_negative_answers_are_kept_as_long_as_the_soa_says() -> None:
    clock = Clock()
    zone = {
        ("short.example", "SOA"): ["ns.example. x.example. 1 1 1 1 20"],
        ("long.example", "SOA"): ["ns.example. x.example. 1 1 1 1 86400"],
    }
    with FakeDNS(zone, authentic=True) as dns:
        found = Resolver(server=dns.server, clock=clock)
        for name in ("a.short.example", "a.long.example"):
            assert found.query(name, "TXT").authentic
            assert found.query(name, "TXT").authentic
        assert len(dns.queries) == 2
        clock.now += 21
        found.query("a.short.example", "TXT")
        found.query("a.long.example", "TXT")
        assert len(dns.queries) == 3
        # FakeDNS gives the SOA record a TTL of a minute, which is the limit then.
        clock.now += 40
        found.query("a.long.example", "TXT")
        assert len(dns.queries) == 4


def test_extended_errors_are_kept() -> None:
    zone = {
        ("bogus.example", "A"): ["SERVFAIL 6 signature of\tbogus.example"],
        ("other.example", "A"): ["SERVFAIL 49152 Ümlaut & more"],
        ("plain.example", "A"): ["SERVFAIL"],
    }
    with FakeDNS(zone) as dns:
        found = resolver(dns)
        answer = found.query("bogus.example", "A")
        other = found.query("other.example", "A").extended_error
        plain = found.query("plain.example", "A")
    assert answer.status is Status.TEMPORARY
    assert answer.extended_error == ExtendedError(6, "signature of?bogus.example")
    assert answer.extended_error.is_dnssec_failure
    assert answer.extended_error.reason == "dns-extended-error-6-DNSSEC-Bogus"
    assert "DNSSEC Bogus: signature of" in answer.error
    assert other is not None
    assert not other.is_dnssec_failure
    assert other.reason == "dns-extended-error-49152-mlaut-more"
    assert plain.extended_error is None
    assert "SERVFAIL" in plain.error


def test_equal_questions_at_the_same_time_are_asked_once() -> None:
    mischief = Mischief(delays={("txt.example", "TXT"): 0.5})
    answers: list[Answer] = []
    with FakeDNS(ZONE, mischief=mischief) as dns:
        found = resolver(dns)

        def look_up() -> None:
            answers.append(found.query("txt.example", "TXT"))

        threads = [threading.Thread(target=look_up) for _ in range(20)]
        for thread in threads:
            thread.start()
        for thread in threads:
            thread.join()
        assert dns.queries == [("txt.example", "TXT")]
    assert [answer.status for answer in answers] == [Status.OK] * 20


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
