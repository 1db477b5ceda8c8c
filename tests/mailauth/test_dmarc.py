"""DMARC evaluations against a name server of ours."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

import pytest

from mox.address import parse_domain
from mox.dns import Resolver
from mox.mailauth.dmarc import MAX_IDENTIFIERS, evaluate
from mox.mailauth.results import DKIMResult, DKIMStatus, DMARCResult, SPFResult, SPFStatus
from tests.support.fakedns import FakeDNS

Case = dict[str, list[str]]

TABLE = Path(__file__).parent / "cases/dmarc.txt"
REJECT = "v=DMARC1;p=reject"


def read_cases() -> dict[str, Case]:
    """The table, by "section: name"; the form is described there."""
    cases: dict[str, Case] = {}
    section = name = ""
    for line in TABLE.read_text().splitlines():
        if line.startswith("## "):
            section = line[3:].partition(":")[0]
        elif line.startswith("  "):
            key, _, value = line.strip().partition(" ")
            cases[name].setdefault(key, []).append(value.strip())
        elif line and not line.startswith("#"):
            name = f"{section}: {line}"
            assert name not in cases
            cases[name] = {}
    return cases


CASES = read_cases()


@pytest.fixture(scope="module")
def server() -> Iterator[FakeDNS]:
    with FakeDNS({}) as server:
        yield server


def publish(server: FakeDNS, case: Case) -> Resolver:
    """Give the server a new zone; returns a resolver that knows nothing yet."""
    server.zone.clear()
    server.queries.clear()
    for domain, _, text in (line.partition(" ") for line in case.get("dns", [])):
        key = (f"_dmarc.{parse_domain(domain).ascii}", "TXT")
        server.zone.setdefault(key, []).append(text if text == "SERVFAIL" else f'"{text}"')
    server.zone.update({(name, "MX"): ["10 mx.example.net."] for name in case.get("exists", [])})
    server.zone.update({(name, "MX"): ["SERVFAIL"] for name in case.get("fails", [])})
    return Resolver(server=server.server)


def spf_result(words: list[str]) -> SPFResult:
    if not words:
        return SPFResult(SPFStatus.NONE)
    identity = "helo" if "helo" in words else "mailfrom"
    return SPFResult(SPFStatus(words[0]), identity, parse_domain(words[-1]))


def dkim_result(text: str) -> DKIMResult:
    status, _, name = text.partition(" ")
    return DKIMResult(DKIMStatus(status), None if name == "-" else parse_domain(name))


def outcome(result: DMARCResult, with_org: bool) -> str:
    """A result in the table's form."""
    parts = [result.status.value, result.policy]
    parts += ["rejects"] if result.rejects else []
    parts += ["tested"] if result.policy_test_mode else []
    parts += ["spf"] if result.aligned_spf else []
    parts += ["dkim"] if result.aligned_dkim else []
    parts += [f"@{result.record_domain.ascii}"] if result.record_domain else []
    if with_org:
        organizational = result.organizational_domain
        parts += [f"org={organizational.ascii if organizational else None}"]
    return " ".join(parts)


@pytest.mark.parametrize("name", CASES)
def test_evaluation(server: FakeDNS, name: str) -> None:
    case = CASES[name]
    author = parse_domain(case["from"][0]) if "from" in case else None
    result = evaluate(
        publish(server, case),
        author,
        spf_result("".join(case.get("spf", [])).split()),
        [dkim_result(text) for text in case.get("dkim", [])],
        rule="rfc7489" if name.startswith("RFC 7489") else "rfc9989",
    )
    expected = case["expect"][0]
    assert outcome(result, "org=" in expected) == expected
    assert result.header_from == author
    assert result.percent == int(case.get("percent", ["100"])[0])
    assert case.get("problem", [""])[0] in result.problem
    has_policy = result.record_domain is not None and result.status != "permerror"
    assert (result.record is not None) == has_policy
    if "queries" in case:
        assert len(server.queries) == int(case["queries"][0])


def test_table_is_large() -> None:
    assert len([name for name in CASES if name.startswith("RFC 9989")]) >= 100


def test_deep_name_is_walked_as_the_rfc_shows(server: FakeDNS) -> None:
    # RFC 9989 §4.10: the list of eight queries.
    resolver = publish(server, {})
    author = parse_domain("a.b.c.d.e.f.g.h.i.j.mail.example.com")
    evaluate(resolver, author, SPFResult(SPFStatus.NONE), [])
    assert [name for name, _ in server.queries] == [
        "_dmarc.a.b.c.d.e.f.g.h.i.j.mail.example.com",
        "_dmarc.g.h.i.j.mail.example.com",
        "_dmarc.h.i.j.mail.example.com",
        "_dmarc.i.j.mail.example.com",
        "_dmarc.j.mail.example.com",
        "_dmarc.mail.example.com",
        "_dmarc.example.com",
        "_dmarc.com",
    ]


def test_many_signers_cost_a_bounded_number_of_queries(server: FakeDNS) -> None:
    resolver = publish(server, {"dns": [f"example.com {REJECT}"]})
    signers = [
        DKIMResult(DKIMStatus.PASS, parse_domain(f"a.b.c.d.e.s{n}.evil.com")) for n in range(200)
    ]
    below = [
        DKIMResult(DKIMStatus.TEMPERROR, parse_domain(f"a.b.c.d.e.s{n}.example.com"))
        for n in range(200)
    ]
    author = parse_domain("example.com")
    result = evaluate(resolver, author, SPFResult(SPFStatus.NONE), [*below, *signers])
    assert result.status == "temperror"
    assert len(server.queries) <= 2 + MAX_IDENTIFIERS * 6


def test_name_that_has_no_room_for_the_label_has_no_record(server: FakeDNS) -> None:
    resolver = publish(server, {})
    author = parse_domain(".".join(["a" * 61] * 4))
    assert evaluate(resolver, author, SPFResult(SPFStatus.NONE), []).status == "none"


@pytest.mark.parametrize("authentic", [True, False])
def test_dnssec_is_told(authentic: bool) -> None:
    with FakeDNS({("_dmarc.example.com", "TXT"): ['"v=DMARC1;p=none"']}, authentic=authentic) as s:
        resolver = Resolver(server=s.server)
        for author in ("example.com", "a.b.example.com"):
            result = evaluate(resolver, parse_domain(author), SPFResult(SPFStatus.NONE), [])
            assert result.authentic is authentic


def test_record_keeps_its_text_and_addresses(server: FakeDNS) -> None:
    text = "v=DMARC1; p=none; rua=mailto:Reports@Example.com!5k"
    resolver = publish(server, {"dns": [f"example.com {text}"]})
    result = evaluate(resolver, parse_domain("example.com"), SPFResult(SPFStatus.NONE), [])
    assert result.record is not None
    assert result.record.text == text
    assert result.record.aggregate_reports == (("mailto:Reports@Example.com", 5120),)


class Ticking:
    """A clock that goes on by `step` with each look at it."""

    def __init__(self, step: float) -> None:
        self.step = step
        self.now = 0.0

    def __call__(self) -> float:
        self.now += self.step
        return self.now


@pytest.mark.parametrize("rule", ["rfc9989", "rfc7489"])
def test_time_that_has_passed_is_a_temporary_error(server: FakeDNS, rule: str) -> None:
    resolver = publish(server, {"dns": [f"example.com {REJECT}"]})
    author = parse_domain("a.b.c.example.com")
    spf = SPFResult(SPFStatus.NONE)
    result = evaluate(
        resolver,
        author,
        spf,
        [],
        rule="rfc9989" if rule == "rfc9989" else "rfc7489",
        timeout_s=15,
        clock=Ticking(10),
    )
    assert (result.status, result.rejects) == ("temperror", False)
    assert "no time left" in result.problem
    assert len(server.queries) == 1


def test_name_server_that_does_not_answer_takes_the_time_limit_only(server: FakeDNS) -> None:
    resolver = publish(server, {})
    server.zone[("_dmarc.example.com", "TXT")] = ["DROP"]
    author = parse_domain("example.com")
    result = evaluate(resolver, author, SPFResult(SPFStatus.NONE), [], timeout_s=0.2)
    assert (result.status, result.rejects) == ("temperror", False)
    assert result.problem.startswith("_dmarc.example.com TXT: ")
