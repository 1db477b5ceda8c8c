from __future__ import annotations

from datetime import UTC, datetime, timedelta, timezone

import pytest
from hypothesis import given
from hypothesis import strategies as st

from mox.imap import fetchresponse
from mox.imap.grammar.cursor import Cursor
from mox.imap.grammar.dates import date_time


def test_whole_line():
    items = [
        fetchresponse.uid(5),
        fetchresponse.flags(["\\Seen", "$Junk"]),
        fetchresponse.modseq(65402),
        fetchresponse.size(44827),
    ]
    expected = b"* 23 FETCH (UID 5 FLAGS (\\Seen $Junk) MODSEQ (65402) RFC822.SIZE 44827)\r\n"
    assert fetchresponse.fetch(23, items) == expected
    assert fetchresponse.fetch_start(23) + b" ".join(items) + fetchresponse.fetch_end() == expected


@pytest.mark.parametrize(
    ("made", "expected"),
    [
        (fetchresponse.flags(()), b"FLAGS ()"),
        (fetchresponse.envelope(b"(NIL)"), b"ENVELOPE (NIL)"),
        (fetchresponse.bodystructure(b"(x)"), b"BODYSTRUCTURE (x)"),
        (fetchresponse.bodystructure(b"(x)", extensible=False), b"BODY (x)"),
        (fetchresponse.body(b"BODY[1]", b"abc"), b"BODY[1] {3}\r\nabc"),
        (fetchresponse.body(b"BODY[]<9>", b""), b"BODY[]<9> {0}\r\n"),
        (fetchresponse.body(b"BODY[7]", None), b"BODY[7] NIL"),
        (fetchresponse.body_start(b"RFC822", 9), b"RFC822 {9}\r\n"),
        (fetchresponse.binary(b"BINARY[1]", b"abc"), b"BINARY[1] {3}\r\nabc"),
        (fetchresponse.binary(b"BINARY[1]", b"a\0c"), b"BINARY[1] ~{3}\r\na\0c"),
        (fetchresponse.binary(b"BINARY[7]", None), b"BINARY[7] NIL"),
        (fetchresponse.binary_size(b"BINARY.SIZE[1]", 7), b"BINARY.SIZE[1] 7"),
    ],
)
def test_items(made, expected):
    assert made == expected


@pytest.mark.parametrize(
    ("seconds", "zone", "expected"),
    [
        (0, 0, b'" 1-Jan-1970 00:00:00 +0000"'),
        (0, -270, b'"31-Dec-1969 19:30:00 -0430"'),
        (837596665, -420, b'"17-Jul-1996 02:44:25 -0700"'),
        (1709157600, 840, b'"29-Feb-2024 12:00:00 +1400"'),
    ],
)
def test_internaldate(seconds, zone, expected):
    assert fetchresponse.internaldate(seconds, zone) == b"INTERNALDATE " + expected


@given(st.integers(-(10**10), 10**11), st.integers(-1439, 1439))
def test_internaldate_is_what_append_reads(seconds, zone):
    written = fetchresponse.internaldate(seconds, zone).removeprefix(b"INTERNALDATE ")
    assert date_time(Cursor(written)) == (seconds, zone)
    when = datetime.fromtimestamp(0, UTC) + timedelta(seconds=seconds)
    local = when.astimezone(timezone(timedelta(minutes=zone)))
    assert f"{local:%H:%M:%S}".encode() in written
