from __future__ import annotations

import time

import pytest
from hypothesis import given
from hypothesis import strategies as st

from mox.message import parse
from mox.message.preview import MAX_CHARS, html_lines, preview


def shown(body: str, content_type: str = "text/plain; charset=utf-8") -> str:
    raw = f"Content-Type: {content_type}\n\n{body}".encode()
    return preview(raw, parse(raw, wire=False), wire=False)


@pytest.mark.parametrize(
    ("body", "expected"),
    [
        ("hello\n", "hello"),
        ("  one \n\n two\tthree\n", "one two three"),
        ("", ""),
        ("thanks!\n> quoted\n> more\nbye\n", "thanks! [...] bye"),
        ("On Mon, 1 Jan 2024, Jane wrote:\n> quoted\n\nyes\n", "[...] yes"),
        ("text\n-- \nJane\nThe Company\n", "text"),
        ("a\n---\nb\nc\nd\ne\nf\n", "a --- b c d e f"),
        ("é" * 300, "é" * MAX_CHARS),
    ],
)
def test_plain_text(body: str, expected: str) -> None:
    assert shown(body) == expected


@pytest.mark.parametrize(
    ("body", "expected"),
    [
        ("<p>Hello &amp; <b>wel</b>come</p>", "Hello & welcome"),
        ("<html><head><title>no</title><style>p {}</style></head><body>yes", "yes"),
        ("one<br>two<div>three</div>four", "one two three four"),
        ("a <i> b</i> c", "a b c"),
        ("<blockquote>old<p>older</blockquote><p>new", "[...] new"),
        ("<!-- a > b -->x<!doctype y>z", "xz"),
        ("1 < 2 &lt; 3", "1 < 2 < 3"),
        ("<script>if (a</b) {}</script>after", "after"),
        ("<style>never closed", ""),
        ("text<", "text<"),
        ("text<b", "text"),
    ],
)
def test_html(body: str, expected: str) -> None:
    assert shown(body, "text/html") == expected


MIXED = """\
--b
Content-Type: text/plain
Content-Disposition: attachment

attached
--b
Content-Type: multipart/alternative; boundary=c

--c
Content-Type: text/plain

the text
--c
Content-Type: text/html

<p>the html
--c--
--b--
"""


@pytest.mark.parametrize(
    ("content_type", "expected"),
    [
        ("multipart/mixed; boundary=b", "the text"),
        ("multipart/encrypted; boundary=b", ""),
        # Only what is signed, and that is an attachment.
        ("multipart/signed; boundary=b", ""),
        ("image/png", ""),
        ("message/rfc822", ""),
    ],
)
def test_part_that_is_shown(content_type: str, expected: str) -> None:
    assert shown(MIXED, content_type) == expected


@given(st.text(alphabet="<>/!-&; abpP\n\t\"'scriptyle\x00é"))
def test_any_html_gives_a_short_line(text: str) -> None:
    html_lines(text)
    found = shown(text, "text/html; charset=utf-8")
    assert len(found) <= MAX_CHARS
    assert "\n" not in found and found == found.strip()


@pytest.mark.parametrize("piece", ["<", "<b", "<style>", "</", "<!--", "&", "<blockquote>", "--\n"])
def test_a_megabyte_is_linear(piece: str) -> None:
    text = piece * (1_000_000 // len(piece))
    start = time.perf_counter()
    html_lines(text)
    shown(text)
    shown(text, "text/html")
    assert time.perf_counter() - start < 5
