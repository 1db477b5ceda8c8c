"""Dates: of search keys, and of APPEND (RFC 9051 §9: date, date-time)."""

from __future__ import annotations

import re
from calendar import timegm
from datetime import date

from mox.imap.grammar.cursor import Cursor

_MONTHS = (b"jan", b"feb", b"mar", b"apr", b"may", b"jun", b"jul", b"aug", b"sep", b"oct", b"nov")
_MONTH_NUMBERS = {name: number for number, name in enumerate((*_MONTHS, b"dec"), start=1)}

# date-text = date-day "-" date-month "-" date-year
_DATE = re.compile(rb"([0-9]{1,2})-([A-Za-z]{3})-([0-9]{4})")
# date-time = DQUOTE date-day-fixed "-" date-month "-" date-year SP time SP zone DQUOTE
_DATE_TIME = re.compile(
    rb'" ?([0-9]{1,2})-([A-Za-z]{3})-([0-9]{4})'
    rb' ([0-9]{2}):([0-9]{2}):([0-9]{2}) ([+-])([0-9]{2})([0-9]{2})"'
)


def search_date(cursor: Cursor) -> date:
    """Read a date, in quotes or not."""
    quoted = cursor.maybe(b'"')
    match = _DATE.match(cursor.text, cursor.at)
    if match is None:
        cursor.fail("expected a date such as 1-Feb-2026")
    cursor.at = match.end()
    if quoted:
        cursor.take(b'"')
    return _day(cursor, *match.groups())


def date_time(cursor: Cursor) -> tuple[int, int]:
    """Read a date-time as (seconds since the epoch, minutes east of UTC)."""
    match = _DATE_TIME.match(cursor.text, cursor.at)
    if match is None:
        cursor.fail('expected a date-time such as " 1-Feb-2026 10:00:00 +0100"')
    cursor.at = match.end()
    day, month, year, hour, minute, second, sign, zone_hour, zone_minute = match.groups()
    when = _day(cursor, day, month, year)
    clock = (int(hour), int(minute), int(second))
    zone = int(zone_hour) * 60 + int(zone_minute)
    # 60 is a leap second.
    if clock[0] > 23 or clock[1] > 59 or clock[2] > 60 or zone >= 1440 or int(zone_minute) > 59:
        cursor.fail("time out of range")
    if sign == b"-":
        zone = -zone
    return timegm((when.year, when.month, when.day, *clock)) - zone * 60, zone


def _day(cursor: Cursor, day: bytes, month: bytes, year: bytes) -> date:
    try:
        return date(int(year), _MONTH_NUMBERS.get(month.lower(), 0), int(day))
    except ValueError:
        cursor.fail("no such date")
