from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from mox.smtp.extensions import Extensions, parse_extensions


def test_all_that_we_use() -> None:
    lines = """PIPELINING|size 1000|StartTLS|8BITMIME|SMTPUTF8|REQUIRETLS|ENHANCEDSTATUSCODES|
AUTH plain LOGIN|LIMITS MAILMAX=5 RCPTMAX=20 X=1|XFOO bar""".replace("\n", "").split("|")
    extensions = parse_extensions(lines)
    assert extensions.pipelining
    assert extensions.starttls
    assert extensions.eight_bit
    assert extensions.smtputf8
    assert extensions.requiretls
    assert extensions.enhanced_codes
    assert extensions.size == 1000
    assert extensions.auth == ("PLAIN", "LOGIN")
    assert (extensions.mail_max, extensions.rcpt_max, extensions.rcpt_domain_max) == (5, 20, None)


@pytest.mark.parametrize(
    ("line", "expected"),
    [
        ("SIZE", Extensions(size=0)),
        ("SIZE 0", Extensions(size=0)),
        ("SIZE many", Extensions(size=0)),
        ("AUTH", Extensions()),
        ("LIMITS", Extensions()),
        ("LIMITS RCPTMAX=1000000", Extensions()),
        ("LIMITS RCPTMAX=10 MAILMAX=x", Extensions()),
        ("LIMITS RCPTMAX=10 MAILMAX", Extensions()),
        ("limits rcptmax=10  rcptdomainmax=1", Extensions(rcpt_max=10, rcpt_domain_max=1)),
        ("", Extensions()),
    ],
)
def test_lines(line: str, expected: Extensions) -> None:
    assert parse_extensions([line]) == expected


@given(st.lists(st.text(max_size=60)))
def test_never_raises(lines: list[str]) -> None:
    parse_extensions(lines)
