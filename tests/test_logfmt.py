"""Log lines: form, quoting, levels, traces."""

from __future__ import annotations

import io
import logging
from collections.abc import Iterator
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from enum import Enum
from ipaddress import ip_address

import pytest
from hypothesis import given
from hypothesis import strategies as st

from mox import logfmt


@pytest.fixture(autouse=True)
def stream() -> Iterator[io.StringIO]:
    output = io.StringIO()
    logfmt.configure("debug", stream=output)
    yield output
    logfmt.configure()
    logfmt.count_lines(None)


def test_a_line_has_level_message_package_fields(stream: io.StringIO) -> None:
    logfmt.logger("smtpserver").info("delivered", account="mjl", size=12)
    assert stream.getvalue() == 'l=info m="delivered" pkg=smtpserver account=mjl size=12\n'


def test_the_error_comes_before_the_package(stream: io.StringIO) -> None:
    logfmt.logger("queue").error(
        "dialing", err=OSError(111, "Connection refused"), host="a.example"
    )
    assert stream.getvalue() == (
        'l=error m="dialing" err="[Errno 111] Connection refused" pkg=queue host=a.example\n'
    )


def test_bound_fields_follow_and_the_cid_is_last_and_hexadecimal(stream: io.StringIO) -> None:
    log = logfmt.logger("imapserver").bind(cid=0x1A208A0D85A, remote_ip=ip_address("::1"))
    log.bind(account="mjl").debug("command", cmd="FETCH")
    assert stream.getvalue() == (
        'l=debug m="command" pkg=imapserver cmd=FETCH remote_ip=::1 account=mjl cid=1a208a0d85a\n'
    )


def test_a_cid_of_the_call_replaces_the_bound_one(stream: io.StringIO) -> None:
    logfmt.logger("queue").bind(cid=1).info("x", cid=255)
    assert stream.getvalue() == 'l=info m="x" pkg=queue cid=ff\n'


@dataclass(frozen=True)
class Pair:
    left: int
    right: str


class Colour(Enum):
    RED = "red"


@pytest.mark.parametrize(
    ("value", "expected"),
    [
        ("plain", "plain"),
        ("", ""),
        ("two words", '"two words"'),
        ('say "hi"', r'"say \"hi\""'),
        ("back\\slash", r'"back\\slash"'),
        ("a=b", '"a=b"'),
        ("line\r\nbreak\ttab", r'"line\r\nbreak\ttab"'),
        ("\x1b[31mred\x7f", r'"\x1b[31mred\x7f"'),
        ("grüße", '"grüße"'),
        ("right\u202eleft", r'"right\u202eleft"'),
        ("\U000e0001", r'"\U000e0001"'),
        (True, "true"),
        (None, ""),
        (1.5, "1.5"),
        (b"\x00\xff\xfe", "AP_-"),
        (Colour.RED, "red"),
        (["a", "b"], "[a,b]"),
        ([1, 2], "[1;2]"),
        ((), "[]"),
        (Pair(1, "x"), '"left=1 right=x"'),
        (datetime(2026, 11, 23, 15, 0, tzinfo=UTC), "2026-11-23T15:00:00Z"),
        (timedelta(seconds=90), "1m30s"),
        (ip_address("192.0.2.1"), "192.0.2.1"),
        (ValueError("bad"), '"ValueError: bad"'),
        (KeyError("k"), "\"KeyError: 'k'\""),
        (logging.Filter, "\"<class 'logging.Filter'>\""),
    ],
)
def test_values(value: object, expected: str) -> None:
    assert logfmt.render(value) == expected


@pytest.mark.parametrize(
    ("seconds", "expected"),
    [
        (0, "0s"),
        (0.25, "250ms"),
        (0.00002, "20µs"),
        (0.000000005, "5ns"),
        (1.5, "1.5s"),
        (60, "1m0s"),
        (3723.5, "1h2m3.5s"),
        (259200, "72h0m0s"),
        (-2, "-2s"),
    ],
)
def test_durations(seconds: float, expected: str) -> None:
    assert logfmt.go_duration(seconds) == expected


@given(st.text(), st.text())
def test_no_value_can_forge_a_line_or_a_field(message: str, value: str) -> None:
    output = io.StringIO()
    logfmt.configure("info", stream=output)
    logfmt.logger("mox").info(message, field=value, last=1)
    line = output.getvalue()
    assert line.endswith(" last=1\n")
    assert line.count("\n") == 1
    assert line[:-1].isprintable()
    rendered = logfmt.render(value)
    assert rendered.startswith('"') or not set(rendered) & set(' ="\\')


def test_levels_per_package(stream: io.StringIO) -> None:
    queue, smtp = logfmt.logger("queue"), logfmt.logger("smtpserver")
    logfmt.configure("error", {"queue": "info"}, stream)
    queue.info("shown")
    queue.debug("hidden")
    smtp.warn("hidden")
    smtp.fatal("shown too")
    smtp.print("and this")
    assert [line.split()[0] for line in stream.getvalue().splitlines()] == [
        "l=info",
        "l=fatal",
        "l=print",
    ]
    assert logfmt.levels() == ("error", {"queue": "info"})
    assert queue.enabled("info")
    assert not smtp.enabled("info")


def test_an_unknown_level_is_refused() -> None:
    with pytest.raises(KeyError):
        logfmt.configure("loud")


@pytest.mark.parametrize(
    ("level", "expected"),
    [
        ("debug", []),
        ("trace", ['l=trace m="C: line" pkg=p size=4', 'm="C: ***"', 'm="C: ..." pkg=p size=4']),
        ("traceauth", ['m="C: line"', 'l=traceauth m="C: auth" pkg=p size=4', 'm="C: ..."']),
        ("tracedata", ['m="C: line"', 'm="C: auth"', 'l=tracedata m="C: data" pkg=p size=4']),
    ],
)
def test_traces_hide_what_their_level_does_not_show(
    stream: io.StringIO, level: str, expected: list[str]
) -> None:
    log = logfmt.logger("p")
    logfmt.configure(level, stream=stream)
    assert log.trace_enabled() == (level != "debug")
    log.trace_protocol("C: ", b"line")
    log.trace_protocol("C: ", b"auth", "auth")
    log.trace_protocol("C: ", b"data", "data")
    lines = stream.getvalue().splitlines()
    assert len(lines) == len(expected)
    for line, part in zip(lines, expected, strict=True):
        assert part in line


def test_the_size_of_a_hidden_password_is_hidden(stream: io.StringIO) -> None:
    logfmt.configure("trace", stream=stream)
    logfmt.logger("p").trace_protocol("C: ", b"secret", "auth")
    assert stream.getvalue() == 'l=trace m="C: ***" pkg=p\n'


def test_traced_bytes_that_are_no_text_are_escaped(stream: io.StringIO) -> None:
    logfmt.configure("trace", stream=stream)
    logfmt.logger("p").trace_protocol("C: ", b"a\xff\r\n")
    assert stream.getvalue() == 'l=trace m="C: a\\\\xff\\r\\n" pkg=p size=4\n'


def test_an_exception_has_its_stack_in_the_line(stream: io.StringIO) -> None:
    try:
        int("x")
    except ValueError:
        logfmt.logger("serve").exception("failed", step=1)
    line = stream.getvalue()
    assert line.count("\n") == 1
    assert 'err="ValueError: invalid literal' in line
    assert 'stack="Traceback (most recent call last):\\n' in line


def test_human_form(stream: io.StringIO) -> None:
    logfmt.configure("info", stream=stream, human=True)
    logfmt.logger("config").warn("odd", err="too odd", line=3)
    assert stream.getvalue() == "warn: odd: too odd; line=3\n"


def test_lines_are_counted(stream: io.StringIO) -> None:
    counted: list[str] = []
    logfmt.count_lines(counted.append)
    logfmt.logger("p").warn("x")
    logfmt.logger("p").trace("hidden")
    assert counted == ["warn"]


def test_a_broken_stream_does_not_stop_the_program() -> None:
    class Broken(io.StringIO):
        def write(self, _text: str) -> int:
            raise BrokenPipeError

    logfmt.configure("info", stream=Broken())
    logfmt.logger("p").info("x")


def test_lines_of_libraries_come_in_our_form(stream: io.StringIO) -> None:
    handler = logfmt.StdlibHandler(logfmt.logger("mox"))
    library = logging.getLogger("library.of.others")
    library.addHandler(handler)
    try:
        library.warning("a %s", "b")
        library.error("c")
    finally:
        library.removeHandler(handler)
    assert stream.getvalue().splitlines() == [
        'l=warn m="a b" pkg=mox source=library.of.others',
        'l=error m="c" pkg=mox source=library.of.others',
    ]
