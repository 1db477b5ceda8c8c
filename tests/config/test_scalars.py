from __future__ import annotations

from datetime import timedelta

import pytest
from hypothesis import given
from hypothesis import strategies as st

from mox.config.scalars import (
    format_duration,
    format_scalar,
    parse_bool,
    parse_duration,
    parse_float,
    parse_int,
    parse_scalar,
)
from mox.config.schema import SCALARS, Kind


def test_bool() -> None:
    assert parse_bool("true") is True
    assert parse_bool("false") is False


@pytest.mark.parametrize("text", ["", "True", "yes", "1", " true", "true "])
def test_bad_bool(text: str) -> None:
    with pytest.raises(ValueError, match="expected true or false"):
        parse_bool(text)


@pytest.mark.parametrize(
    ("text", "value"),
    [("0", 0), ("007", 7), ("-5", -5), ("+5", 5), ("9223372036854775807", 2**63 - 1)],
)
def test_int(text: str, value: int) -> None:
    assert parse_int(text) == value


@pytest.mark.parametrize(
    "text", ["", "1_000", "1.0", "0x1", " 1", "1 ", "９", "9223372036854775808", "1" * 5000]
)
def test_bad_int(text: str) -> None:
    with pytest.raises(ValueError, match="integer"):
        parse_int(text)


@pytest.mark.parametrize(
    ("text", "value"), [("0.95", 0.95), ("1e-2", 0.01), (".5", 0.5), ("-3.", -3.0), ("2", 2.0)]
)
def test_float(text: str, value: float) -> None:
    assert parse_float(text) == value


@pytest.mark.parametrize("text", ["", ".", "nan", "inf", "0x1p2", "1_0", "1e", "e5"])
def test_bad_float(text: str) -> None:
    with pytest.raises(ValueError, match="expected a number"):
        parse_float(text)


@pytest.mark.parametrize(
    ("text", "seconds", "written"),
    [
        ("24h", 86400, "24h0m0s"),
        ("15s", 15, "15s"),
        ("1m30s", 90, "1m30s"),
        ("1.5s", 1.5, "1.5s"),
        ("0", 0, "0s"),
        ("0s", 0, "0s"),
        ("100ms", 0.1, "100ms"),
        ("1.5ms", 0.0015, "1.5ms"),
        ("5us", 0.000005, "5µs"),
        ("5µs", 0.000005, "5µs"),
        ("-1h", -3600, "-1h0m0s"),
        ("+1h", 3600, "1h0m0s"),
        ("1h1h", 7200, "2h0m0s"),
        (".5h", 1800, "30m0s"),
        ("1.h", 3600, "1h0m0s"),
        ("3000ns", 0.000003, "3µs"),
    ],
)
def test_duration(text: str, seconds: float, written: str) -> None:
    duration = parse_duration(text)
    assert duration == timedelta(seconds=seconds)
    assert format_duration(duration) == written


@pytest.mark.parametrize(
    "text", ["", "5", "1d", "1w", "h", ".h", "1h 2m", "-", "1hx", "1H", "999999999h", "1h" * 200]
)
def test_bad_duration(text: str) -> None:
    with pytest.raises(ValueError, match="duration"):
        parse_duration(text)


@given(st.timedeltas(timedelta(days=-100000), timedelta(days=100000)))
def test_durations_survive(duration: timedelta) -> None:
    assert parse_duration(format_duration(duration)) == duration


@given(st.floats(allow_nan=False, allow_infinity=False))
def test_floats_survive(value: float) -> None:
    assert parse_float(format_scalar(value)) == value


@given(st.sampled_from(sorted(SCALARS, key=str)), st.text(max_size=30))
def test_any_text_gives_a_value_or_a_value_error(kind: Kind, text: str) -> None:
    try:
        parse_scalar(kind, text)
    except ValueError as err:
        assert str(err)
