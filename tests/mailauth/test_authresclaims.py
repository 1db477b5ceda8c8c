"""Authentication-Results fields of others that claim to be ours do not get through."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from mox.address import parse_domain
from mox.mailauth.authresclaims import without_claims

OURS = {parse_domain("mox.example"), parse_domain("post.köln.example")}
BEFORE = b"Received: from x\r\n\tby y\r\nauthentication-results-x: mox.example; dkim=pass\r\n"
AFTER = b"From: a@example.org\r\nX: Authentication-Results: mox.example\r\n\r\n"


@pytest.mark.parametrize(
    "field",
    [
        "Authentication-Results: mox.example; dkim=pass header.d=bank.example",
        "Authentication-Results:mox.example;dkim=pass",
        "AUTHENTICATION-RESULTS: MOX.Example; dkim=pass",
        "Authentication-Results : mox.example; dkim=pass",
        "Authentication-Results:\r\n mox.example;\r\n\tdkim=pass",
        "Authentication-Results:\n\tmox.example; dkim=pass",
        "Authentication-Results: mox.example 1; dkim=pass",
        "Authentication-Results: mox.example. ; dkim=pass",
        "Authentication-Results: mox.example",
        "Authentication-Results: mox.example(x); dkim=pass",
        "Authentication-Results: mox.example, other; dkim=pass",
        "Authentication-Results: (a (nested) comment) mox.example; dkim=pass",
        "Authentication-Results: (\\) other.example;) mox.example; dkim=pass",
        'Authentication-Results: "mox.example"; dkim=pass',
        "Authentication-Results: post.köln.example; dkim=pass",
        "Authentication-Results: post.xn--kln-sna.example; dkim=pass",
        "Authentication-Results: POST.KÖLN.example; dkim=pass",
        # What cannot be read is read by others in their own way.
        "Authentication-Results: (mox.example; dkim=pass",
        "Authentication-Results: ; dkim=pass",
        "Authentication-Results:",
        "Authentication-Results: )mox.example; dkim=pass",
    ],
)
def test_field_that_claims_to_be_ours_goes(field: str) -> None:
    section = BEFORE + field.encode() + b"\r\n" + AFTER
    assert without_claims(section, OURS) == BEFORE + AFTER
    twice = BEFORE + 2 * (field.encode() + b"\r\n") + AFTER
    assert without_claims(twice, OURS) == BEFORE + AFTER


@pytest.mark.parametrize(
    "field",
    [
        "Authentication-Results: other.example; dkim=pass",
        "Authentication-Results: sub.mox.example; dkim=pass",
        "Authentication-Results: notmox.example; dkim=pass",
        "Authentication-Results: mox.example.evil.net; dkim=pass",
        "Authentication-Results: (mox.example) other.example; dkim=pass",
        "Authentication-Results: other.example; x=mox.example",
        "Authentication-Results: 192.0.2.1; dkim=pass",
        "ARC-Authentication-Results: i=1; mox.example; dkim=pass",
        "X-Authentication-Results: mox.example; dkim=pass",
    ],
)
def test_field_of_others_stays(field: str) -> None:
    section = BEFORE + field.encode() + b"\r\n" + AFTER
    assert without_claims(section, OURS) == section


def test_field_at_the_very_end_goes() -> None:
    assert without_claims(b"A: b\r\nAuthentication-Results: mox.example", OURS) == b"A: b\r\n"


_lines = st.sampled_from(
    [b"Authentication-Results:", b" mox.example", b"(", b")", b"\r\n", b"\n", b"\t", b"\r", b";"]
)


@given(st.lists(_lines | st.binary(max_size=5)).map(b"".join))
def test_any_octets_lose_only_such_fields(section: bytes) -> None:
    result = without_claims(section, OURS)
    assert without_claims(result, OURS) == result
    if b"authentication-results" not in section.lower():
        assert result == section


def test_megabytes_are_no_trouble() -> None:
    section = b"Authentication-Results: " + b"(" * 2_000_000 + b"\r\n" + b"A: b\r\n" * 100_000
    assert without_claims(section, OURS) == b"A: b\r\n" * 100_000
