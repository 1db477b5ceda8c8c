"""Dates of mail: RFC 5322 Date fields, IMAP INTERNALDATE and search dates.

A moment is (seconds since the epoch, minutes east of UTC): the zone is kept as it was written,
because IMAP compares calendar dates in the value's own zone.
"""

from __future__ import annotations

import re
from datetime import date
from functools import lru_cache

from mox.errors import UserError
from mox.message.params import strip_comments

Timestamp = tuple[int, int]

MAX_SECONDS = 253402300799  # the end of the year 9999
_EPOCH_DAY = date(1970, 1, 1).toordinal()
_MONTHS = ("Jan", "Feb", "Mar", "Apr", "May", "Jun", "Jul", "Aug", "Sep", "Oct", "Nov", "Dec")
_MONTH_NUMBERS = {name.lower().encode(): number for number, name in enumerate(_MONTHS, 1)}

# RFC 5322 §4.3: obs-zone. Military zones and unknown names count as UTC.
_ZONES = {b"edt": -240, b"est": -300, b"cdt": -300, b"cst": -360}
_ZONES |= {b"mdt": -360, b"mst": -420, b"pdt": -420, b"pst": -480}
# Not in any standard, but seen.
_ZONES |= {b"cet": 60, b"cest": 120, b"met": 60, b"mest": 120, b"bst": 60, b"jst": 540}

_COLON = rb"[ \t]*[:.][ \t]*"
_TIME = rb"([0-9]{1,2})" + _COLON + rb"([0-9]{1,2})(?:" + _COLON + rb"([0-9]{1,2})"
_TIME += rb"(?:[.,][0-9]{1,9})?)?"
_ZONE = rb"(?:[ \t]*([+-][0-9]{1,2}:?[0-9]{2}|[A-Za-z]{1,5}))?"
# RFC 5322 §3.3 and §4.3, with missing commas, full month names, dashes, missing times.
_DATE = re.compile(
    rb"[ \t]*(?:[A-Za-z]{2,9}\.?[ \t]*,?[ \t]*)?([0-9]{1,2})[ \t-]+([A-Za-z]{3})[A-Za-z]{0,6}\.?,?"
    rb"[ \t-]+([0-9]{2,4})(?:[ \t,]+" + _TIME + _ZONE + rb")?(?![0-9A-Za-z:])"
)
# C's asctime: Mon Nov 23 12:46:03 2026
_ASCTIME = re.compile(
    rb"[ \t]*(?:[A-Za-z]{3},?[ \t]+)?([A-Za-z]{3})[ \t]+([0-9]{1,2})[ \t]+" + _TIME + _ZONE + rb""
    rb"[ \t]+([0-9]{4})"
)
_ISO = re.compile(
    rb"[ \t]*([0-9]{4})-([0-9]{2})-([0-9]{2})[T \t]+" + _TIME + _ZONE + rb"(?![0-9A-Za-z:])"
)
# RFC 9051 §9: date-time and date, without the quotes.
_INTERNALDATE = re.compile(
    rb"[ \t]?([0-9]{1,2})-([A-Za-z]{3})-([0-9]{4}) ([0-9]{2}):([0-9]{2}):([0-9]{2}) "
    rb"([+-][0-9]{4})"
)
_IMAP_DATE = re.compile(rb"([0-9]{1,2})-([A-Za-z]{3})-([0-9]{4})")


class DateError(UserError):
    """A date that does not follow the grammar or does not exist."""


def parse_date(value: bytes) -> Timestamp | None:
    """Read the value of a Date field, tolerantly. None when there is no date in it."""
    if b"(" in value:
        value = strip_comments(value[:2000])
    return _parse(value[:200])


def _parse(value: bytes) -> Timestamp | None:
    if match := _DATE.match(value):
        day, month, year, hour, minute, second, zone = match.groups()
    elif match := _ASCTIME.match(value):
        month, day, hour, minute, second, zone, year = match.groups()
    elif match := _ISO.match(value):
        year, month, day, hour, minute, second, zone = match.groups()
    else:
        return None
    number = int(month) if month.isdigit() else _MONTH_NUMBERS.get(month.lower(), 0)
    return _moment(
        (_year(year), number, int(day)),
        (int(hour or 0), int(minute or 0), int(second or 0)),
        _zone_minutes(zone),
    )


def _year(text: bytes) -> int:
    # RFC 5322 §4.3: two digits are 1950 to 2049, three digits count from 1900.
    year = int(text)
    if len(text) == 2:
        return year + (2000 if year < 50 else 1900)
    return year + 1900 if len(text) == 3 else year


def _zone_minutes(zone: bytes | None) -> int:
    if not zone:
        return 0
    if zone[0] not in b"+-":
        return _ZONES.get(zone.lower(), 0)
    digits = zone[1:].replace(b":", b"")
    minutes = int(digits[:-2]) * 60 + int(digits[-2:])
    if minutes > 24 * 60:
        return 0
    return -minutes if zone[0] == ord("-") else minutes


def _moment(day: tuple[int, int, int], time: tuple[int, int, int], zone: int) -> Timestamp | None:
    hour, minute, second = time
    if hour > 23 or minute > 59 or second > 60:
        return None
    try:
        days = date(*day).toordinal() - _EPOCH_DAY
    except ValueError:
        return None
    return days * 86400 + hour * 3600 + minute * 60 + second - zone * 60, zone


def parse_internaldate(text: bytes) -> Timestamp:
    """Read an IMAP date-time without its quotes. Raises DateError."""
    match = _INTERNALDATE.fullmatch(text)
    if match is not None:
        day, month, year, hour, minute, second, zone = match.groups()
        number = _MONTH_NUMBERS.get(month.lower(), 0)
        found = _moment(
            (int(year), number, int(day)),
            (int(hour), int(minute), int(second)),
            _zone_minutes(zone),
        )
        if found is not None:
            return found
    raise DateError("bad date-time")


def parse_imap_date(text: bytes) -> date:
    """Read an IMAP date such as `1-Feb-1994`, without quotes. Raises DateError."""
    match = _IMAP_DATE.fullmatch(text)
    if match is None:
        raise DateError("bad date")
    try:
        return date(int(match[3]), _MONTH_NUMBERS.get(match[2].lower(), 0), int(match[1]))
    except ValueError as err:
        raise DateError("no such date") from err


def calendar_day(seconds: int, zone: int = 0) -> date:
    """Return the calendar date of a moment in its own zone, for IMAP's date searches."""
    return date.fromordinal(_clamped(seconds + zone * 60) // 86400 + _EPOCH_DAY)


def format_internaldate(seconds: int, zone: int = 0) -> str:
    """Format as IMAP date-time without quotes: ` 1-Feb-1994 12:46:03 +0100`."""
    days, second = divmod(_clamped(seconds + zone * 60), 86400)
    return f"{_day_text(days, '-'):>11} {_clock(second)} {format_zone(zone)}"


def format_date(seconds: int, zone: int = 0) -> str:
    """Format for header fields: `1 Feb 1994 12:46:03 +0100` (RFC 5322 §3.3, without weekday)."""
    days, second = divmod(_clamped(seconds + zone * 60), 86400)
    return f"{_day_text(days, ' ')} {_clock(second)} {format_zone(zone)}"


def format_zone(minutes: int) -> str:
    """Format minutes east of UTC as `+0100`."""
    sign = "-" if minutes < 0 else "+"
    return f"{sign}{abs(minutes) // 60:02d}{abs(minutes) % 60:02d}"


def _clamped(seconds: int) -> int:
    return min(max(int(seconds), -_EPOCH_DAY * 86400 + 86400), MAX_SECONDS)


def _clock(second: int) -> str:
    return f"{second // 3600:02d}:{second // 60 % 60:02d}:{second % 60:02d}"


@lru_cache(maxsize=4096)
def _day_text(days: int, separator: str) -> str:
    day = date.fromordinal(days + _EPOCH_DAY)
    return f"{day.day}{separator}{_MONTHS[day.month - 1]}{separator}{day.year:04d}"
