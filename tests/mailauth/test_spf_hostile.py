"""No record and no DNS answer makes a check raise or pass its limits."""

from __future__ import annotations

import random
from ipaddress import ip_address

from hypothesis import given
from hypothesis import strategies as st

from mox.address import NULL_PATH, Path, parse_domain
from mox.dns import Answer, Status
from mox.dns.record import Record
from mox.mailauth import iprev
from mox.mailauth.receivedspf import received_spf
from mox.mailauth.results import SPFStatus
from mox.mailauth.spf import TIMEOUT_S, check, lookup
from mox.mailauth.spfrecord import SPFSyntaxError, parse_record
from tests.support.dnsrecords import record_of, txt_of

# The record; ten terms with ten hosts each and a query of their own; an explanation.
MAX_QUERIES = 1 + 10 * 11 + 2
LONGEST_S = 9.0

DOMAIN = parse_domain("email.example.com")
PIECES = r"""
    v=spf1 all a mx ptr ip4: ip6: include: exists: redirect= exp= unknown= foo + - ~ ? : / // = .
    % %% %_ %- %{ } %{s} %{l} %{o} %{d} %{i} %{p} %{v} %{h} %{c} %{r} %{t} %{L2r-} %{d0} %{ir.-}
    example.com x.example a.example. 192.0.2.3 192.0.2.0/24 2001:db8::/32 ::1 ::ffff:192.0.2.3 /0
    /33 /24//64 \ " , ; ( é %{d}.%{d}.%{d}.%{d}.%{d}.%{d}.%{d}.%{d}.%{d}.%{d}
"""
FRAGMENTS = st.sampled_from([*PIECES.split(), "\x00", "\x7f", "\t"])
TERMS = st.lists(FRAGMENTS, min_size=1, max_size=5).map("".join)
RECORDS = st.lists(TERMS, max_size=14).map(lambda terms: " ".join(["v=spf1", *terms]))
VALID = """
    all -all a mx ptr a/24//64 mx:x.example include:y.example include:%{d} exists:%{i}.x.example
    exists:%{p}.%{l}.example redirect=z.example redirect=%{o} exp=why.example exp=%{p}.x.example
    ip4:192.0.2.0/24 ip6:2001:db8::/32 ?a:%{d2} ~mx:%{h} ptr:example.com foo=bar
"""
SENSIBLE = st.sampled_from(VALID.split())
MOSTLY_VALID = st.lists(SENSIBLE, max_size=14, unique=True).map(
    lambda terms: " ".join(["v=spf1", *terms])
)
TEXTS = st.one_of(RECORDS, MOSTLY_VALID, MOSTLY_VALID, st.text(max_size=60))


class RandomResolver:
    """Answers at random, and lets time pass with each answer."""

    def __init__(self, seed: int, texts: list[str]) -> None:
        self._chance = random.Random(seed)
        self._texts = texts
        self.now = 0.0
        self.queries = 0

    def query(self, name: str, rdtype: str, timeout_s: float | None = None) -> Answer:
        assert timeout_s is None or timeout_s > 0
        self.queries += 1
        self.now += self._chance.choice((0, 0, 0, 0, 0.1, 1, LONGEST_S))
        authentic = self._chance.random() < 0.5
        roll = self._chance.random()
        if self.queries > 1 and roll < 0.15:
            return Answer(Status.TEMPORARY, error=f"{name} \x1b failed")
        if self.queries > 1 and roll < 0.3:
            return Answer(self._chance.choice((Status.NODATA, Status.NXDOMAIN)), (), authentic)
        count = self._chance.choice((1, 1, 1, 2, 12, 40)) if self.queries > 1 else 1
        records = tuple(self._record(rdtype) for _ in range(count))
        return Answer(Status.OK, records, authentic, 60, name)

    def _record(self, rdtype: str) -> Record:
        if rdtype == "TXT":
            text = self._chance.choice(self._texts).encode("utf-8", "replace")
            parts = [text[i : i + 255] for i in range(0, len(text), 255)] or [b""]
            return txt_of(parts)
        choices = {
            "A": ("192.0.2.3", "198.51.100.1"),
            "AAAA": ("2001:db8::1", "::ffff:192.0.2.3"),
            "MX": ("10 x.example.", "10 .", "0 a\\000b.example.", "5 y.example."),
            "PTR": ("x.example.", ".", "a\\.b.example.", "sub.email.example.com."),
        }
        return record_of(rdtype, self._chance.choice(choices[rdtype]))


@given(
    st.integers(0, 2**32),
    st.lists(TEXTS, min_size=1, max_size=4),
    st.sampled_from(["192.0.2.3", "2001:db8::1", "::ffff:192.0.2.3"]),
    st.text(max_size=30),
)
def test_spf(seed: int, texts: list[str], ip: str, localpart: str) -> None:
    resolver = RandomResolver(seed, texts)
    path = Path(localpart, DOMAIN) if localpart else NULL_PATH
    result = check(
        resolver,  # type: ignore[arg-type]
        remote_ip=ip_address(ip),
        mail_from=path,
        helo=DOMAIN,
        hostname=DOMAIN,
        clock=lambda: resolver.now,
    )
    assert resolver.queries <= MAX_QUERIES
    # The look-up under way may end late; the explanation is one more.
    assert resolver.now <= TIMEOUT_S + 2 * LONGEST_S
    assert bool(result.problem) is (result.status in (SPFStatus.TEMPERROR, SPFStatus.PERMERROR))
    for text in (result.problem, result.explanation):
        assert text.isascii()
        assert text.isprintable()
        assert len(text) <= 800
    assert result.explanation == "" or result.status is SPFStatus.FAIL
    field = received_spf(
        result, remote_ip=ip_address(ip), mail_from=path, helo=DOMAIN, hostname=DOMAIN
    )
    assert field.count(b"\n") == field.count(b"\r\n\t") + 1


@given(st.integers(0, 2**32), st.sampled_from(["192.0.2.3", "2001:db8::1"]))
def test_iprev(seed: int, ip: str) -> None:
    resolver = RandomResolver(seed, ["x"])
    result = iprev.check(resolver, ip_address(ip), clock=lambda: resolver.now)  # type: ignore[arg-type]
    assert resolver.queries <= 11
    assert resolver.now <= iprev.TIMEOUT_S + LONGEST_S
    assert result.hostname == "" or result.hostname in result.hostnames
    assert all(name.isascii() and name.isprintable() for name in result.hostnames)


@given(TEXTS)
def test_a_record_is_read_or_refused(text: str) -> None:
    try:
        record = parse_record(text)
    except SPFSyntaxError as e:
        assert str(e).isprintable()
        return
    again = " ".join(
        [
            "v=spf1",
            *(directive.text for directive in record.directives),
            *([f"redirect={record.redirect}"] if record.redirect else []),
            *([f"exp={record.explanation}"] if record.explanation else []),
            *(f"{name}={value}" for name, value in record.unknown),
        ]
    )
    assert parse_record(again).directives == record.directives


@given(st.integers(0, 2**32), st.lists(TEXTS, min_size=1, max_size=2))
def test_lookup_gives_a_record_or_a_problem(seed: int, texts: list[str]) -> None:
    found = lookup(RandomResolver(seed, texts), DOMAIN)  # type: ignore[arg-type]
    assert (found.record is None) is bool(found.problem)
