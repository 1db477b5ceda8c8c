from __future__ import annotations

import pytest

from mox.collation import folded
from mox.message.searchable import Searchable, searchable

RAW = b"""\
Subject: =?utf-8?q?h=C3=A9llo?=
X-Long: one
 two
From: Jane <jane@x.example>
Content-Type: multipart/mixed; boundary=b

--b
Content-Type: text/plain; charset=utf-8
Content-Transfer-Encoding: base64

R3LDvMOfZQ==
--b
Content-Type: text/html

<p>end
--b
Content-Type: message/rfc822

Subject: inner

deep
--b--
"""


@pytest.fixture(params=[False, True])
def found(request: pytest.FixtureRequest) -> Searchable:
    wire = request.param
    return searchable(RAW.replace(b"\n", b"\r\n") if wire else RAW, wire=wire)


@pytest.mark.parametrize(
    ("name", "value", "expected"),
    [
        ("subject", "HÉLLO", True),
        ("subject", "h=c3=a9llo", True),
        ("subject", "", True),
        ("x-long", "one two", True),
        ("from", "jane@x", True),
        ("from", "multipart", False),
        ("rom", "jane", False),
        ("bcc", "", False),
    ],
)
def test_fields(found: Searchable, name: str, value: str, expected: bool) -> None:
    assert found.has_field(folded(name), folded(value)) is expected


@pytest.mark.parametrize(
    ("value", "expected"),
    [
        ("GRÜSSE", True),
        ("<p>END", True),
        ("inner", True),
        ("deep", True),
        ("jane", False),
        ("e<p>", False),
    ],
)
def test_body(found: Searchable, value: str, expected: bool) -> None:
    assert (folded(value) in found.body) is expected


def test_header_as_a_whole(found: Searchable) -> None:
    assert folded("from: jane") in found.header
    assert folded("subject: héllo") in found.header
