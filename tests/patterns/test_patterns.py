"""Patterns of the configuration: RE2's syntax, linear on hostile text."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from mox import patterns


@pytest.mark.parametrize(
    ("pattern", "text", "expected"),
    [
        ("b", "abc", True),
        ("^b", "abc", False),
        (r"^abc\z", "abc", True),
        ("[[:alpha:]]+[.]", "lists.example", True),
        (r"\pL", "é", True),
        ("(?i)LISTS", "lists", True),
        ("", "anything", True),
        ("^x$", "a\nx\nb", False),
        ("ü", "bücher", True),
    ],
)
def test_patterns_match_anywhere(pattern: str, text: str, expected: bool) -> None:
    assert patterns.matches(pattern, text) is expected


@pytest.mark.parametrize("pattern", ["(", "*", "(?=a)", r"(a)\1", "[z-a]", "a{2000}"])
def test_bad_patterns_are_told(pattern: str) -> None:
    with pytest.raises(ValueError, match=r"bad regular expression: ."):
        patterns.check(pattern)


@given(st.text(max_size=40))
def test_any_pattern_compiles_or_is_a_value_error(text: str) -> None:
    try:
        patterns.check(text)
    except ValueError as e:
        assert str(e)


def test_patterns_that_backtrack_elsewhere_end() -> None:
    assert not patterns.matches("^(a+)+$", "a" * 200_000 + "b")
