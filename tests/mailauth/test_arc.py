"""Chains of ValiMail's test suite (data/arc-validation.yml), and what it does not cover.

The suite: https://github.com/ValiMail/arc_test_suite, MIT licence, see data/arc-validation.LICENSE.
"""

from __future__ import annotations

from pathlib import Path

import pytest
import yaml
from hypothesis import given
from hypothesis import strategies as st

from mox.mailauth import arc
from mox.mailauth.content import SignedContent
from mox.mailauth.results import ARCStatus
from tests.mailauth.dkimkeys import KeyZone

SUITE = Path(__file__).parent / "data/arc-validation.yml"
NOW = 1_800_000_000.0

_SCENARIOS = list(yaml.safe_load_all(SUITE.read_bytes()))
_CASES = {
    name: (scenario["txt-records"], test["message"].encode(), test["cv"].lower())
    for scenario in _SCENARIOS
    for name, test in scenario["tests"].items()
}
_KEYS, _THREE_HOPS, _ = _CASES["cv_pass_i3_1"]


def test_the_suite_is_complete() -> None:
    assert len(_CASES) == sum(len(scenario["tests"]) for scenario in _SCENARIOS) == 171


@pytest.mark.parametrize("name", _CASES)
def test_chain_of_the_suite(name: str) -> None:
    keys, message, expected = _CASES[name]
    result = arc.verify(KeyZone(keys), message, NOW)
    # The suite expects nothing where a sealer found the chain broken already: the draft that it
    # was made for stopped there. RFC 8617 §5.2 step 2 calls that a failure.
    assert result.status == (expected or "fail"), result.problem
    assert bool(result.problem) == (result.status is ARCStatus.FAIL)


def test_chain_in_wire_form_is_the_same() -> None:
    content = SignedContent(_THREE_HOPS.replace(b"\n", b"\r\n"), wire=True)
    assert arc.verify(KeyZone(_KEYS), content, NOW).status is ARCStatus.PASS


def test_sealers_are_told_oldest_first() -> None:
    result = arc.verify(KeyZone(_KEYS), _THREE_HOPS, NOW)
    assert result.instance == 3
    assert [str(domain) for domain in result.sealers] == ["example.org"] * 3
    assert result.oldest_pass == 0


def test_oldest_pass_says_since_when_the_message_is_unchanged() -> None:
    keys, message, _ = _CASES["cv_pass_i2_1_ams1_invalid"]
    assert arc.verify(KeyZone(keys), message, NOW).oldest_pass == 2


def test_no_answer_of_dns_is_temporary() -> None:
    resolver = KeyZone(dict.fromkeys(_KEYS, "TIMEOUT"))
    result = arc.verify(resolver, _THREE_HOPS, NOW)
    assert result.status is ARCStatus.TEMPERROR
    assert "timed out" in result.problem


def test_keys_are_looked_up_once() -> None:
    resolver = KeyZone(_KEYS)
    arc.verify(resolver, _THREE_HOPS, NOW)
    assert resolver.asked == ["dummy._domainkey.example.org"]


def test_more_than_fifty_instances_fail_without_a_question() -> None:
    sets = b"".join(
        b"ARC-Seal: i=%d\nARC-Message-Signature: i=%d\nARC-Authentication-Results: i=%d; x\n"
        % (i, i, i)
        for i in range(1, 52)
    )
    resolver = KeyZone({})
    assert arc.verify(resolver, sets + b"\n", NOW).status is ARCStatus.FAIL
    assert resolver.asked == []


def test_time_for_keys_is_limited() -> None:
    times = iter([0.0, 100.0])
    resolver = KeyZone(_KEYS)
    result = arc.verify(resolver, _THREE_HOPS, NOW, clock=lambda: next(times))
    assert result.status is ARCStatus.TEMPERROR
    assert resolver.asked == []


_TAGS = st.lists(
    st.tuples(
        st.sampled_from(["i", "a", "b", "bh", "c", "cv", "d", "h", "s", "t", "x", "l"]),
        st.one_of(
            st.text(max_size=12),
            st.sampled_from(
                ["1", "2", "none", "pass", "rsa-sha256", "example.org", "AAAA", "from"]
            ),
        ),
    ),
    max_size=12,
).map(lambda tags: ";".join(f"{name}={value}" for name, value in tags).encode())


@given(st.lists(st.one_of(_TAGS, st.binary(max_size=40)), min_size=3, max_size=6))
def test_no_fields_raise(values: list[bytes]) -> None:
    names = (b"ARC-Seal", b"ARC-Message-Signature", b"ARC-Authentication-Results")
    fields = [names[i % 3] + b": " + value for i, value in enumerate(values)]
    result = arc.verify(KeyZone(_KEYS), b"\n".join(fields) + b"\nFrom: x\n\n", NOW)
    assert result.status in (ARCStatus.FAIL, ARCStatus.NONE)


@pytest.mark.parametrize(
    ("old", "new", "problem"),
    [
        (b"ARC-Seal: a=", b"ARC-Seal: h=from; a=", "h= in ARC-Seal"),
        (b"ARC-Message-Signature: a=", b"ARC-Message-Signature: l=1; a=", "whole body"),
        (b"ARC-Message-Signature: a=", b"ARC-Message-Signature: x=12346; a=", "expired"),
        (b"ARC-Message-Signature: a=", b"ARC-Message-Signature: z=%b; a=" % (b"z" * 9000), "8192"),
        (b"ARC-Seal: a=rsa-sha256", b"ARC-Seal: a=rsa-sha1", "rsa-sha1 is not accepted"),
    ],
)
def test_what_no_chain_may_have(old: bytes, new: bytes, problem: str) -> None:
    assert old in _THREE_HOPS
    result = arc.verify(KeyZone(_KEYS), _THREE_HOPS.replace(old, new, 1), NOW)
    assert result.status is ARCStatus.FAIL
    assert problem in result.problem


@pytest.mark.parametrize("at", range(0, len(_THREE_HOPS), 7))
def test_any_change_of_a_sealed_chain_is_noticed_or_harmless(at: int) -> None:
    """Flip a bit: the chain breaks, unless nobody signed that place."""
    changed = bytearray(_THREE_HOPS)
    changed[at] ^= 1
    result = arc.verify(KeyZone(_KEYS), bytes(changed), NOW)
    if result.status is ARCStatus.PASS:
        line = _THREE_HOPS.rfind(b"\n", 0, at) + 1
        while _THREE_HOPS[line : line + 1] in b" \t":
            line = _THREE_HOPS.rfind(b"\n", 0, line - 1) + 1
        name = _THREE_HOPS[line:].partition(b":")[0]
        assert name in (b"Return-Path", b"Received", b"Authentication-Results", b"Message-ID")
