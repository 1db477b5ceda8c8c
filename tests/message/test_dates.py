from __future__ import annotations

from datetime import UTC, date, datetime, timedelta, timezone

import pytest
from hypothesis import given
from hypothesis import strategies as st

from mox.message.dates import (
    DateError,
    calendar_day,
    format_date,
    format_internaldate,
    parse_date,
    parse_imap_date,
    parse_internaldate,
)


def at(text: str, zone: int = 0) -> tuple[int, int]:
    return int(datetime.fromisoformat(text).timestamp()), zone


@pytest.mark.parametrize(
    ("value", "expected"),
    [
        (b"Fri, 21 Nov 1997 09:55:06 -0600", at("1997-11-21T09:55:06-06:00", -360)),
        (b"Tue, 1 Jul 2003 10:52:37 +0200", at("2003-07-01T10:52:37+02:00", 120)),
        (b"Thu, 13 Feb 1969 23:32 -0330 (Newfoundland Time)",
         at("1969-02-13T23:32:00-03:30", -210)),
        (b"Thu,      13\t  Feb\t 1969\t 23:32\t -0330 (Newfoundland Time)",
         at("1969-02-13T23:32:00-03:30", -210)),
        (b"21 Nov 97 09:55:06 GMT", at("1997-11-21T09:55:06+00:00")),
        (b"Fri, 21 Nov 1997 09(comment):   55  :  06 -0600",
         at("1997-11-21T09:55:06-06:00", -360)),
        (b"Wed, 17 Jul 1996 02:23:25 -0700 (PDT)", at("1996-07-17T02:23:25-07:00", -420)),
        (b"1 (first) Feb (month) 1994 12:00:00 EST", at("1994-02-01T12:00:00-05:00", -300)),
        (b"1 Feb 49 00:00 Z", at("2049-02-01T00:00:00+00:00")),
        (b"1 Feb 50 00:00 Z", at("1950-02-01T00:00:00+00:00")),
        (b"1 Feb 105 00:00 Z", at("2005-02-01T00:00:00+00:00")),
        (b"1 Feb 1994 12:00:00 X", at("1994-02-01T12:00:00+00:00")),
        (b"1 Feb 1994 12:00:00 pdt", at("1994-02-01T12:00:00-07:00", -420)),
        (b"1 Feb 1994 12:00:00 -0000", at("1994-02-01T12:00:00+00:00")),
        (b"1 Feb 1994 12:00:00 +9999", at("1994-02-01T12:00:00+00:00")),
        (b"1 Feb 1994 12:00:00 +05:30", at("1994-02-01T12:00:00+05:30", 330)),
        (b"1 Feb 1994 12:00:60 +0000", at("1994-02-01T12:01:00+00:00")),
        (b"1 Feb 1994 12.30.15", at("1994-02-01T12:30:15+00:00")),
        (b"1 Feb 1994 12:30:15.123 +0100", at("1994-02-01T12:30:15+01:00", 60)),
        (b"1 February 1994", at("1994-02-01T00:00:00+00:00")),
        (b"1-Feb-1994 12:00", at("1994-02-01T12:00:00+00:00")),
        (b"Sat Nov 23 12:46:03 2024", at("2024-11-23T12:46:03+00:00")),
        (b"Sat Nov 23 12:46:03 CET 2024", at("2024-11-23T12:46:03+01:00", 60)),
        (b"2024-11-23T12:46:03Z", at("2024-11-23T12:46:03+00:00")),
        (b"2024-11-23 12:46:03 +01:00", at("2024-11-23T12:46:03+01:00", 60)),
        (b"Mon, 30 Feb 1994 12:00:00 +0000", None),
        (b"1 Foo 1994 12:00:00 +0000", None),
        (b"1 Feb 1994 25:00:00 +0000", None),
        (b"1 Feb 0000 12:00:00 +0000", None),
        (b"today", None),
        (b"", None),
    ],
)  # fmt: skip
def test_date_fields(value: bytes, expected: tuple[int, int] | None) -> None:
    assert parse_date(value) == expected


@given(st.one_of(st.binary(max_size=80), st.text("0123456789 :+-,()FebZ", max_size=60)))
def test_any_value_is_read(value: bytes | str) -> None:
    parse_date(value if isinstance(value, bytes) else value.encode())


MOMENTS = st.integers(0, 4102444800)
ZONES = st.integers(-14 * 60, 14 * 60)


@given(MOMENTS, ZONES)
def test_formats_are_read_back(seconds: int, zone: int) -> None:
    assert parse_date(format_date(seconds, zone).encode()) == (seconds, zone)
    assert parse_internaldate(format_internaldate(seconds, zone).encode()) == (seconds, zone)
    moment = datetime.fromtimestamp(seconds, timezone(timedelta(minutes=zone)))
    assert calendar_day(seconds, zone) == moment.date()
    assert format_date(seconds, zone) == f"{moment.day} {moment:%b %Y %H:%M:%S %z}"


def test_internaldate_is_fixed_width() -> None:
    seconds = int(datetime(2026, 2, 1, 12, 46, 3, tzinfo=UTC).timestamp())
    assert format_internaldate(seconds) == " 1-Feb-2026 12:46:03 +0000"
    assert format_internaldate(seconds, 90) == " 1-Feb-2026 14:16:03 +0130"
    assert format_internaldate(seconds, -210) == " 1-Feb-2026 09:16:03 -0330"


@pytest.mark.parametrize(
    "text",
    [b"", b"1-Feb-2026", b"31-Feb-2026 00:00:00 +0000", b"01-Feb-2026 24:00:00 +0000",
     b"01-Foo-2026 00:00:00 +0000", b"01-Feb-2026 00:00:00", b"01-Feb-2026 00:00:00 +0000 ",
     b'"01-Feb-2026 00:00:00 +0000"'],
)  # fmt: skip
def test_bad_internaldate_is_refused(text: bytes) -> None:
    with pytest.raises(DateError):
        parse_internaldate(text)


def test_search_dates() -> None:
    assert parse_imap_date(b"1-Feb-1994") == date(1994, 2, 1)
    assert parse_imap_date(b"01-feb-1994") == date(1994, 2, 1)
    for text in (b"", b"1 Feb 1994", b"32-Feb-1994", b"1-Xxx-1994", b"1-Feb-94"):
        with pytest.raises(DateError):
            parse_imap_date(text)


@pytest.mark.parametrize("seconds", [-(10**20), -(10**12), -1, 0, 10**12, 10**20])
def test_any_moment_is_formatted(seconds: int) -> None:
    assert len(format_internaldate(seconds, 60)) == 26
    format_date(seconds, -60)
    calendar_day(seconds)
