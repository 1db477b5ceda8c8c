"""Text in the file to values and back: bool, integers, numbers, durations.

Durations have the form of the reference: a signed sum of numbers with units, as in `1h30m`.
"""

from __future__ import annotations

import re
from collections.abc import Callable
from datetime import timedelta
from fractions import Fraction

from mox.config.schema import Kind, Value

_INT = re.compile(r"[+-]?[0-9]{1,40}", re.ASCII)
_FLOAT = re.compile(r"[+-]?(?:[0-9]{1,40}(?:\.[0-9]{0,40})?|\.[0-9]{1,40})(?:[eE][+-]?[0-9]{1,3})?")
_DURATION = re.compile(r"([0-9]{0,20})(?:\.([0-9]{0,20}))?(ns|us|µs|μs|ms|s|m|h)")

_UNITS_NS = {
    "ns": 1,
    "us": 1_000,
    "µs": 1_000,  # U+00B5
    "μs": 1_000,  # U+03BC
    "ms": 1_000_000,
    "s": 1_000_000_000,
    "m": 60_000_000_000,
    "h": 3_600_000_000_000,
}
_MAX_INT64 = 2**63 - 1


def parse_bool(text: str) -> bool:
    """Read a bool. Raises ValueError."""
    if text not in ("true", "false"):
        raise ValueError(f"expected true or false, not {text[:80]!r}")
    return text == "true"


def parse_int(text: str) -> int:
    """Read a decimal integer of 64 bits. Raises ValueError."""
    if not _INT.fullmatch(text):
        raise ValueError(f"expected an integer, not {text[:80]!r}")
    value = int(text)
    if not -_MAX_INT64 - 1 <= value <= _MAX_INT64:
        raise ValueError("integer has more than 64 bits")
    return value


def parse_float(text: str) -> float:
    """Read a decimal number. Raises ValueError."""
    if not _FLOAT.fullmatch(text):
        raise ValueError(f"expected a number, not {text[:80]!r}")
    return float(text)


def parse_duration(text: str) -> timedelta:
    """Read a duration, to whole microseconds. Raises ValueError."""
    negative = text.startswith("-")
    rest = text[1:] if text.startswith(("+", "-")) else text
    if rest == "0":
        return timedelta()
    total = Fraction(0)
    position = 0
    while position < len(rest) and position < 200:
        match = _DURATION.match(rest, position)
        if not match or not (match[1] or match[2]):
            break
        number = Fraction(int(match[1] or "0"))
        if match[2]:
            number += Fraction(int(match[2]), 10 ** len(match[2]))
        total += number * _UNITS_NS[match[3]]
        position = match.end()
    if not rest or position < len(rest):
        raise ValueError(f"expected a duration such as 1h30m, not {text[:80]!r}")
    if total > _MAX_INT64:
        raise ValueError("duration is longer than 292 years")
    duration = timedelta(microseconds=int(total / 1000))
    return -duration if negative else duration


def format_duration(duration: timedelta) -> str:
    """Write a duration the way the reference does: `24h0m0s`, `1m30s`, `1.5ms`."""
    microseconds = duration // timedelta(microseconds=1)
    if microseconds == 0:
        return "0s"
    sign, rest = ("-", -microseconds) if microseconds < 0 else ("", microseconds)
    if rest < 1_000:
        return f"{sign}{rest}µs"
    if rest < 1_000_000:
        return f"{sign}{_decimal(rest, 1_000)}ms"
    minutes, rest = divmod(rest, 60_000_000)
    hours, minutes = divmod(minutes, 60)
    text = f"{_decimal(rest, 1_000_000)}s"
    if hours or minutes:
        text = f"{minutes}m{text}"
    return f"{sign}{hours}h{text}" if hours else sign + text


def _decimal(value: int, unit: int) -> str:
    """Write value/unit without zeros at the end; unit is a power of ten."""
    whole, fraction = divmod(value, unit)
    digits = str(fraction).zfill(len(str(unit)) - 1).rstrip("0")
    return f"{whole}.{digits}" if digits else str(whole)


_PARSERS: dict[Kind, Callable[[str], Value]] = {
    Kind.BOOL: parse_bool,
    Kind.INT: parse_int,
    Kind.FLOAT: parse_float,
    Kind.TEXT: str,
    Kind.DURATION: parse_duration,
}


def parse_scalar(kind: Kind, text: str) -> Value:
    """Read the text of a scalar field. Raises ValueError with a message for the user."""
    return _PARSERS[kind](text)


def format_scalar(value: Value) -> str:
    """Write the value of a scalar field."""
    if isinstance(value, bool):
        return "true" if value else "false"
    if isinstance(value, timedelta):
        return format_duration(value)
    if isinstance(value, float):
        return repr(value)
    return str(value)
