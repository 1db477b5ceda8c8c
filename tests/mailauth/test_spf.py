"""SPF checks: identities, limits, and where pyspf alone would do something else."""

from __future__ import annotations

import threading
from collections.abc import Callable
from ipaddress import ip_address
from typing import Any

import pytest

from mox.address import NULL_PATH, Path, parse_address, parse_domain
from mox.mailauth.results import SPFResult, SPFStatus
from mox.mailauth.spf import check, lookup
from tests.support.dnsrecords import txt_of
from tests.support.zone import ZoneResolver

PASS, FAIL, NEUTRAL, NONE = SPFStatus.PASS, SPFStatus.FAIL, SPFStatus.NEUTRAL, SPFStatus.NONE
SOFTFAIL, TEMPERROR, PERMERROR = SPFStatus.SOFTFAIL, SPFStatus.TEMPERROR, SPFStatus.PERMERROR
HOST = parse_domain("receiver.example")
IP = "192.0.2.3"

Zone = dict[tuple[str, str], list[Any]]


def txt(text: str | bytes) -> list[Any]:
    """Return a TXT record set, in as many strings as it takes."""
    octets = text.encode() if isinstance(text, str) else text
    parts = [octets[i : i + 255] for i in range(0, len(octets), 255)] or [b""]
    return [txt_of(parts)]


def run(
    resolver: ZoneResolver,
    sender: str = "strong-bad@email.example.com",
    ip: str = IP,
    helo: str = "mx.example.org",
    clock: Callable[[], float] = lambda: 0.0,
) -> SPFResult:
    address = parse_address(sender) if sender else None
    return check(
        resolver,  # type: ignore[arg-type]
        remote_ip=ip_address(ip),
        mail_from=Path(address.localpart, address.domain) if address else NULL_PATH,
        helo=parse_domain(helo),
        hostname=HOST,
        clock=clock,
        now=lambda: 1_800_000_000.5,
    )


def zone(record: str | bytes, more: Zone | None = None) -> ZoneResolver:
    return ZoneResolver({("email.example.com", "TXT"): txt(record), **(more or {})})


def asked(resolver: ZoneResolver) -> list[str]:
    return [name for name, _ in resolver.queries]


# Identities.


def test_mail_from_is_checked_and_not_helo() -> None:
    resolver = zone("v=spf1 ip4:192.0.2.0/24 -all")
    result = run(resolver)
    assert (result.status, result.identity, result.mechanism) == (
        PASS,
        "mailfrom",
        "ip4:192.0.2.0/24",
    )
    assert result.domain == parse_domain("email.example.com")
    assert asked(resolver) == ["email.example.com"]


def test_null_path_is_postmaster_of_helo() -> None:
    resolver = ZoneResolver(
        {
            ("mx.example.org", "TXT"): txt("v=spf1 exists:%{l}.%{o}.x.example -all"),
            ("postmaster.mx.example.org.x.example", "A"): ["127.0.0.1"],
        }
    )
    result = run(resolver, sender="")
    assert (result.status, result.identity) == (PASS, "helo")
    assert result.domain == parse_domain("mx.example.org")


@pytest.mark.parametrize("mail_from", [NULL_PATH, Path("x", ip_address("192.0.2.1"))])
def test_without_domain_nothing_is_looked_up(mail_from: Path) -> None:
    resolver = ZoneResolver({})
    result = check(
        resolver,  # type: ignore[arg-type]
        remote_ip=ip_address(IP),
        mail_from=mail_from,
        helo=ip_address("2001:db8::1"),
        hostname=HOST,
    )
    assert (result.status, result.identity, result.domain) == (NONE, "", None)
    assert resolver.queries == []


def test_domains_of_other_scripts_are_looked_up_as_a_labels() -> None:
    resolver = ZoneResolver({("xn--bcher-kva.example", "TXT"): txt("v=spf1 +all")})
    assert run(resolver, "x@bücher.example").status is PASS


def test_an_ipv4_mapped_client_is_an_ipv4_client() -> None:
    assert run(zone("v=spf1 ip4:192.0.2.3 -all"), ip="::ffff:192.0.2.3").status is PASS


# RFC 7208 Appendix A.

EXAMPLE: Zone = {
    ("example.com", "A"): ["192.0.2.10", "192.0.2.11"],
    ("example.com", "MX"): ["10 mail-a.example.com.", "20 mail-b.example.com."],
    ("amy.example.com", "A"): ["192.0.2.65"],
    ("bob.example.com", "A"): ["192.0.2.66"],
    ("mail-a.example.com", "A"): ["192.0.2.129"],
    ("mail-b.example.com", "A"): ["192.0.2.130"],
    ("example.org", "MX"): ["10 mail-c.example.org."],
    ("mail-c.example.org", "A"): ["192.0.2.140"],
    ("10.2.0.192.in-addr.arpa", "PTR"): ["example.com."],
    ("65.2.0.192.in-addr.arpa", "PTR"): ["amy.example.com."],
    ("140.2.0.192.in-addr.arpa", "PTR"): ["mail-c.example.org."],
    ("4.0.0.10.in-addr.arpa", "PTR"): ["bob.example.com."],
}


@pytest.mark.parametrize(
    ("record", "ip", "expected"),
    [
        ("v=spf1 +all", "203.0.113.1", PASS),
        ("v=spf1 a -all", "192.0.2.10", PASS),
        ("v=spf1 a -all", "192.0.2.65", FAIL),
        ("v=spf1 a:example.org -all", "192.0.2.10", FAIL),
        ("v=spf1 mx -all", "192.0.2.130", PASS),
        ("v=spf1 mx -all", "192.0.2.140", FAIL),
        ("v=spf1 mx:example.org -all", "192.0.2.140", PASS),
        ("v=spf1 mx mx:example.org -all", "192.0.2.129", PASS),
        ("v=spf1 mx/30 mx:example.org/30 -all", "192.0.2.131", PASS),
        ("v=spf1 mx/30 mx:example.org/30 -all", "192.0.2.143", PASS),
        ("v=spf1 mx/30 mx:example.org/30 -all", "192.0.2.144", FAIL),
        ("v=spf1 ptr -all", "192.0.2.10", PASS),
        ("v=spf1 ptr -all", "192.0.2.65", PASS),
        ("v=spf1 ptr -all", "192.0.2.140", FAIL),
        ("v=spf1 ptr -all", "10.0.0.4", FAIL),
        ("v=spf1 ip4:192.0.2.128/28 -all", "192.0.2.65", FAIL),
        ("v=spf1 ip4:192.0.2.128/28 -all", "192.0.2.129", PASS),
    ],
)
def test_examples_of_appendix_a1(record: str, ip: str, expected: SPFStatus) -> None:
    resolver = ZoneResolver({**EXAMPLE, ("example.com", "TXT"): txt(record)})
    assert run(resolver, "x@example.com", ip).status is expected


# RFC 7208 §7.4.


@pytest.mark.parametrize(
    ("macros", "expanded"),
    [
        ("%{s}.x", "strong-bad@email.example.com.x"),
        ("%{o}.x", "email.example.com.x"),
        ("%{d}.x", "email.example.com.x"),
        ("%{d4}.x", "email.example.com.x"),
        ("%{d2}.x", "example.com.x"),
        ("%{d1}.x", "com.x"),
        ("%{dr}.x", "com.example.email.x"),
        ("%{d2r}.x", "example.email.x"),
        ("%{l}.x", "strong-bad.x"),
        ("%{l-}.x", "strong.bad.x"),
        ("%{lr-}.x", "bad.strong.x"),
        ("%{l1r-}.x", "strong.x"),
        ("%{ir}.%{v}._spf.%{d2}", "3.2.0.192.in-addr._spf.example.com"),
        ("%{lr-}.lp._spf.%{d2}", "bad.strong.lp._spf.example.com"),
        (
            "%{lr-}.lp.%{ir}.%{v}._spf.%{d2}",
            "bad.strong.lp.3.2.0.192.in-addr._spf.example.com",
        ),
        ("%{ir}.%{v}.%{l1r-}.lp._spf.%{d2}", "3.2.0.192.in-addr.strong.lp._spf.example.com"),
        ("%{d2}.trusted-domains.example.net", "example.com.trusted-domains.example.net"),
        ("%{h}%{O}.%%.%-.%_.x", "mx.example.orgemail.example.com.%.%20. .x"),
    ],
)
def test_examples_of_macros(macros: str, expanded: str) -> None:
    resolver = zone(f"v=spf1 exists:{macros} -all")
    run(resolver)
    assert asked(resolver)[1] == expanded


def test_example_of_macros_for_ipv6() -> None:
    resolver = zone("v=spf1 exists:%{ir}.%{v}._spf.%{d2} -all")
    run(resolver, ip="2001:db8::cb01")
    nibbles = "1.0.b.c.0.0.0.0.0.0.0.0.0.0.0.0.0.0.0.0.0.0.0.0.8.b.d.0.1.0.0.2"
    assert asked(resolver)[1] == f"{nibbles}.ip6._spf.example.com"


# Where pyspf alone would do something else.

TEN = " ".join(f"a:a{i}.example" for i in range(10))
TEN_HOSTS: Zone = {(f"a{i}.example", "A"): ["198.51.100.1"] for i in range(10)}


@pytest.mark.parametrize(
    ("record", "expected"),
    [
        (f"v=spf1 {TEN} redirect=other.example", PERMERROR),
        (f"v=spf1 {TEN} ip4:{IP} redirect=other.example", PASS),
        (f"v=spf1 {TEN} -all redirect=other.example", FAIL),
        (f"v=spf1 {TEN.removeprefix('a:a0.example ')} redirect=other.example", PASS),
    ],
)
def test_redirect_counts_when_it_is_followed(record: str, expected: SPFStatus) -> None:
    more = {**TEN_HOSTS, ("other.example", "TXT"): txt(f"v=spf1 ip4:{IP} -all")}
    assert run(zone(record, more)).status is expected


@pytest.mark.parametrize(
    "record",
    [
        "v=spf1 REDIRECT=other.example",
        "v=spf1 ReDirect=other.example foo=%{c}",
        "V=SPF1 redirect=other.example",
        "v=spf1 Include:other.example -ALL",
    ],
)
def test_names_are_read_in_any_case(record: str) -> None:
    more: Zone = {("other.example", "TXT"): txt(f"v=spf1 ip4:{IP} -all")}
    assert run(zone(record, more)).status is PASS


@pytest.mark.parametrize(
    "terms",
    [
        "exists:%{d0}.example",
        "exists:%{dx}.example",
        "exists:%{d2x}.example",
        "exists:%{z}.example",
        "exists:%{d",
        "exists:%.example",
        "exists:%{c}.example",
        "exists:a..%{r}",
        "a:example",
        "a:example.123",
        "a:x.example/33",
        "a:x.example/24/64",
        "a:x.example//129",
        "a:x.example/01",
        "a:",
        "a.example",
        "mx:%%{d}x",
        "ip4:192.0.2",
        "ip4:192.0.2.1/",
        "ip4:192.0.2.01",
        "ip4:192.0.2.1/33",
        "ip6:2001:db8::/129",
        "ip6:fe80::1%eth0",
        "ip6:192.0.2.1",
        "all:x.example",
        "all/24",
        "include",
        "exists",
        "ptr/24",
        "ptr:x.example/24",
        "+-all",
        "=x",
        "-redirect=x.example",
        "redirect=x.example redirect=y.example",
        "exp=x.example EXP=y.example",
        "redirect=",
        "exp=%{x}",
        "unknown",
        "foo=%{x}",
        "a:x.example\ta:y.example",
    ],
)
def test_a_syntax_error_anywhere_is_an_error(terms: str) -> None:
    resolver = zone(f"v=spf1 +all {terms}")
    result = run(resolver)
    assert result.status is PERMERROR, result
    assert result.problem.startswith("SPF record of email.example.com: ")
    assert asked(resolver) == ["email.example.com"]


@pytest.mark.parametrize("record", [b"v=spf1 \xc3\xa9", b"v=spf1 a:\xff.example", b"v=spf1 \x00"])
def test_records_that_are_not_printable_ascii_are_errors(record: bytes) -> None:
    assert run(zone(record)).status is PERMERROR


@pytest.mark.parametrize("record", ["v=spf10", "v=spf1\n", "v=spf1\t-all", " v=spf1", "spf1"])
def test_other_records_are_none(record: str) -> None:
    assert run(zone(record)).status is NONE


def test_a_very_long_record_is_an_error() -> None:
    record = "v=spf1 " + " ".join(f"ip4:10.0.{i}.0/24" for i in range(210))
    assert run(zone(record)).status is NEUTRAL
    assert run(zone(record + " " * 600)).status is PERMERROR


def test_terms_behind_a_match_are_not_looked_at() -> None:
    resolver = zone("v=spf1 +all exists:%{p}.x.example include:%{d} exp=%{p}.y.example")
    assert run(resolver).status is PASS
    assert asked(resolver) == ["email.example.com"]


@pytest.mark.parametrize("failing", [("3.2.0.192.in-addr.arpa", "PTR"), ("host.example", "A")])
def test_trouble_with_ptr_is_no_match(failing: tuple[str, str]) -> None:
    more: Zone = {
        ("3.2.0.192.in-addr.arpa", "PTR"): ["host.example."],
        ("host.example", "A"): [IP],
        failing: ["TIMEOUT"],
    }
    assert run(zone("v=spf1 ptr:host.example ~all", more)).status is SOFTFAIL
    resolver = zone("v=spf1 exists:%{p}.x.example -all", more)
    assert run(resolver).status is FAIL
    assert asked(resolver)[-1] == "unknown.x.example"


def test_macro_p_prefers_the_domain_and_what_is_below() -> None:
    more: Zone = {
        ("3.2.0.192.in-addr.arpa", "PTR"): ["a.example.", "sub.email.example.com.", "b.example."],
        ("a.example", "A"): [IP],
        ("sub.email.example.com", "A"): [IP],
        ("inc.example", "TXT"): txt("v=spf1 exists:%{p}.y.example"),
    }
    resolver = zone("v=spf1 exists:%{p}.x.example include:inc.example -all", more)
    run(resolver)
    names = [name for name in asked(resolver) if name.endswith((".x.example", ".y.example"))]
    assert names == ["sub.email.example.com.x.example", "a.example.y.example"]


def test_macro_p_counts_as_a_look_up() -> None:
    nine = " ".join(f"a:a{i}.example" for i in range(9))
    assert run(zone(f"v=spf1 {nine} exists:x.example", TEN_HOSTS)).status is NEUTRAL
    assert run(zone(f"v=spf1 {nine} exists:%{{p}}.x.example", TEN_HOSTS)).status is PERMERROR


def test_long_names_lose_labels_from_the_left() -> None:
    label = "a" * 60
    resolver = zone(f"v=spf1 exists:{'.'.join([label] * 7)}.%{{d}} -all")
    run(resolver)
    assert asked(resolver)[1] == ".".join([label] * 3) + ".email.example.com"


def test_included_domains_are_not_expanded_again() -> None:
    more: Zone = {("%{d}.inc.example", "TXT"): txt("v=spf1 a -all")}
    resolver = zone("v=spf1 include:%{l}.inc.example -all", more)
    run(resolver, '"%{d}"@email.example.com')
    assert resolver.queries[-1] == ("%{d}.inc.example", "A")


def test_a_quoted_localpart_may_have_an_at_sign() -> None:
    resolver = zone("v=spf1 exists:%{l}.x.example -all")
    result = run(resolver, '"a@b"@email.example.com')
    assert result.status is FAIL
    assert asked(resolver)[1] == "a@b.x.example"


def test_terms_with_a_localpart_in_another_script_match_nothing() -> None:
    """RFC 8616 §4."""
    resolver = zone("v=spf1 exists:%{l}.x.example exists:%{s2}.x.example ?all", {})
    assert run(resolver, "jörg@email.example.com").status is NEUTRAL
    assert len(resolver.queries) == 1


# Limits.


def mx(count: int, ip: str, at: int) -> Zone:
    found: Zone = {(f"mx{i}.example", "A"): ["198.51.100.1"] for i in range(count)}
    found["email.example.com", "MX"] = [f"{i} mx{i}.example." for i in range(count)]
    found[f"mx{at}.example", "A"] = [ip]
    return found


def test_mx_hosts_are_looked_up_until_one_matches() -> None:
    resolver = zone("v=spf1 mx -all", mx(12, IP, 2))
    assert run(resolver).status is PASS
    assert asked(resolver)[2:] == ["mx0.example", "mx1.example", "mx2.example"]


def test_an_eleventh_mx_host_is_an_error() -> None:
    resolver = zone("v=spf1 mx -all", mx(11, IP, 10))
    assert run(resolver).status is PERMERROR
    assert len(resolver.queries) == 12
    assert run(zone("v=spf1 mx -all", mx(10, IP, 9))).status is PASS


@pytest.mark.parametrize(
    ("record", "ip", "expected"),
    [
        ("v=spf1 a:v1.example a:v2.example -all", IP, FAIL),
        ("v=spf1 a:v1.example a:v2.example a:v3.example -all", IP, PERMERROR),
        ("v=spf1 a:v4.example a:v4.example mx -all", IP, PERMERROR),
        # Hosts without IPv6 address are ordinary.
        ("v=spf1 a:v6.example a:v6.example a:v6.example -all", "2001:db8::1", FAIL),
        ("v=spf1 a:v1.example a:v2.example a:v3.example -all", "2001:db8::1", PERMERROR),
    ],
)
def test_two_void_look_ups_are_allowed(record: str, ip: str, expected: SPFStatus) -> None:
    more: Zone = {("v4.example", "TXT"): txt("x"), ("v6.example", "A"): ["192.0.2.200"]}
    assert run(zone(record, more), ip=ip).status is expected


@pytest.mark.parametrize(
    "record",
    [
        "v=spf1 include:email.example.com -all",
        "v=spf1 redirect=email.example.com",
        "v=spf1 include:loop.example -all",
    ],
)
def test_loops_end(record: str) -> None:
    resolver = zone(record, {("loop.example", "TXT"): txt("v=spf1 include:email.example.com -all")})
    assert run(resolver).status is PERMERROR
    assert len(resolver.queries) <= 11


def test_the_whole_check_has_a_time_limit() -> None:
    now = [0.0]

    def slow(name: str, rdtype: str) -> None:
        now[0] += 6.0

    resolver = zone(f"v=spf1 {TEN} -all", TEN_HOSTS)
    resolver.before = slow
    result = run(resolver, clock=lambda: now[0])
    assert (result.status, result.problem) == (TEMPERROR, "the check took too long")
    assert len(resolver.queries) == 4


def test_each_look_up_gets_the_time_that_is_left() -> None:
    now, limits = [0.0], []

    class Timed(ZoneResolver):
        def query(self, name: str, rdtype: str, timeout_s: float | None = None) -> Any:
            limits.append(timeout_s)
            now[0] += 5
            return super().query(name, rdtype, timeout_s)

    resolver = Timed({("email.example.com", "TXT"): txt("v=spf1 a mx -all")})
    run(resolver, clock=lambda: now[0])
    assert limits == [20.0, 15.0, 10.0]


@pytest.mark.parametrize("record", ["v=spf1 a:t.example -all", "v=spf1 include:t.example -all"])
def test_trouble_with_dns_is_temporary(record: str) -> None:
    result = run(zone(record, {("t.example", "A"): ["TIMEOUT"], ("t.example", "TXT"): ["TIMEOUT"]}))
    assert result.status is TEMPERROR
    assert "t.example" in result.problem


# Explanation, authenticity.


def explained(text: str | bytes, sender: str = "strong-bad@email.example.com") -> str:
    more: Zone = {("why.example", "TXT"): txt(text)}
    result = run(zone("v=spf1 -all exp=why.example", more), sender)
    assert result.status is FAIL
    return result.explanation


def test_explanations_are_expanded() -> None:
    text = "%{i} (%{c}) is not of %{d}, says %{r} at %{t}. See http://e.example/%{S}"
    assert explained(text) == (
        "192.0.2.3 (192.0.2.3) is not of email.example.com, says receiver.example at 1800000000. "
        "See http://e.example/strong-bad%40email.example.com"
    )


def test_long_explanations_are_cut_at_the_end() -> None:
    assert explained("a. " * 400) == ("a. " * 400)[:800]
    assert explained("%{s}" * 300) == ("strong-bad@email.example.com" * 300)[:800]
    assert explained("x" * 1601) == ""


@pytest.mark.parametrize("text", ["%{x}", "%", "caf\u00e9", b"\x1b[31m", b"a\r\nb", b"\xff"])
def test_explanations_that_are_no_text_are_left_out(text: str | bytes) -> None:
    assert explained(text) == ""


def test_what_macros_bring_into_an_explanation_is_made_printable() -> None:
    assert explained("for %{l}", "jörg@email.example.com") == "for j?rg"


def test_an_explanation_that_cannot_be_fetched_leaves_the_fail() -> None:
    for records in (["TIMEOUT"], [*txt("a"), *txt("b")], []):
        result = run(zone("v=spf1 -all exp=why.example", {("why.example", "TXT"): records}))
        assert (result.status, result.explanation) == (FAIL, "")


def test_explanations_of_included_domains_are_not_used() -> None:
    more: Zone = {
        ("inc.example", "TXT"): txt("v=spf1 -all exp=theirs.example"),
        ("theirs.example", "TXT"): txt("theirs"),
        ("ours.example", "TXT"): txt("ours"),
    }
    resolver = zone("v=spf1 include:inc.example -all exp=ours.example", more)
    assert run(resolver).explanation == "ours"
    resolver = zone("v=spf1 redirect=inc.example exp=ours.example", more)
    assert run(resolver).explanation == "theirs"


def test_a_result_is_authentic_when_all_answers_are() -> None:
    resolver = zone("v=spf1 a:x.example -all", {("x.example", "A"): [IP]})
    assert not run(resolver).authentic
    resolver.is_authentic = True
    assert run(resolver).authentic

    def turn(name: str, rdtype: str) -> None:
        resolver.is_authentic = rdtype == "TXT"

    resolver.before = turn
    assert not run(resolver).authentic


def test_checks_at_the_same_time_do_not_mix() -> None:
    """Each has its own name servers, limits and results."""
    results: dict[int, SPFResult] = {}
    meet = threading.Barrier(8)

    def one(number: int) -> None:
        resolver = zone(f"v=spf1 a:x.example {'?' if number % 2 else '-'}all")

        def together(name: str, rdtype: str) -> None:
            meet.wait(10)

        resolver.before = together
        resolver.is_authentic = number < 4
        results[number] = run(resolver)

    threads = [threading.Thread(target=one, args=(number,)) for number in range(8)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    for number in range(8):
        expected = NEUTRAL if number % 2 else FAIL
        assert (results[number].status, results[number].authentic) == (expected, number < 4)


# The record alone.


@pytest.mark.parametrize(
    ("records", "status"),
    [
        (txt("v=spf1 -all"), NEUTRAL),
        (txt("other"), NONE),
        ([*txt("v=spf1 -all"), *txt("v=spf1 +all")], PERMERROR),
        (txt("v=spf1 what"), PERMERROR),
        (txt(b"v=spf1 \xff"), PERMERROR),
        (["TIMEOUT"], TEMPERROR),
    ],
)
def test_lookup(records: list[Any], status: SPFStatus) -> None:
    found = lookup(ZoneResolver({("x.example", "TXT"): records}), parse_domain("x.example"))  # type: ignore[arg-type]
    assert found.status is status
    assert (found.record is not None) is (status is NEUTRAL)
    assert bool(found.problem) is (status is not NEUTRAL)
