"""Requests within the limit of the whole that would keep the server busy."""

from __future__ import annotations

import io
from typing import Any
from urllib.parse import quote, quote_plus

import pytest
from hypothesis import given
from hypothesis import strategies as st

from mox.web.webapi import addressing
from mox.web.webapi.errors import CallError
from mox.web.webapi.forms import MAX_REQUEST_OCTETS, read_request
from mox.web.webapi.sizes import MAX_FLAGS, check_flags, check_sizes
from mox.webapi.types import ErrorCode, File, NameAddress, SendRequest

SUBJECT = "s" * 65_536
FILE = File(name="a.txt")


@pytest.mark.parametrize(
    "fields",
    [
        {"subject": SUBJECT},
        {"references": ("<a@b.example>",) * 5000},
        {"headers": (("X-A", "b"),) * 1000},
        {"attached_files": (FILE,) * 500, "inline_files": (FILE,) * 500},
        {"extra": {"k": "v" * 65_000}},
        {"to": (NameAddress("", "user@example.org"),) * 10_000},
        {"text": "x" * 10_000_000, "html": "x" * 10_000_000},
    ],
)
def test_what_programs_send_is_within_the_limits(fields: dict[str, Any]) -> None:
    check_sizes(SendRequest(**fields))


@pytest.mark.parametrize(
    ("fields", "says"),
    [
        ({"subject": f"{SUBJECT}s"}, "Subject is longer than 65536"),
        ({"references": ("<a@b.example>",) * 5500}, "References is longer"),
        ({"headers": (("X-A", "b"),) * 1001}, "more than 1000 Headers"),
        ({"headers": (("X-A", "b" * 600_000),)}, "header of the message"),
        ({"attached_files": (FILE,) * 500, "inline_files": (FILE,) * 501}, "more than 1000 Files"),
        ({"attached_files": (File(name="n" * 1001),)}, "Name of a file is longer"),
        ({"extra": {"k" * 40_000: "v" * 40_000}}, "Extra is longer"),
        ({"to": (NameAddress("n" * 50, ""),) * 12_000}, "header of the message"),
        ({"from_": (NameAddress("n" * 600_000, ""),)}, "header of the message"),
    ],
)
def test_more_is_refused(fields: dict[str, Any], says: str) -> None:
    with pytest.raises(CallError, match=says) as caught:
        check_sizes(SendRequest(**fields))
    assert caught.value.code is ErrorCode.USER


def test_flags_are_counted() -> None:
    check_flags(("\\Seen",) * MAX_FLAGS)
    with pytest.raises(CallError, match="more than 1000 flags"):
        check_flags(("\\Seen",) * (MAX_FLAGS + 1))


def test_an_address_without_end_is_not_repeated_in_the_error() -> None:
    with pytest.raises(CallError, match="longer than 1000") as caught:
        addressing.parse("ü" * 3_000_000)
    assert caught.value.code is ErrorCode.BAD_ADDRESS
    assert len(caught.value.message) < 1100


# ---- forms


def urlencoded(body: bytes) -> bytes:
    environ = {
        "CONTENT_TYPE": "application/x-www-form-urlencoded",
        "wsgi.input": io.BytesIO(body),
    }
    uploads: Any = None  # there are none in this kind of form
    return read_request(environ, uploads, max_file_octets=1)


@given(st.binary(min_size=1), st.sampled_from(["", "%+=&"]))
def test_escapes_are_undone(value: bytes, safe: str) -> None:
    assert urlencoded(b"request=" + quote_plus(value).encode()) == value
    assert urlencoded(b"a=b&request=" + quote(value, safe="").encode() + b"&request=x") == value
    sparse = b"".join(b"%%%02x" % c if c in b"%+&" else bytes([c]) for c in value)
    assert urlencoded(b"request=" + sparse) == value


@pytest.mark.parametrize("body", [b"", b"request", b"request=", b"Request=x", b"xrequest=x", b"&"])
def test_a_form_without_request(body: bytes) -> None:
    with pytest.raises(CallError, match="missing/empty request"):
        urlencoded(body)


@pytest.mark.parametrize("value", [b"%", b"%2", b"%zz", b"a%0gb", b"%%41"])
def test_a_form_with_a_broken_escape(value: bytes) -> None:
    with pytest.raises(CallError, match="invalid url escape"):
        urlencoded(b"request=" + value)


def test_a_form_of_nothing_but_separators() -> None:
    with pytest.raises(CallError, match="missing/empty request"):
        urlencoded(b"&" * MAX_REQUEST_OCTETS)
    assert urlencoded(b"request=" + b"%26" * (MAX_REQUEST_OCTETS // 3 - 4)).strip(b"&") == b""
