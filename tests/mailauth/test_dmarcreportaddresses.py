"""Who gets DMARC reports: the domain's own addresses, and those of others that agree."""

from __future__ import annotations

import pytest

from mox.address import parse_address, parse_domain
from mox.dns import Resolver
from mox.mailauth.dmarcrecord import parse_record
from mox.mailauth.dmarcreportaddresses import (
    Permission,
    ReportAddress,
    aggregate_addresses,
    mailto_address,
)
from tests.support.fakedns import FakeDNS

US = parse_domain("example.com")


def name(host: str) -> tuple[str, str]:
    return (f"example.com._report._dmarc.{host}", "TXT")


# RFC 9989 Appendix B.2.3 and B.2.4, and what may go wrong.
ZONE = {
    name("thirdparty.example.net"): ['"v=DMARC1;"'],
    name("bare.example.net"): ['"v=DMARC1"'],
    name("with-policy.example.net"): ['"v=DMARC1; p=none"'],
    name("instead.example.net"): [
        '"v=DMARC1; rua=mailto:Aggregate-Reports@instead.example.net!5k,https://x.example/"'
    ],
    name("elsewhere.example.net"): ['"v=DMARC1; rua=mailto:victim@other.example"'],
    name("both.example.net"): [
        '"v=DMARC1; rua=mailto:r@both.example.net,mailto:victim@other.example"'
    ],
    name("web.example.net"): ['"v=DMARC1; rua=https://web.example.net/"'],
    name("text.example.net"): ['"hello"'],
    name("broken.example.net"): ['"v=DMARC1;a=1;a=2"'],
    name("slow.example.net"): ["SERVFAIL"],
}


@pytest.mark.parametrize(
    ("uri", "permission", "addresses", "problem"),
    [
        ("mailto:d@example.com", Permission.OWN, "d@example.com", ""),
        ("mailto:d@reports.example.com", Permission.OWN, "d@reports.example.com", ""),
        ("MAILTO:D@Example.com", Permission.OWN, "D@example.com", ""),
        ("mailto:r@thirdparty.example.net", Permission.GRANTED, "r@thirdparty.example.net", ""),
        ("mailto:r@bare.example.net", Permission.GRANTED, "r@bare.example.net", ""),
        ("mailto:r@with-policy.example.net", Permission.GRANTED, "r@with-policy.example.net", ""),
        (
            "mailto:r@instead.example.net",
            Permission.GRANTED,
            "Aggregate-Reports@instead.example.net",
            "",
        ),
        (
            "mailto:r@elsewhere.example.net",
            Permission.DENIED,
            "",
            "not at elsewhere.example.net",
        ),
        ("mailto:r@both.example.net", Permission.DENIED, "", "not at both.example.net"),
        ("mailto:r@web.example.net", Permission.DENIED, "", "rua has no address"),
        ("mailto:r@nothing.example.net", Permission.DENIED, "", "no DMARC record at example.com."),
        ("mailto:r@text.example.net", Permission.DENIED, "", "no DMARC record"),
        ("mailto:r@broken.example.net", Permission.DENIED, "", "twice"),
        ("mailto:r@slow.example.net", Permission.UNKNOWN, "", "SERVFAIL"),
        ("https://example.com/reports", Permission.UNUSABLE, "", ""),
        ("mailto:nobody", Permission.UNUSABLE, "", ""),
        ("mailto:a@example.com%2Cb@example.com", Permission.UNUSABLE, "", ""),
    ],
)
def test_permission(uri: str, permission: Permission, addresses: str, problem: str) -> None:
    record = parse_record(f"v=DMARC1;p=none;rua={uri}")
    with FakeDNS(ZONE) as server:
        found = aggregate_addresses(Resolver(server=server.server), US, record)
        assert len(server.queries) == (permission not in (Permission.OWN, Permission.UNUSABLE))
    assert [each.permission for each in found] == [permission]
    assert " ".join(map(str, found[0].addresses)) == addresses
    assert problem in found[0].problem


def test_sizes_are_kept_and_replaced() -> None:
    record = parse_record(
        "v=DMARC1;p=none;rua=mailto:d@example.com!10m,mailto:r@instead.example.net!1m"
    )
    with FakeDNS(ZONE) as server:
        found = aggregate_addresses(Resolver(server=server.server), US, record)
    assert [each.max_octets for each in found] == [10 << 20, 5 << 10]


def test_neighbours_below_a_public_suffix_are_others() -> None:
    record = parse_record("v=DMARC1;p=none;rua=mailto:d@other.co.uk")
    with FakeDNS({}) as server:
        resolver = Resolver(server=server.server)
        found = aggregate_addresses(resolver, parse_domain("mine.co.uk"), record)
    assert found == [
        ReportAddress(
            "mailto:d@other.co.uk",
            Permission.DENIED,
            problem="no DMARC record at mine.co.uk._report._dmarc.other.co.uk",
        )
    ]


@pytest.mark.parametrize(
    ("uri", "expected"),
    [
        ("mailto:a@example.com?subject=x", "a@example.com"),
        ("mailto:a%2Bb%21@example.com", "a+b!@example.com"),
        ("mailto:a%40b", "a@b"),
        ("mailto:%ff@example.com", None),
        ("mailto:", None),
        ("tel:1@example.com", None),
    ],
)
def test_mailto_is_decoded(uri: str, expected: str | None) -> None:
    assert mailto_address(uri) == (parse_address(expected) if expected else None)
