"""Recipients and date read back from the ENVELOPE of the index."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from mox.address import Address
from mox.message import index_facts
from mox.message.envelopereading import recipients, sent
from mox.message.mailboxes import mailboxes


def envelope(head: bytes) -> bytes:
    return index_facts(head + b"\r\n\r\n", wire=True).envelope


@pytest.mark.parametrize(
    ("head", "expected"),
    [
        (b"To: a@x.example", ["a@x.example"]),
        (b"To: A <a@x.example>, b@y.example\r\nCc: c@z.example", ["a@x.example", "b@y.example",
                                                                 "c@z.example"]),
        (b"Bcc: b@y.example", ["b@y.example"]),
        (b"From: f@x.example\r\nReply-To: r@x.example", []),
        (b"To: group: a@x.example, b@x.example;", ["a@x.example", "b@x.example"]),
        (b"To: undisclosed-recipients:;", []),
        (b'To: "q \\"uoted\\\\" <"a b"@x.example>', ['"a b"@x.example']),
        (b"To: \xc3\xa9t\xc3\xa9 <\xc3\xa9@xn--bcher-kva.example>", ["é@bücher.example"]),
        (b"To: no-domain, @x.example, a@, b@x.example", ['""@x.example', "b@x.example"]),
        (b"To: a@x.example, a@x.example", ["a@x.example"]),
        (b"Subject: (x) \"y\" {3}\r\nTo: a@x.example", ["a@x.example"]),
    ],
)  # fmt: skip
def test_recipients_are_those_of_to_cc_and_bcc(head: bytes, expected: list[str]) -> None:
    assert list(map(str, recipients(envelope(head), 100))) == expected


def test_recipients_are_bounded() -> None:
    head = b"To: " + b", ".join(b"u%d@x.example" % i for i in range(50))
    assert len(recipients(envelope(head), 10)) == 10


def test_sent_is_the_date_field() -> None:
    assert sent(envelope(b"Date: Tue, 14 Nov 2023 22:13:20 +0000")) == (1_700_000_000, 0)
    assert sent(envelope(b"Subject: x")) is None


@given(st.lists(st.binary(max_size=60), max_size=8))
def test_what_was_rendered_is_read_back(values: list[bytes]) -> None:
    clean = [v.translate(None, b"\r\n\0") for v in values]
    rendered = envelope(b"\r\n".join(b"To: " + value for value in clean) or b"X: y")
    expected: dict[Address, None] = {}
    for item in mailboxes(b", ".join(value.strip(b" \t") for value in clean)):
        if item.address is not None:
            expected[item.address] = None
    assert recipients(rendered, 1000) == tuple(expected)


@given(st.binary(max_size=200))
def test_any_octets_can_be_read(octets: bytes) -> None:
    recipients(octets, 10)
    sent(octets)
