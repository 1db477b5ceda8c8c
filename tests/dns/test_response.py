"""Reading answers: like dnspython does, which is slower, whatever the message."""

from __future__ import annotations

import dns.edns
import dns.exception
import dns.flags
import dns.message
import dns.rcode
import dns.rrset
import pytest
from hypothesis import given
from hypothesis import strategies as st

from mox.dns.names import name_text, name_wire
from mox.dns.record import Record
from mox.dns.response import BadResponse, Response, read_response
from tests.support.dnsrecords import record_of

NAMES = ("a.example.", "b.example.", "A.Example.", "sub.a.example.", "example.", ".")
DATA = {
    "A": ("192.0.2.1", "192.0.2.2"),
    "AAAA": ("2001:db8::1",),
    "MX": ("10 a.example.", "20 b.example.", "0 ."),
    "TXT": ('"v=spf1 -all"', '"one" "two"', '"\\000\\255"', '""'),
    "PTR": ("a.example.", "x\\.y.example."),
    "NS": ("a.example.",),
    "TLSA": ("3 1 0 abcdef", "2 0 1 " + "ab" * 32),
    "SRV": ("1 2 25 b.example.",),
    "CAA": ('0 issue "ca.example"',),
    "CNAME": ("a.example.", "b.example.", "sub.a.example."),
    "SOA": ("a.example. b.example. 1 2 3 4 30", ". . 1 1 1 1 4000000000"),
}
RRSET = st.sampled_from(sorted(DATA)).flatmap(
    lambda rdtype: st.tuples(
        st.sampled_from(NAMES),
        st.sampled_from((0, 30, 60, 86400, 0x7FFFFFFF)),
        st.just(rdtype),
        st.lists(st.sampled_from(DATA[rdtype]), min_size=1, max_size=3),
    )
)
RRSETS = st.lists(RRSET, max_size=6)


def oracle(message: dns.message.QueryMessage) -> Response | None:
    """What dnspython reads; None where it sees no answer that makes sense."""
    try:
        chain = message.resolve_chaining()
    except dns.exception.DNSException:
        return None
    records = [Record(int(each.rdtype), each.to_wire() or b"") for each in chain.answer or ()]
    return Response(
        int(message.rcode()),
        bool(message.flags & dns.flags.AD),
        int(chain.minimum_ttl),
        chain.canonical_name.to_text(omit_final_dot=True),
        tuple(records) or None,
    )


@given(
    st.sampled_from(NAMES),
    st.sampled_from(sorted(DATA)),
    st.sampled_from((dns.rcode.NOERROR, dns.rcode.NXDOMAIN, dns.rcode.SERVFAIL, dns.rcode.BADVERS)),
    st.booleans(),
    RRSETS,
    RRSETS,
)
def test_answers_are_read_as_dnspython_does(
    name: str,
    rdtype: str,
    rcode: dns.rcode.Rcode,
    authentic: bool,
    answers: list[tuple[str, int, str, list[str]]],
    authorities: list[tuple[str, int, str, list[str]]],
) -> None:
    query = dns.message.make_query(name, rdtype, use_edns=0)
    reply = dns.message.make_response(query)
    reply.set_rcode(rcode)
    reply.flags |= dns.flags.AD if authentic else 0
    for section, sets in ((reply.answer, answers), (reply.authority, authorities)):
        section += [dns.rrset.from_text(at, ttl, "IN", kind, *data) for at, ttl, kind, data in sets]
    wire = reply.to_wire()
    parsed = dns.message.from_wire(wire)
    assert isinstance(parsed, dns.message.QueryMessage)
    expected = oracle(parsed)
    if expected is None:
        with pytest.raises(BadResponse):
            read_response(wire)
    else:
        assert _lower(read_response(wire)) == _lower(expected)


def _lower(response: Response) -> object:
    """For dnspython names that differ in case only are one, whichever was first."""
    records = {(each.rdtype, each.to_text().lower()) for each in response.records or ()}
    return (response.rcode, response.authentic, response.ttl, response.canonical.lower(), records)


@given(st.binary(max_size=80))
def test_any_octets_are_a_response_or_none(octets: bytes) -> None:
    for head in (b"", b"\0\0\x81\x80\0\1\0\2\0\1\0\1\1x\0\0\x10\0\1"):
        try:
            read_response(head + octets)
        except BadResponse:
            continue


@pytest.mark.parametrize(
    ("rdtype", "text"), [(kind, text) for kind, texts in DATA.items() for text in texts]
)
def test_records_know_their_text(rdtype: str, text: str) -> None:
    record = record_of(rdtype, text)
    assert record_of(rdtype, record.to_text()) == record


def test_records_know_what_is_in_them() -> None:
    assert record_of("TXT", '"one" "" "two"').strings == (b"one", b"", b"two")
    assert record_of("TXT", '"one" "" "two"').text == b"onetwo"
    assert record_of("TXT", '"one"').text == b"one"
    assert str(record_of("A", "192.0.2.1").address) == "192.0.2.1"
    assert str(record_of("AAAA", "2001:db8::1").address) == "2001:db8::1"
    assert (record_of("MX", "10 mx.example.").preference) == 10
    assert (record_of("MX", "10 mx.example.").host) == "mx.example"
    assert record_of("MX", "0 .").host == "."
    assert record_of("PTR", "a\\.b\\000.example.").host == "a\\.b\\000.example"


def test_data_that_makes_no_sense_is_shown_as_octets() -> None:
    assert Record(52, b"\3\1\1\xab").to_text() == "\\# 4 030101ab"


@pytest.mark.parametrize(
    "name", ["a.example", "_dmarc.a-b.example", "A.EXAMPLE", "x", "a\\.b.example", "*.example"]
)
def test_names_come_back_from_wire_form(name: str) -> None:
    assert name_text(name_wire(name)) == name


@pytest.mark.parametrize(
    "name", ["a..b", ".a", "a" * 64, "x." * 127 + "xx", "a" * 70 + ".example", "\udcff.example"]
)
def test_names_that_cannot_be_have_no_wire_form(name: str) -> None:
    with pytest.raises(ValueError, match="domain name"):
        name_wire(name)


@pytest.mark.parametrize(
    ("rdtype", "data"),
    [
        (1, b"\1\2\3"),
        (1, b"\1\2\3\4\5"),
        (28, bytes(15)),
        (16, b""),
        (16, b"\5abc"),
        (15, b"\0"),
        (15, b"\0\x0a\1a"),
        (12, b"\1a\0\0"),
        (12, b"\xc0\xff"),
        (52, b"\3\1\1"),
        (33, b"\0\0"),
    ],
)
def test_malformed_data_is_noticed(rdtype: int, data: bytes) -> None:
    name = b"\1x\0"
    question = name + rdtype.to_bytes(2, "big") + b"\0\1"
    fixed = rdtype.to_bytes(2, "big") + b"\0\1" + bytes(4) + len(data).to_bytes(2, "big")
    head = b"\0\0\x81\x80\0\1\0\1\0\0\0\0"
    with pytest.raises(BadResponse):
        read_response(head + question + name + fixed + data)


def test_a_failure_may_leave_the_question_out_and_say_why() -> None:
    reply = dns.message.Message(0)
    reply.flags = dns.flags.QR
    reply.set_rcode(dns.rcode.SERVFAIL)
    reply.use_edns(
        0,
        options=[dns.edns.EDEOption(22, "nobody there"), dns.edns.EDEOption(6, "bad\n")],
    )
    found = read_response(reply.to_wire())
    assert found.rcode == dns.rcode.SERVFAIL
    assert str(found.extended_error) == "DNSSEC Bogus: bad?"
