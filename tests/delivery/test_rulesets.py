"""Rulesets: each condition, all of them together, the first that matches, hostile headers."""

from __future__ import annotations

import pytest

from mox.config.destination import Ruleset
from mox.delivery.rulesets import MAX_FIELDS, MAX_VALUE_OCTETS, find_ruleset
from tests.delivery.cases import destination, facts
from tests.delivery.results import authentication

BASE = b"From: Jane <jane@b\xc3\xbccher.example>\nTo: mjl@example.org\n"


def matches(ruleset: Ruleset, head: bytes = b"", **settings: object) -> bool:
    message = facts(BASE + head + b"\nbody\n", **settings)  # type: ignore[arg-type]
    return find_ruleset(destination(ruleset), message) is ruleset


@pytest.mark.parametrize(
    ("pattern", "mail_from", "expected"),
    [
        ("^bounces@", "bounces@lists.example", True),
        ("lists[.]example$", "bounces@lists.example", True),
        ("^lists", "bounces@lists.example", False),
        ("^$", "", True),
        ("xn--bcher-kva", "a@bücher.example", True),
        ("bücher", "a@bücher.example", False),
    ],
)
def test_envelope_sender_in_ascii(pattern: str, mail_from: str, expected: bool) -> None:
    ruleset = Ruleset(smtp_mail_from_regexp=pattern, mailbox="X")
    assert matches(ruleset, mail_from=mail_from) is expected


@pytest.mark.parametrize(
    ("pattern", "expected"),
    [("^jane@bücher[.]example$", True), ("xn--", False), ("Jane <", False), ("jane", True)],
)
def test_author_in_unicode(pattern: str, expected: bool) -> None:
    assert matches(Ruleset(msg_from_regexp=pattern, mailbox="X")) is expected


def test_without_author_no_pattern_for_it_matches() -> None:
    message = facts(b"Subject: x\n\n")
    assert find_ruleset(destination(Ruleset(msg_from_regexp=".*", mailbox="X")), message) is None


@pytest.mark.parametrize(
    ("found", "expected"),
    [
        (authentication(spf_domain="lists.example"), True),
        (authentication(spf_domain="a.lists.example"), True),
        (authentication(spf_domain="mylists.example"), False),
        (authentication(spf_domain="example"), False),
        (authentication(spf_domain="lists.example", spf="neutral"), False),
        (authentication(spf_domain="lists.example", helo=True), True),
        (authentication(spf="none", dkim=("other.example", "b.lists.example")), True),
        (authentication(spf="none"), False),
    ],
)
def test_verified_domain(found: object, expected: bool) -> None:
    assert matches(Ruleset(verified_domain="lists.example", mailbox="X"), found=found) is expected


@pytest.mark.parametrize(
    ("patterns", "expected"),
    [
        ({"^list-id$": "<dev[.]lists>"}, True),
        ({"^list-": "dev"}, True),
        ({"^list-id$": "dev", "^subject$": "hello"}, True),
        ({"^list-id$": "dev", "^subject$": "other"}, False),
        ({"^x-two$": "^second$"}, True),
        ({"^x-two$": "first second"}, False),
        ({"^x-none$": ""}, False),
        ({"subject": "^hello there$"}, True),
        ({"LIST": "."}, False),
    ],
)
def test_header_fields_in_lower_case(patterns: dict[str, str], expected: bool) -> None:
    head = b"List-Id: Dev <DEV.lists>\nX-Two: first\nX-TWO: Second\nSubject:  Hello\n\tThere \n"
    assert matches(Ruleset(headers_regexp=patterns, mailbox="X"), head) is expected


def test_all_conditions_must_match() -> None:
    ruleset = Ruleset(smtp_mail_from_regexp="a@", msg_from_regexp="jane", mailbox="X")
    assert matches(ruleset, mail_from="a@x.example")
    assert not matches(ruleset, mail_from="b@x.example")


def test_a_ruleset_without_conditions_matches_nothing() -> None:
    assert not matches(Ruleset(mailbox="X"))


def test_the_first_that_matches_counts() -> None:
    first = Ruleset(msg_from_regexp="nobody", mailbox="A")
    second = Ruleset(msg_from_regexp="jane", mailbox="B")
    third = Ruleset(msg_from_regexp="jane", mailbox="C")
    message = facts(BASE + b"\n")
    assert find_ruleset(destination(first, second, third), message) is second


def test_what_patterns_see_is_bounded() -> None:
    ruleset = Ruleset(headers_regexp={"^x-last$": "^end$"}, mailbox="X")
    few = b"".join(b"X-%d: y\n" % i for i in range(MAX_FIELDS - 3))
    assert matches(ruleset, few + b"X-Last: end\n")
    many = b"".join(b"X-%d: y\n" % i for i in range(MAX_FIELDS))
    assert not matches(ruleset, many + b"X-Last: end\n")
    long = Ruleset(headers_regexp={"^x-long$": "end$"}, mailbox="X")
    assert matches(long, b"X-Long: " + b"y" * (MAX_VALUE_OCTETS - 4) + b"end\n")
    assert not matches(long, b"X-Long: " + b"y" * MAX_VALUE_OCTETS + b"end\n")


def test_octets_of_any_kind_can_be_matched() -> None:
    head = b"X-Bad: \xff\xfe\x00 caf\xc3\xa9\n"
    assert matches(Ruleset(headers_regexp={"^x-bad$": "café"}, mailbox="X"), head)
