"""The domains in From, one or several."""

from __future__ import annotations

import pytest

from mox.address import parse_domain
from mox.dns import Resolver
from mox.mailauth.dmarcauthor import MAX_AUTHOR_DOMAINS, author_domains, evaluate_authors
from mox.mailauth.results import DKIMResult, DKIMStatus, SPFResult, SPFStatus
from tests.support.fakedns import FakeDNS

ZONE = {
    ("_dmarc.bank.example", "TXT"): ['"v=DMARC1;p=reject"'],
    ("_dmarc.shop.example", "TXT"): ['"v=DMARC1;p=quarantine"'],
    ("_dmarc.lax.example", "TXT"): ['"v=DMARC1;p=none"'],
    ("_dmarc.old.example", "TXT"): ['"v=DMARC1;p=reject;pct=10"'],
}


@pytest.mark.parametrize(
    ("values", "expected"),
    [
        ([], []),
        ([b""], []),
        ([b" a@Bank.example"], ["bank.example"]),
        ([b" Bank <a@bank.example>, b@bank.example"], ["bank.example"]),
        ([b" a@bank.example", b" b@BANK.example"], ["bank.example"]),
        ([b" a@bank.example, x@evil.example"], ["bank.example", "evil.example"]),
        ([b" x@evil.example", b" a@bank.example"], ["evil.example", "bank.example"]),
        ([b" bank: a@bank.example, b@evil.example;"], ["bank.example", "evil.example"]),
        ([b' "ceo@bank.example" <x@evil.example>'], ["evil.example"]),
        ([b" ceo@bank.example <x@evil.example>"], ["evil.example"]),
        ([b" x@evil.example (a@bank.example)"], ["evil.example"]),
        ([b" =?utf-8?q?ceo=40bank.example?= <x@evil.example>"], ["evil.example"]),
        ([b" a@bank.example, nobody, @, a@[192.0.2.1], a@"], ["bank.example"]),
        ([b" undisclosed:;"], []),
        ([" ü@bücher.example".encode()], ["xn--bcher-kva.example"]),
    ],
)
def test_domains_of_from(values: list[bytes], expected: list[str]) -> None:
    assert [domain.ascii for domain in author_domains(values)] == expected


@pytest.mark.parametrize(
    ("names", "expected"),
    [
        ("", "none none None False"),
        ("evil.example", "none none evil.example False"),
        ("bank.example", "fail reject bank.example True"),
        ("evil.example lax.example", "none none None False"),
        ("evil.example bank.example", "fail reject bank.example True"),
        ("bank.example evil.example", "fail reject bank.example True"),
        ("shop.example bank.example", "fail reject bank.example True"),
        ("shop.example lax.example", "fail quarantine shop.example True"),
        # The signer's own pass says nothing for the other.
        ("lax.example sender.example", "none none None False"),
        ("a.test b.test c.test d.test bank.example", "none none None False"),
    ],
)
def test_strictest_policy_of_those_that_fail(names: str, expected: str) -> None:
    dkim = [DKIMResult(DKIMStatus.PASS, parse_domain("sender.example"))]
    zone = {**ZONE, ("_dmarc.sender.example", "TXT"): ['"v=DMARC1;p=reject"']}
    with FakeDNS(zone) as server:
        domains = [parse_domain(name) for name in names.split()]
        spf = SPFResult(SPFStatus.NONE)
        result = evaluate_authors(Resolver(server=server.server), domains, spf, dkim)
        assert len({name.removeprefix("_dmarc.") for name, _ in server.queries}) <= 8
    told = f"{result.status} {result.policy} {result.header_from} {result.rejects}"
    assert told == expected
    assert (len(domains) > 1 and result.status == "none") == ("different" in result.problem)
    assert len(domains) <= MAX_AUTHOR_DOMAINS + 1


def test_of_two_that_reject_the_one_for_all_messages_counts() -> None:
    with FakeDNS(ZONE) as server:
        domains = [parse_domain("old.example"), parse_domain("bank.example")]
        result = evaluate_authors(
            Resolver(server=server.server), domains, SPFResult(SPFStatus.NONE), [], rule="rfc7489"
        )
    assert (result.header_from, result.percent) == (domains[1], 100)
