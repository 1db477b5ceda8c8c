from __future__ import annotations

import pytest

from mox.config.canonical import LocalpartRules, canonical_localpart
from mox.config.names import account_problem, mailbox_problem


@pytest.mark.parametrize(
    "name", ["Inbox", "a", "Lists/mox dev", "a.b", "...", "ü", "a#", "*%", "a\\b", "Archive/2026"]
)
def test_good_mailbox_names(name: str) -> None:
    assert mailbox_problem(name) == ""


@pytest.mark.parametrize(
    ("name", "problem"),
    [
        ("", "empty"),
        ("/a", "slash"),
        ("a/", "slash"),
        ("a//b", "slash"),
        (".", ". or .."),
        ("a/..", ". or .."),
        ("../a", ". or .."),
        ("#news", "begins with #"),
        ("a\x00", "control"),
        ("a\x1f", "control"),
        ("a\x7f", "control"),
        ("a\x9f", "control"),
        ("a\u2028", "control"),
        ("a\u2029", "control"),
        ("u\u0308", "normalisation"),
    ],
)
def test_bad_mailbox_names(name: str, problem: str) -> None:
    assert problem in mailbox_problem(name)


@pytest.mark.parametrize("name", ["", ".", "..", ".a", "a/b", "a\n", " a", "a ", "x" * 201])
def test_bad_account_names(name: str) -> None:
    assert account_problem(name)


PLUS = LocalpartRules(separators=("+",))
TWO = LocalpartRules(separators=("-", "+"))
LONG = LocalpartRules(separators=("__",))
EXACT = LocalpartRules(case_sensitive=True, separators=("+",))
REPORTS = LocalpartRules(separators=("-",), reports=("dmarc-reports",))


@pytest.mark.parametrize(
    ("localpart", "rules", "canonical"),
    [
        ("User", LocalpartRules(), "user"),
        ("User", EXACT, "User"),
        ("User+Shop", PLUS, "user"),
        ("User+Shop", EXACT, "User"),
        ("a+b+c", PLUS, "a"),
        ("+b", PLUS, ""),
        ("a-b+c", TWO, "a"),
        ("a+b-c", TWO, "a"),
        ("a__b_c", LONG, "a"),
        ("a_b", LONG, "a_b"),
        ("DMARC-Reports", REPORTS, "dmarc-reports"),
        ("dmarc-reports-x", REPORTS, "dmarc-reports"),
        ("dmarc-reportsx", REPORTS, "dmarc"),
        ("dmarc-other", REPORTS, "dmarc"),
        ("ÄÖ", LocalpartRules(), "äö"),
    ],
)
def test_canonical_localparts(localpart: str, rules: LocalpartRules, canonical: str) -> None:
    assert canonical_localpart(localpart, rules) == canonical
