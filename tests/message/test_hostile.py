"""Input made to cost time, memory or stack: a quadratic step would take minutes here."""

from __future__ import annotations

import pytest

from mox.message import (
    Section,
    address_list,
    base_subject,
    decode_header,
    decoded,
    envelope,
    has_field,
    header_text,
    index_facts,
    parse,
    section,
    text_of,
)
from mox.message.dates import parse_date
from mox.message.ids import parse_message_id, parse_references
from mox.message.mailboxes import render_addresses
from mox.message.params import content_type, disposition, parse_params
from mox.message.transfer import decode_transfer

LARGE = 1 << 16


def everything(data: bytes) -> None:
    """Do all that a server does with a message, in both forms."""
    for is_wire in (True, False):
        index_facts(data, wire=is_wire)
        root = parse(data, wire=is_wire)
        envelope(data, root)
        header_text(data, root)
        for spec in (
            Section((1, 1, 1)),
            Section((), "HEADER.FIELDS", ("subject",)),
            Section((), "HEADER.FIELDS.NOT", ("subject",)),
        ):
            section(data, root, spec, wire=is_wire)
        for text in text_of(data, root, wire=is_wire):
            assert isinstance(text, str)
    has_field(data, "subject")


NESTED = b"".join(
    b"Content-Type: multipart/mixed; boundary=b%d\r\n\r\n--b%d\r\n" % (level, level)
    for level in range(1000)
)
NESTED_MESSAGES = b"Content-Type: message/rfc822\r\n\r\n" * 5000

MESSAGES = {
    "empty": b"",
    "nested multiparts": NESTED[:100_000],
    "nested messages": NESTED_MESSAGES,
    "nested with a large body": NESTED[:20_000] + b"\r\n" + b"x" * 4 * LARGE,
    "nested same boundary": b"Content-Type: multipart/mixed; boundary=b\r\n\r\n--b\r\n" * 20_000,
    "many parts": b"Content-Type: multipart/mixed; boundary=b\r\n\r\n" + b"--b\r\n" * 40_000,
    "many near boundaries": b"Content-Type: multipart/mixed; boundary=b\r\n\r\n"
    + b"\n--bx" * LARGE,
    "boundary of dashes": b"Content-Type: multipart/mixed; boundary=" + b"-" * 150 + b"\r\n\r\n"
    + b"-" * 4 * LARGE,
    "boundary without line end": b"Content-Type: multipart/mixed; boundary=b\r\n\r\n"
    + b"\n--b" + b" " * 4 * LARGE,
    "many fields": b"X-Field: value\r\n" * 50_000 + b"\r\n",
    "many lines without colon": b"x\r\n" * LARGE,
    "one long field": b"Subject: " + b"x" * 160 * LARGE + b"\r\n\r\n",
    "one long name": b"x" * 160 * LARGE,
    "many folds": b"Subject: x" + b"\r\n x" * 2 * LARGE + b"\r\n\r\n",
    "only folds": b"\r\n\t" * 2 * LARGE,
    "only line feeds": b"\n" * 4 * LARGE,
    "only carriage returns": b"\r" * 4 * LARGE,
    "only spaces": b" " * 4 * LARGE,
    "zeros": bytes(4 * LARGE),
    "many addresses": b"To: " + b"a@b.example,\r\n " * 20_000 + b"\r\n\r\n",
    "many to fields": b"To: a <a@b.example>\r\n" * 20_000 + b"\r\n",
    "many encoded words": b"Subject: " + b"=?utf-8?q?=e9?= " * 20_000 + b"\r\n\r\n",
    "quoted-printable spaces": b"Content-Transfer-Encoding: quoted-printable\r\n\r\n"
    + b" " * 4 * LARGE + b"x" + b"= \r\n" * 20_000,
    "base64 padding": b"Content-Transfer-Encoding: base64\r\n\r\n" + b"=" * 4 * LARGE
    + b"A=" * LARGE,
}  # fmt: skip


@pytest.mark.parametrize("name", MESSAGES)
def test_hostile_messages(name: str) -> None:
    everything(MESSAGES[name])


VALUES = {
    "open parentheses": b"(" * LARGE,
    "parentheses": b"(" * 5000 + b")" * 5000,
    "escaped parentheses": b"(\\" * LARGE,
    "open quotes": b'"' * LARGE,
    "backslashes": b"\\" * LARGE,
    "quoted backslashes": b'"' + b"\\" * LARGE,
    "adjacent quotes": b'a"b"' * 30_000,
    "open angles": b"<" * LARGE,
    "closed angles": b"<>" * LARGE,
    "routes": b"<@" + b",@" * LARGE,
    "colons": b":" * LARGE,
    "semicolons": b";" * LARGE,
    "commas": b"," * LARGE,
    "at signs": b"@" * LARGE,
    "brackets": b"[" * LARGE,
    "spaces": b" " * LARGE,
    "letters": b"a" * LARGE,
    "letters and spaces": b"a " * LARGE,
    "dots": b"a." * LARGE,
    "equals": b"=" * LARGE,
    "question marks": b"=?" * LARGE,
    "open words": b"=?a?q?" * 20_000,
    "words": b"=?utf-8?b?w6k=?=" * 20_000,
    "digits": b"1" * LARGE,
    "dashes": b"1-" * LARGE,
    "parameters": b"; a=b" * 20_000,
    "parameters without value": b"; a" * 30_000,
    "sections": b"".join(b"; a*%d=b" % number for number in range(10_000)),
    "extended sections": b"".join(b"; a*%d*=%%41" % number for number in range(10_000)),
    "stars": b"; " + b"*" * LARGE + b"=x",
    "long names": b"; " + b"a" * LARGE,
    "quotes": b"; a=\"" + b"\\x" * LARGE,
    "mixed": b"(a)<b>\"c\",d:e;f@g[h]\\" * 10_000,
    "references": b"<" + b"<a@b>" * 20_000,
    "blobs": b"[a]" * 30_000,
    "re": b"re:" * 30_000,
    "fwd": b"(fwd)" * 20_000,
    "8bit": b"\xff" * LARGE,
}  # fmt: skip


@pytest.mark.parametrize("name", VALUES)
def test_hostile_values(name: str) -> None:
    value = VALUES[name]
    address_list(value)
    render_addresses(value)
    base_subject(decode_header(value))
    content_type(b"text/plain" + value)
    content_type(value)
    disposition(b"attachment" + value)
    parse_params(value, 0)
    parse_date(value)
    parse_message_id(value)
    parse_references(value)
    everything(b"To: " + value + b"\r\nSubject: " + value + b"\r\nDate: " + value + b"\r\n\r\n")


@pytest.mark.parametrize("encoding", ["BASE64", "QUOTED-PRINTABLE"])
@pytest.mark.parametrize("piece", [b"=", b" ", b"= ", b"=\r\n", b" \r\n", b"A", b"=41", b"\xff"])
def test_hostile_encodings(encoding: str, piece: bytes) -> None:
    decode_transfer(piece * LARGE, encoding)


def test_binary_of_many_levels() -> None:
    data = NESTED[:50_000]
    root = parse(data)
    assert decoded(data, root, (1,) * 1000, wire=True) is None
