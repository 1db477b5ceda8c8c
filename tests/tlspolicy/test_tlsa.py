"""TLSA records: which can be used, and where they are looked for."""

from __future__ import annotations

import pytest
from cryptography.hazmat.primitives.serialization import Encoding

from mox.dns import Answer, Status
from mox.tlspolicy.tlsa import (
    NO_TLSA,
    TLSA,
    Destination,
    MailHost,
    TLSALookup,
    base_domains,
    lookup,
    reference_names,
)
from tests.support.dnsrecords import record_of
from tests.tlspolicy.chains import root

SHA256, SHA512 = "ab" * 32, "cd" * 64


def record(text: str) -> TLSA:
    usage, selector, matching, data = text.split()
    return TLSA(int(usage), int(selector), int(matching), bytes.fromhex(data))


@pytest.mark.parametrize(
    ("text", "usable"),
    [
        (f"3 1 1 {SHA256}", True),
        (f"3 0 1 {SHA256}", True),
        (f"2 0 1 {SHA256}", True),
        (f"2 1 2 {SHA512}", True),
        # RFC 6698 §2.3's examples: usages that are not for SMTP.
        ("0 0 1 d2abde240d7cd3ee6b4b28c54df034b97983a1d16e8a410e4561cb106618e971", False),
        (
            "1 1 2 92003ba34942dc74152e2f2c408d29eca5a520e7f2e06bb944f4dca346baf63c"
            "1b177615d466f6c4b71c216a50292bd58c9ebdd2f74e38fe51ffd48c43326cbc",
            False,
        ),
        (f"3 2 1 {SHA256}", False),
        (f"4 1 1 {SHA256}", False),
        (f"255 1 1 {SHA256}", False),
        (f"3 1 3 {SHA256}", False),
        (f"3 1 1 {SHA512}", False),
        (f"3 1 2 {SHA256}", False),
        ("3 1 1 ab", False),
        ("3 0 0 3000", False),
        ("3 1 0 3000", False),
    ],
)
def test_usable_records(text: str, usable: bool) -> None:
    assert record(text).is_usable is usable
    assert str(record(text)) == text


def test_full_certificate_and_key_are_usable() -> None:
    cert = root().cert.public_bytes(Encoding.DER)
    assert TLSA(2, 0, 0, cert).is_usable
    assert not TLSA(2, 1, 0, cert).is_usable


def destination(*, has_mx: bool = True, authentic: bool = True, expanded: str = "") -> Destination:
    return Destination("example.org", expanded or "example.org", has_mx, authentic)


def host(expanded: str = "", *, authentic: bool = True, alias: bool = False) -> MailHost:
    return MailHost("mx.example.org", expanded or "mx.example.org", authentic, alias)


@pytest.mark.parametrize(
    ("to", "at", "bases", "names"),
    [
        (destination(), host(), ("mx.example.org",), ("mx.example.org", "example.org")),
        (destination(authentic=False), host(), (), None),
        (destination(), host(authentic=False), (), None),
        # An alias: RFC 7672 §2.2.
        (
            destination(),
            host("real.example.net"),
            ("real.example.net", "mx.example.org"),
            ("real.example.net", "mx.example.org", "example.org"),
        ),
        (destination(), host("real.example.net", authentic=False), (), None),
        (
            destination(),
            host("real.example.net", authentic=False, alias=True),
            ("mx.example.org",),
            ("mx.example.org", "example.org"),
        ),
        # The domain itself is an alias.
        (
            destination(expanded="org.example.com"),
            host(),
            ("mx.example.org",),
            ("mx.example.org", "example.org", "org.example.com"),
        ),
        # No MX: RFC 7672 §2.2, non-MX destinations.
        (
            destination(has_mx=False, expanded="mx.example.org"),
            host(),
            ("mx.example.org", "example.org"),
            ("mx.example.org", "example.org"),
        ),
    ],
)
def test_where_to_look(
    to: Destination, at: MailHost, bases: tuple[str, ...], names: tuple[str, ...] | None
) -> None:
    assert base_domains(to, at) == bases
    if names is not None:
        assert reference_names(to, at, bases[0]) == names


def answer(*texts: str, authentic: bool = True) -> Answer:
    records = tuple(record_of("TLSA", text) for text in texts)
    return Answer(Status.OK if records else Status.NODATA, records, authentic)


def look(answers: dict[str, Answer], *bases: str) -> tuple[TLSALookup, list[str]]:
    asked: list[str] = []

    def query(name: str, rdtype: str) -> Answer:
        assert rdtype == "TLSA"
        asked.append(name)
        return answers.get(name, Answer(Status.NXDOMAIN, authentic=True))

    return lookup(query, bases), asked


def test_first_base_with_records_counts() -> None:
    answers = {
        "_25._tcp.b.example": answer(f"3 1 1 {SHA256}"),
        "_25._tcp.c.example": answer(f"3 1 2 {SHA512}"),
    }
    found, asked = look(answers, "a.example", "b.example", "c.example")
    assert found == TLSALookup("b.example", (record(f"3 1 1 {SHA256}"),))
    assert asked == ["_25._tcp.a.example", "_25._tcp.b.example"]


def test_records_without_dnssec_do_not_exist() -> None:
    answers = {"_25._tcp.a.example": answer(f"3 1 1 {SHA256}", authentic=False)}
    assert look(answers, "a.example")[0] == NO_TLSA


def test_lookup_that_fails_is_no_proof() -> None:
    answers = {
        "_25._tcp.a.example": Answer(Status.TEMPORARY, error="SERVFAIL"),
        "_25._tcp.b.example": answer(f"3 1 1 {SHA256}"),
    }
    found, _ = look(answers, "a.example", "b.example")
    assert (found.error, found.records) == ("SERVFAIL", ())


def test_nothing_to_look_at() -> None:
    assert look({}) == (NO_TLSA, [])


def test_order_of_records_is_always_the_same() -> None:
    texts = [f"3 1 1 {n:02x}{SHA256[2:]}" for n in range(9)]
    one, _ = look({"_25._tcp.a.example": answer(*texts)}, "a.example")
    other, _ = look({"_25._tcp.a.example": answer(*reversed(texts))}, "a.example")
    assert one == other
    assert len(one.records) == 9


def test_number_of_records_is_bounded() -> None:
    texts = [f"3 1 1 {n:02x}{SHA256[2:]}" for n in range(100)]
    found, _ = look({"_25._tcp.a.example": answer(*texts)}, "a.example")
    assert len(found.records) == 32
