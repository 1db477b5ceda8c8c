from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from mox.junk.html import visible_text


def shown(source: str) -> list[str]:
    return visible_text(source).split()


@pytest.mark.parametrize(
    ("source", "expected"),
    [
        ("plain", ["plain"]),
        ("more<br>line", ["more", "line"]),
        ("more<BR/>line", ["more", "line"]),
        ("wor</b>ld and <b>bo</b>ld", ["world", "and", "bold"]),
        ("<p>one</p><p>two</p>", ["one", "two"]),
        ("<td>one</td><td>two", ["one", "two"]),
        ("a<script>var x = '<b>';</script>b", ["a", "b"]),
        ("a<STYLE type='x'>p { }</Style >b", ["a", "b"]),
        ("a<svg><text>hidden</text></svg>b", ["a", "b"]),
        ("a<svg/>b", ["a", "b"]),
        ("a<script>never ends", ["a"]),
        ("a<!-- <b>comment --> -->b", ["a", "-->b"]),
        ("a<!-- never ends", ["a"]),
        ("<!DOCTYPE html>a<?xml version='1'?>b", ["ab"]),
        ("fish &amp; chips &eacute;&#233;&#xe9;", ["fish", "&", "chips", "ééé"]),
        ("&bogus; &#99999999999999999999; &", ["&bogus;", "&#99999999999999999999;", "&"]),
        ('<img src=x alt="two words">', ["two", "words"]),
        ("<img alt='single' src=x>", ["single"]),
        ("<IMG ALT=bare>", ["bare"]),
        ("<img data-alt=no>", []),
        ('<a title="1 > 2">link</a>', ["link"]),
        ("1 < 2 and 3", ["1", "2", "and", "3"]),
        ("<3 love", ["3", "love"]),
        ('<a href="open>text <b>more</b>', ["text", "more"]),
        ("text <a", ["text"]),
        ("</>x", ["x"]),
    ],
)
def test_text_that_is_shown(source: str, expected: list[str]) -> None:
    assert shown(source) == expected


@given(st.text(alphabet="<>/!-\"'=& abimgscript;#x1\n"))
def test_any_input_gives_text(source: str) -> None:
    visible_text(source)


PIECES = (
    """<|<a |<a "|<a '">|<a "" |<!--|<script>|</script|&|&#|<b>|<img |<svg>|<a b="'>|<? """
    """|<img alt='"""
)


@pytest.mark.parametrize("piece", PIECES.split("|"))
def test_a_megabyte_is_read(piece: str) -> None:
    """A quadratic step would take minutes."""
    source = piece * ((1 << 20) // len(piece))
    assert len(visible_text(source)) <= len(source)
