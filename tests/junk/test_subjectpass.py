from __future__ import annotations

import base64

import pytest
from hypothesis import given
from hypothesis import strategies as st

from mox.junk.subjectpass import generate, verify

KEY = b"secretkey0123456"
NOW = 1700000000
PERIOD = 12 * 3600
ME = "mjl@mox.example"


@pytest.mark.parametrize(
    ("sender", "token"),
    [
        ("mjl@mox.example", "(pass:AGVT8ZsS30DOCUokUeWb7g)"),
        ("mjl@bücher.example", "(pass:AGVT8Wd-LRxkLwn0ybk55Q)"),
    ],
)
def test_known_tokens(sender: str, token: str) -> None:
    assert generate(KEY, sender, NOW) == token
    assert verify(f"hello {token} there", KEY, sender, NOW, PERIOD) == ""


def test_token_expires() -> None:
    subject = "Re: x " + generate(KEY, ME, NOW)
    made = NOW & ~0xFF
    assert verify(subject, KEY, ME, made + PERIOD, PERIOD) == ""
    assert verify(subject, KEY, ME, made + PERIOD + 1, PERIOD) == "expired token"


def test_token_of_the_future_is_refused() -> None:
    assert verify(generate(KEY, ME, NOW + 1000), KEY, ME, NOW, PERIOD) == "expired token"


def test_token_is_for_one_sender_and_one_recipient() -> None:
    token = generate(KEY, ME, NOW)
    assert verify(token, KEY, "other@mox.example", NOW, PERIOD) == "token of another sender"
    assert verify(token, b"another key 0000", ME, NOW, PERIOD) == "token of another sender"


def test_first_token_counts() -> None:
    subject = generate(KEY, "other@mox.example", NOW) + generate(KEY, ME, NOW)
    assert verify(subject, KEY, ME, NOW, PERIOD) == "token of another sender"


@pytest.mark.parametrize(
    ("subject", "problem"),
    [
        ("", "no token"),
        ("hello", "no token"),
        ("(pass:", "no token"),
        ("(pass:)", "bad token"),
        ("(pass:!!!)", "bad token"),
        ("(pass:é)", "bad token"),
        ("(pass:AGVT8ZsS30DOCUokUeWb)", "bad token"),
        ("(pass:AGVT8ZsS30DOCUokUeWb7gAA)", "bad token"),
        (f"(pass:{'A' * 1000000})", "no token"),
        ("(pass:" * 100000, "no token"),
    ],
)
def test_what_is_no_token(subject: str, problem: str) -> None:
    assert verify(subject, KEY, ME, NOW, PERIOD) == problem


def test_other_version_is_refused() -> None:
    octets = bytearray(base64.urlsafe_b64decode(generate(KEY, ME, NOW)[6:-1] + "=="))
    octets[0] |= 0x10
    token = f"(pass:{base64.urlsafe_b64encode(octets).rstrip(b'=').decode()})"
    assert verify(token, KEY, ME, NOW, PERIOD) == "bad token"


@given(st.text())
def test_nothing_that_is_made_up_is_let_in(subject: str) -> None:
    assert verify(f"(pass:{subject})", KEY, ME, NOW, PERIOD) != ""


@given(st.integers(256, (1 << 36) - (1 << 21)), st.text(), st.integers(0, 1 << 20))
def test_token_is_good_for_its_period(now: int, sender: str, later: int) -> None:
    problem = verify(generate(KEY, sender, now), KEY, sender, now + later, later + 256)
    assert problem == ""
