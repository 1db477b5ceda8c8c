from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from mox.delivery.headers import Headers

MESSAGE = (
    b"Received: one\nReceived: two\n folded\nFROM: Me <a@b.example>\n"
    b"X-Mox-Extra-Key: v\nMessage-Id:  <1@x> \n\nFrom: body@c.example\n"
)


def test_fields_are_found_by_lower_case_name() -> None:
    headers = Headers(MESSAGE)
    assert headers.count(b"received") == 2
    assert headers.values(b"received") == [b"one", b"two folded"]
    assert headers.first(b"subject") == b""
    assert headers.message_id == "<1@x>"
    assert headers.with_prefix(b"x-mox-extra-") == [(b"key", b"v")]
    assert headers.has_separator
    assert headers.section == MESSAGE[: MESSAGE.index(b"\n\n") + 2]


@pytest.mark.parametrize(
    ("header", "expected"),
    [
        (b"From: a@b.example\n", "a@b.example"),
        (b"From: =?utf-8?q?=C3=BC?= <a@b.example>\n", "a@b.example"),
        (b"From: a@b.example\nFrom: a@b.example\n", None),
        (b"From: a@b.example, c@d.example\n", None),
        (b"From: <>\n", None),
        (b"From: a@-\n", None),
        (b"From:\n", None),
        (b"Subject: x\n", None),
    ],
)
def test_single_from(header: bytes, expected: str | None) -> None:
    author = Headers(header + b"\n").single_from()
    assert (author and str(author)) == expected


def test_missing_separator_is_noticed() -> None:
    assert not Headers(b"From: a@b.example\n").has_separator
    assert not Headers(b"").has_separator
    assert Headers(b"\nbody").has_separator


@given(st.binary(max_size=300))
def test_any_octets_can_be_read(octets: bytes) -> None:
    headers = Headers(octets)
    headers.single_from()
    assert isinstance(headers.message_id, str)
