from __future__ import annotations

import time

import pytest
from hypothesis import given
from hypothesis import strategies as st

from mox.collation import casemap, fold, folded


@pytest.mark.parametrize(
    ("text", "key"),
    [
        ("abc", "ABC"),
        ("\u00e9", "E\u0301"),
        ("E\u0301", "E\u0301"),
        ("\u00c5", "A\u030a"),
        # RFC 5051 §2.3: simple titlecase mappings only, so these stay as they are.
        ("\u00df", "\u00df"),
        ("\ufb01", "fi"),
        # ... and the digraph dz with caron has a titlecase of its own.
        ("\u01c6", "Dz\u030c"),
        ("\u03c3\u03c2", "\u03a3\u03a3"),
        ("\uff21", "A"),
    ],
)
def test_casemap(text: str, key: str) -> None:
    assert casemap(text) == key


@pytest.mark.parametrize(
    ("text", "other"),
    [
        ("Stra\u00dfe", "STRASSE"),
        ("\ufb01le", "FILE"),
        ("\u01c4", "\u01c6"),
        ("caf\u00e9", "CAFE\u0301"),
    ],
)
def test_fold_joins_what_differs_in_case_only(text: str, other: str) -> None:
    assert fold(text) == fold(other)


@given(st.text(), st.text())
def test_what_casemap_makes_equal_fold_makes_equal(first: str, second: str) -> None:
    for text in (first, second):
        assert fold(casemap(text)) == fold(text)
    if casemap(first) == casemap(second):
        assert fold(first) == fold(second)


@given(st.text())
def test_folding_twice_changes_nothing(text: str) -> None:
    assert fold(fold(text)) == fold(text)
    assert folded(text).decode("utf-8", "surrogatepass") == fold(text)


def test_a_megabyte_folds_in_linear_time() -> None:
    start = time.perf_counter()
    fold("\u00e9" * 1_000_000)
    casemap("\u00df\u00e9" * 500_000)
    assert time.perf_counter() - start < 10
