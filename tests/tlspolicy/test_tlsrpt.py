"""TLSRPT records (RFC 8460 §3)."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from mox.dns import Answer, Status
from mox.tlspolicy.tlsrpt import Found, Record, TLSRPTError, lookup_record, parse_record
from tests.support.dnsrecords import record_of


@pytest.mark.parametrize(
    ("text", "rua"),
    [
        # RFC 8460 §3.1.1, §3.1.2.
        ("v=TLSRPTv1;rua=mailto:reports@example.com", ["mailto:reports@example.com"]),
        (
            "v=TLSRPTv1; rua=https://reporting.example.com/v1/tlsrpt",
            ["https://reporting.example.com/v1/tlsrpt"],
        ),
        (
            "v=TLSRPTv1; rua=mailto:a@b.example,https://c.example/d ;",
            ["mailto:a@b.example", "https://c.example/d"],
        ),
        ("v=TLSRPTv1; rua=mailto:a@b.example; rua=mailto:c@d.example", 2),
        ("v=TLSRPTv1; rua=mailto:a@b.example , mailto:c@d.example", 2),
    ],
)
def test_records(text: str, rua: list[str] | int) -> None:
    record = parse_record(text)
    assert rua in (list(record.rua), len(record.rua))
    assert parse_record(str(record)) == record


def test_extensions_are_kept() -> None:
    record = parse_record("v=TLSRPTv1; x-a=b; rua=mailto:a@b.example")
    assert record == Record(("mailto:a@b.example",), (("x-a", "b"),))


def test_addresses_of_mailto_are_decoded() -> None:
    record = parse_record(
        "v=TLSRPTv1; rua=mailto:a%2Cb%21%3Bc@d.example?subject=x,https://e.example,MAILTO:f@g.example"
    )
    assert record.mail_addresses == ("a,b!;c@d.example", "f@g.example")


@pytest.mark.parametrize(
    "text",
    [
        "",
        "v=TLSRPTv1",
        "v=TLSRPTv1;",
        "v=TLSRPTv2; rua=mailto:a@b.example",
        "v=tlsrptv1; rua=mailto:a@b.example",
        "v=TLSRPTv1; rua=",
        "v=TLSRPTv1; rua=a@b.example",
        "v=TLSRPTv1; rua=mailto:a!b@c.example",
        "v=TLSRPTv1; rua=mailto:a@b.example,",
        "v=TLSRPTv1; rua=mailto:a@b.example; x",
        "v=TLSRPTv1; rua=" + ",".join(["mailto:a@b.example"] * 21),
    ],
)
def test_bad_records(text: str) -> None:
    with pytest.raises(TLSRPTError):
        parse_record(text)


@pytest.mark.parametrize(
    ("texts", "found"),
    [
        (['"v=TLSRPTv1; rua=mailto:a@b.example"', '"other"'], Found.RECORD),
        (['"other"'], Found.NONE),
        (['"v=TLSRPTv1; rua=mailto:a@b.example"'] * 2, Found.SEVERAL),
        (['"v=TLSRPTv1; nothing"'], Found.BAD),
    ],
)
def test_lookup(texts: list[str], found: Found) -> None:
    records = tuple(record_of("TXT", text) for text in texts)

    def query(name: str, rdtype: str) -> Answer:
        assert (name, rdtype) == ("_smtp._tls.example.org", "TXT")
        return Answer(Status.OK, records, authentic=True)

    result = lookup_record(query, "example.org")
    assert (result.found, result.authentic) == (found, True)


def test_lookup_that_fails() -> None:
    result = lookup_record(lambda name, rdtype: Answer(Status.TEMPORARY, error="no"), "a.example")
    assert (result.found, result.error) == (Found.TEMPORARY, "no")


@given(st.text(max_size=300))
def test_anything_raises_only_our_error(text: str) -> None:
    for candidate in (text, "v=TLSRPTv1; " + text, "v=TLSRPTv1; rua=" + text):
        try:
            parse_record(candidate)
        except TLSRPTError:
            continue
