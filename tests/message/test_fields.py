from __future__ import annotations

import pytest
from hypothesis import given

from mox.message import (
    field,
    field_values,
    has_field,
    has_separator,
    header_section,
    headers,
    parse,
    prepend,
    split_fields,
)
from mox.message.fields import unfold
from mox.message.limits import LIMITS
from mox.message.scan import scan_fields

from .wireforms import stored_messages, wire

SECTION = (
    b"From x@y Mon Nov 23\r\n"
    b"Received: one\r\n\tfolded\r\n"
    b"received : two \r\n"
    b"Subject:x\r\n"
    b"bad name: x\r\n"
    b"no colon\r\n"
    b": no name\r\n"
    b"\r\n"
)


def test_fields_are_split() -> None:
    assert split_fields(SECTION) == [
        (b"Received", b" one\r\n\tfolded"),
        (b"received", b" two "),
        (b"Subject", b"x"),
    ]
    assert headers(SECTION, parse(SECTION)) == split_fields(SECTION)
    stored = SECTION.replace(b"\r\n", b"\n")
    assert split_fields(stored, wire=False)[0] == (b"Received", b" one\n\tfolded")


def test_values_are_found_by_name() -> None:
    assert field_values(SECTION, "RECEIVED") == [b"one\tfolded", b"two"]
    assert field_values(SECTION, b"Subject") == [b"x"]
    assert field_values(SECTION, "none") == []
    assert has_field(SECTION, "subject")
    assert not has_field(SECTION, "folded")


@pytest.mark.parametrize(
    ("data", "section", "has"),
    [
        (b"", b"", False),
        (b"\r\n", b"\r\n", True),
        (b"\r\nbody", b"\r\n", True),
        (b"A: b\r\n", b"A: b\r\n", False),
        (b"A: b\r\n\r\n", b"A: b\r\n\r\n", True),
        (b"A: b\r\n\r\nbody\r\n\r\n", b"A: b\r\n\r\n", True),
        (b"A: b\n\nbody\r\n\r\n", b"A: b\n\n", True),
        (b"A: b\r\n \r\nbody", b"A: b\r\n \r\nbody", False),
    ],
)
def test_header_ends_at_the_empty_line(data: bytes, section: bytes, has: bool) -> None:
    assert header_section(data) == section
    assert has_separator(data) is has


def test_unfold() -> None:
    assert unfold(b" a\r\n b\0\t") == b"a b"


def test_new_fields_stay_on_one_line() -> None:
    assert field("Subject", "a\r\nBcc: b") == b"Subject: a Bcc: b\r\n"
    assert field("Subject", "é\u2028x\x0by") == "Subject: é x y\r\n".encode()
    assert prepend(b"C: d\r\n\r\n", field("A", "b"), field("B", "c")) == (
        b"A: b\r\nB: c\r\nC: d\r\n\r\n"
    )


@given(stored_messages())
def test_the_fast_scan_finds_what_the_splitter_finds(stored: bytes) -> None:
    data = wire(stored)
    section = header_section(data)
    names = {b"subject", b"to", b"x", b"content-type", b"date"}
    found = scan_fields(section, names, LIMITS, wire=True)
    for name in names:
        assert found.get(name, []) == field_values(section, name)
