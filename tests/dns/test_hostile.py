"""Name servers that mean harm: whatever they send, a query ends in time, with an Answer."""

from __future__ import annotations

import random
import struct
import time
from collections.abc import Callable

import dns.message
import dns.rrset
import pytest
from hypothesis import given
from hypothesis import strategies as st

from mox.dns import Answer, Resolver, Status, exchange
from mox.dns.exchange import _is_answer, _parsed
from mox.dns.response import BadResponse
from tests.support.fakedns import FakeDNS, Mischief

QUESTION = ("x.example", "TXT")
LIMIT_S = 0.4
# Of all of a query: the limit, and what a loaded machine takes for the rest.
LATEST_S = 10.0


def look_up(raw: Callable[[bytes], bytes], *, timeout_s: float = LIMIT_S) -> Answer:
    with FakeDNS({QUESTION: ['"x"']}, mischief=Mischief(raw={QUESTION: raw})) as server:
        start = time.monotonic()
        answer = Resolver(server=server.server, timeout_s=timeout_s).query(*QUESTION)
        assert time.monotonic() - start < LATEST_S
    return answer


def header(query: bytes, flags: int = 0x8180, counts: tuple[int, ...] = (1, 0, 0, 0)) -> bytes:
    """Return the header of an answer, and the question."""
    return query[:2] + struct.pack(">HHHHH", flags, *counts) + query[12:-11]


def records(query: bytes, count: int) -> bytes:
    """Return an answer with so many TXT records, hardly larger than the smallest there are."""
    head = b"\xc0\x0c" + struct.pack(">HHIHB", 16, 1, 60, 3, 2)
    found = b"".join(head + number.to_bytes(2, "big") for number in range(count))
    return header(query, counts=(1, count, 0, 0)) + found


@pytest.mark.parametrize(
    "raw",
    [
        lambda query: header(query) + b"garbage",
        lambda query: header(query, counts=(1, 1, 0, 0)) + b"\xc0\x0c\xff",
        lambda query: header(query, counts=(1, 1, 0, 0)) + b"\xc0" * 40,
        lambda query: header(query, counts=(1, 65535, 65535, 65535)),
        lambda query: records(query, 300),
        lambda query: records(query, 4000),
        lambda query: header(query) + bytes(40_000),
        lambda query: header(query, flags=0x8182),
        lambda query: query[:2] + struct.pack(">HHHHH", 0x8185, 0, 0, 0, 0),
        lambda query: header(query, flags=0x818F),
    ],
    ids=[
        "trailing garbage",
        "half a record",
        "pointers",
        "counts",
        "300 records",
        "4000 records",
        "long",
        "SERVFAIL",
        "REFUSED without question",
        "unknown rcode",
    ],
)
def test_useless_answers_are_trouble_at_once(raw: Callable[[bytes], bytes]) -> None:
    answer = look_up(raw, timeout_s=60)
    expected = Status.NODATA if raw(bytes(40)).endswith(b"garbage") else Status.TEMPORARY
    assert answer.status is expected, answer


@pytest.mark.parametrize(
    "raw",
    [
        lambda query: b"",
        lambda query: query[:11],
        lambda query: b"\0\0" + header(query)[2:],
        lambda query: query,
        lambda query: header(query, flags=0xA980),
        lambda query: header(query).replace(b"x", b"y"),
        lambda query: header(query)[:-3] + b"\x01\0\x01",
        lambda query: header(query, counts=(2, 0, 0, 0)) + header(query)[12:],
        lambda query: query[:2] + struct.pack(">HHHHH", 0x8183, 0, 0, 0, 0),
    ],
    ids=[
        "empty",
        "short",
        "other id",
        "echo",
        "other opcode",
        "other name",
        "other type",
        "two questions",
        "NXDOMAIN without question",
    ],
)
def test_answers_to_other_questions_are_not_listened_to(raw: Callable[[bytes], bytes]) -> None:
    answer = look_up(raw)
    assert answer.status is Status.TEMPORARY
    assert "timed out" in answer.error


def test_ten_thousand_txt_records_are_refused() -> None:
    """Over TCP, where they are announced as truncated."""

    def raw(query: bytes) -> bytes:
        tcp = len(calls) > 0
        calls.append(query)
        wire = records(query, 10_000) if tcp else header(query, flags=0x8380)
        return wire[:65_535]

    calls: list[bytes] = []
    answer = look_up(raw, timeout_s=60)
    assert len(calls) == 2
    assert answer.status is Status.TEMPORARY
    assert "too long" in answer.error


@pytest.mark.parametrize(
    ("mischief", "error"),
    [
        (Mischief(cuts_streams=True), "connection closed"),
        (Mischief(stalls_streams=True), "timed out"),
    ],
)
def test_streams_that_break_or_stall_are_trouble(mischief: Mischief, error: str) -> None:
    zone = {QUESTION: [f'"{i:0>200}"' for i in range(30)]}
    with FakeDNS(zone, mischief=mischief) as server:
        start = time.monotonic()
        answer = Resolver(server=server.server, timeout_s=LIMIT_S).query(*QUESTION)
        assert time.monotonic() - start < LATEST_S
    assert answer.status is Status.TEMPORARY
    assert error in answer.error


@pytest.mark.parametrize("length", [2, 17, 40])
def test_cname_chains_end(length: int) -> None:
    """Loops, and chains longer than any that has a purpose."""
    zone = {(f"c{i}.example", "CNAME"): [f"c{i + 1}.example."] for i in range(length - 1)}
    zone[f"c{length - 1}.example", "CNAME"] = ["c0.example."]
    with FakeDNS(zone) as server:
        answer = Resolver(server=server.server, timeout_s=LIMIT_S).query("c0.example", "TXT")
    assert answer.status is Status.TEMPORARY


def test_a_slow_server_ends_with_the_time_limit() -> None:
    mischief = Mischief(delays={QUESTION: 30.0})
    with FakeDNS({QUESTION: ['"x"']}, mischief=mischief) as server:
        resolver = Resolver(server=server.server, timeout_s=30.0)
        start = time.monotonic()
        answer = resolver.query(*QUESTION, LIMIT_S)
        assert time.monotonic() - start < LATEST_S
    assert answer.status is Status.TEMPORARY
    assert "timed out" in answer.error


def test_a_slow_server_gets_more_time_in_later_rounds(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(exchange, "_TRY_S", 0.1)
    mischief = Mischief(delays={QUESTION: 0.15})
    with FakeDNS({QUESTION: ['"x"']}, mischief=mischief) as server:
        answer = Resolver(server=server.server).query(*QUESTION)
        assert len(server.queries) >= 2
    assert answer.status is Status.OK


def _sample() -> tuple[bytes, bytes]:
    query = dns.message.make_query("x.example", "TXT", use_edns=0)
    reply = dns.message.make_response(query)
    for name, rdtype, text in (
        ("x.example.", "CNAME", "y.example."),
        ("y.example.", "TXT", '"v=spf1 -all" "more"'),
        ("y.example.", "MX", "10 mx.example."),
    ):
        reply.answer.append(dns.rrset.from_text(name, 60, "IN", rdtype, text))
    soa = "ns.example. x.example. 1 1 1 1 300"
    reply.authority.append(dns.rrset.from_text("example.", 60, "IN", "SOA", soa))
    return query.to_wire(), reply.to_wire()


@given(st.integers(0, 2**32), st.integers(1, 8))
def test_damaged_answers_give_an_answer_or_trouble(seed: int, changes: int) -> None:
    chance = random.Random(seed)
    query, reply = _sample()
    wire = bytearray(reply)
    for _ in range(changes):
        wire[chance.randrange(2, len(wire))] = chance.randrange(256)
    _judge(bytes(wire[: chance.choice((len(wire), chance.randrange(len(wire))))]), query)


@given(st.binary(max_size=300))
def test_random_answers_give_an_answer_or_trouble(tail: bytes) -> None:
    query, _ = _sample()
    for counts in ((1, 1, 0, 0), (1, 3, 2, 1)):
        _judge(header(query, counts=counts) + tail, query)


def _judge(wire: bytes, query: bytes) -> None:
    """What the resolver does with an answer, with the exceptions that it expects."""
    if not _is_answer(wire, query):
        return
    resolver = Resolver(server="127.0.0.1:1")
    try:
        answer = resolver._answer(_parsed(wire))
    except BadResponse:
        return
    assert answer.status in Status
