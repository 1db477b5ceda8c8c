"""`mox dns …`, `mox spf …` and `mox dnsbl …` against a name server of ours."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from typing import NamedTuple

import pytest

from mox.cli import dns, dnsbl, spf
from mox.cli.arguments import find, parse
from mox.errors import MoxError
from tests.support.fakedns import FakeDNS, Mischief

COMMANDS = [*dns.COMMANDS, *spf.COMMANDS, *dnsbl.COMMANDS]

ZONE = {
    ("example.com", "MX"): ["10 mx.example.com."],
    ("example.com", "NS"): ["ns.example.com."],
    ("example.com", "TXT"): ['"v=spf1 ip4:192.0.2.0/24 mx -all exp=why.example.com"', '"other"'],
    ("why.example.com", "TXT"): ['"%{i} is not of %{d}"'],
    ("mx.example.com", "A"): ["198.51.100.1"],
    ("mx.example.com", "AAAA"): ["2001:db8::1"],
    ("www.example.com", "CNAME"): ["mx.example.com."],
    ("xn--bcher-kva.example", "A"): ["192.0.2.9"],
    ("9.2.0.192.in-addr.arpa", "PTR"): ["mx.example.com."],
    ("_25._tcp.mx.example.com", "TLSA"): ["3 1 1 " + "ab" * 32],
    ("_imaps._tcp.example.com", "SRV"): ["0 1 993 mx.example.com."],
    ("servfail.example", "TXT"): ["SERVFAIL"],
    ("servfail.example", "A"): ["SERVFAIL"],
    ("wrong.example", "TXT"): ['"v=spf1 mx:"'],
    ("two.example", "TXT"): ['"v=spf1 -all"', '"v=spf1 +all"'],
    ("2.0.0.127.good.list", "A"): ["127.0.0.2"],
    ("9.2.0.192.good.list", "A"): ["127.0.0.4"],
    ("9.2.0.192.good.list", "TXT"): ['"see https://list.example/"'],
    ("8.2.0.192.good.list", "A"): ["SERVFAIL"],
    ("1.0.0.127.all.list", "A"): ["127.0.0.2"],
    ("empty.list", "A"): ["127.0.0.1"],
}


class Ran(NamedTuple):
    status: int
    out: str
    err: str


Run = Callable[..., Ran]


@pytest.fixture
def run(monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]) -> Iterator[Run]:
    """Run a command in this process; what leaves it as an error is in `err`."""
    mischief = Mischief(insecure={"mx.example.com"})
    with FakeDNS(ZONE, authentic=True, mischief=mischief) as server:
        monkeypatch.setenv("MOX_DNS_SERVER", server.server)

        def run(*words: str) -> Ran:
            command, rest = find(COMMANDS, words)
            try:
                status, raised = command.run(parse(command, rest)), ""
            except MoxError as e:
                status, raised = 1, str(e)
            captured = capsys.readouterr()
            return Ran(status, captured.out, captured.err + raised)

        yield run


@pytest.mark.parametrize(
    ("words", "out"),
    [
        (("dns", "lookup", "mx", "example.com"), "10 mx.example.com.\n(with dnssec)\n"),
        (("dns", "lookup", "ns", "Example.COM."), "ns.example.com.\n(with dnssec)\n"),
        (("dns", "lookup", "a", "mx.example.com"), "198.51.100.1\n(without dnssec)\n"),
        (
            ("dns", "lookup", "ips", "mx.example.com"),
            "2001:db8::1\n198.51.100.1\n(without dnssec)\n",
        ),
        (
            ("dns", "lookup", "a", "www.example.com"),
            "alias of mx.example.com\n198.51.100.1\n(with dnssec)\n",
        ),
        (("dns", "lookup", "cname", "www.example.com"), "mx.example.com.\n(with dnssec)\n"),
        (("dns", "lookup", "a", "bücher.example"), "192.0.2.9\n(with dnssec)\n"),
        (("dns", "lookup", "ptr", "192.0.2.9"), "mx.example.com.\n(with dnssec)\n"),
        (
            ("dns", "lookup", "tlsa", "_25._tcp.mx.example.com"),
            f"3 1 1 {'ab' * 32}\n(with dnssec)\n",
        ),
        (
            ("dns", "lookup", "srv", "_imaps._tcp.example.com"),
            "0 1 993 mx.example.com.\n(with dnssec)\n",
        ),
        (("dns", "lookup", "txt", "why.example.com"), '"%{i} is not of %{d}"\n(with dnssec)\n'),
        (
            ("spf", "check", "example.com", "192.0.2.1"),
            "pass (with dnssec)\nmechanism: ip4:192.0.2.0/24\n",
        ),
        (
            ("spf", "check", "example.com", "198.51.100.1"),
            "pass (without dnssec)\nmechanism: mx\n",
        ),
        (
            ("spf", "check", "example.com", "203.0.113.1"),
            "fail (without dnssec)\nmechanism: -all\nexplanation: 203.0.113.1 is not of "
            "example.com\n",
        ),
        (("spf", "check", "nothing.example", "203.0.113.1"), "none (with dnssec)\n"),
        (
            ("spf", "lookup", "example.com"),
            "v=spf1 ip4:192.0.2.0/24 mx -all exp=why.example.com (with dnssec)\n",
        ),
        (
            (
                "spf",
                "parse",
                "v=spf1 ?ip6:2001:db8::/32 a:b.example/24//64 mx ~exists:%{i}.x.example "
                "redirect=_spf.example exp=e.example foo=bar",
            ),
            "neutral: ip6 2001:db8::/32\npass: a b.example/24//64\npass: mx\n"
            "softfail: exists %{i}.x.example\notherwise: record of _spf.example\n"
            "explanation of a fail: at e.example\nunknown modifier, ignored: foo=bar\n",
        ),
        (("spf", "parse", "v=spf1 a/24"), "pass: a /24\notherwise: neutral\n"),
        (("dnsbl", "check", "good.list", "192.0.2.1"), "192.0.2.1 is not listed in good.list\n"),
        (
            ("dnsbl", "check", "good.list", "192.0.2.9"),
            "192.0.2.9 is listed in good.list: 127.0.0.4\nexplanation: see https://list.example/\n",
        ),
        (("dnsbl", "checkhealth", "good.list"), "good.list works\n"),
    ],
)
def test_what_is_printed(run: Run, words: tuple[str, ...], out: str) -> None:
    assert run(*words) == (0, out, "")


@pytest.mark.parametrize(
    ("words", "err"),
    [
        (("dns", "lookup", "a", "absent.example"), "absent.example: no such name (with dnssec)"),
        (("dns", "lookup", "cname", "example.com"), "no records of this type (with dnssec)"),
        (("dns", "lookup", "a", "servfail.example"), "SERVFAIL"),
        (("dns", "lookup", "ptr", "example.com"), "not an IP address: example.com"),
        (("dns", "lookup", "a", "bü..cher"), "empty domain label"),
        (("spf", "lookup", "absent.example"), "absent.example: no SPF record (with dnssec)"),
        (("spf", "lookup", "two.example"), "more than one SPF record"),
        (("spf", "lookup", "servfail.example"), "looking up SPF for servfail.example"),
        (("spf", "lookup", "wrong.example"), "not a complete domain: 'mx:'"),
        (("spf", "parse", "v=spf2"), "does not begin with v=spf1"),
        (("spf", "check", "example.com", "x"), "not an IP address: x"),
        (("dnsbl", "check", "good.list", "192.0.2.8"), "SERVFAIL"),
        (("dnsbl", "checkhealth", "all.list"), "all.list is not usable: 127.0.0.1 is listed"),
        (("dnsbl", "checkhealth", "empty.list"), "127.0.0.2 is not listed"),
    ],
)
def test_what_fails_says_why(run: Run, words: tuple[str, ...], err: str) -> None:
    ran = run(*words)
    assert ran.status == 1
    assert err in ran.err


def test_errors_of_spf_are_results_with_status_1(run: Run) -> None:
    ran = run("spf", "check", "two.example", "192.0.2.1")
    assert (ran.status, ran.err) == (1, "")
    assert ran.out.startswith("permerror (with dnssec)\nproblem: more than one SPF record")
    assert run("spf", "check", "servfail.example", "192.0.2.1").out.startswith("temperror")


def test_other_types_of_records_are_wrong_usage(run: Run) -> None:
    assert "invalid choice: 'any'" in run("dns", "lookup", "any", "example.com").err
