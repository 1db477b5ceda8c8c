from __future__ import annotations

import base64

import pytest
from hypothesis import given
from hypothesis import strategies as st

from mox.junk.params import Params
from mox.junk.tokens import MAX_TOKENS, Tokens, has_bad_type, tokens

TEXT = "Don't miss it's big offer 2024 12345 abc 'quoted' don''t café ab"
ONE = {"don", "miss", "big", "offer", "abc", "quoted", "café"}
TWO = {"don miss", "miss big", "big offer", "offer abc", "abc quoted", "quoted don", "don café"}


def found(message: str | bytes, **params: bool) -> frozenset[str]:
    raw = message.encode() if isinstance(message, str) else message
    result = tokens(raw, Params(**params), wire=False)
    assert result == tokens(raw.replace(b"\n", b"\r\n"), Params(**params), wire=True)
    return result.words


def test_words_and_pairs() -> None:
    message = f"Content-Type: text/plain; charset=utf-8\n\n{TEXT}\n"
    assert found(message) == ONE
    assert found(message, twograms=True) == ONE | TWO
    assert found(message, onegrams=False, twograms=True) == TWO
    triples = found(message, onegrams=False, threegrams=True)
    assert "miss big offer" in triples
    assert len(triples) == 6
    assert found(message, onegrams=False) == frozenset()


def test_message_without_content_type_is_plain_text() -> None:
    assert found(f"X-Other: header\n\n{TEXT}") == ONE


def test_header_words_carry_the_name_of_their_field() -> None:
    message = (
        "from: Jo Smith <jo@shop.example>\nTo: all\nCC: x@y.example\nBcc: hidden\n"
        "reply-to: r\nSubject: Big\n offer, yes\nSender: boss\nReturn-Path: <back@shop.example>\n"
        "X-Other: nothing\nSubject: second\n\n"
    )
    assert found(message) == {
        "From:smith",
        "From:shop",
        "From:example",
        "Cc:example",
        "Bcc:hidden",
        "Subject:offer",
        "Subject:second",
        "Sender:boss",
        "Return-Path:back",
        "Return-Path:shop",
        "Return-Path:example",
    }


def test_encoded_words_are_read() -> None:
    text = base64.b64encode("große Gewinne".encode()).decode()
    assert found(f"Subject: =?utf-8?b?{text}?=\n\n") == {"Subject:große", "Subject:gewinne"}


def test_pairs_in_headers() -> None:
    assert found("Subject: big offer today\n\n", onegrams=False, twograms=True) == {
        "Subject:big offer",
        "Subject:offer today",
    }


def test_all_text_parts_are_read_and_nothing_else() -> None:
    message = (
        'Content-Type: multipart/mixed; boundary="x"\n\n'
        "preamble\n"
        "--x\n\nfirst\n"
        "--x\nContent-Type: text/html; charset=iso-8859-1\n"
        "Content-Transfer-Encoding: quoted-printable\n\n<p>sec=\nond<br>caf=E9</p>\n"
        "--x\nContent-Type: text/x-other\nContent-Transfer-Encoding: base64\n\ndGhpcmQ=\n"
        "--x\nContent-Type: application/pdf\n\nunread\n"
        "--x\nContent-Type: message/rfc822\n\nSubject: inner\n\nfourth\n"
        "--x--\nepilogue\n"
    )
    assert found(message) == {"first", "second", "café", "third", "fourth"}


def test_html_is_not_joined_at_line_breaks() -> None:
    assert found("Content-Type: text/html\n\nmore<br>line wor<b>ld</b>") == {
        "more",
        "line",
        "world",
    }


@pytest.mark.parametrize(
    ("content_type", "bad"),
    [("text/plain", False), ("text", False), (";;;", False), ("a b/c", True), ("nonsense", True)],
)
def test_content_type_that_makes_no_sense_is_told(content_type: str, bad: bool) -> None:
    message = f"Content-Type: {content_type}\n\nhello\n".encode()
    assert tokens(message, Params(), wire=False).has_bad_type is bad
    assert has_bad_type(message, wire=False) is bad


def test_same_tokens_at_every_reading() -> None:
    text = " ".join(
        f"wa{'abcdefghij'[i % 10]}{'aeiou'[i % 5]}te{chr(97 + i % 26)}e{i % 99}o"
        for i in range(50000)
    )
    result = found(f"\n{text}", twograms=True)
    assert len(result) <= MAX_TOKENS
    assert result == found(f"\n{text}", twograms=True)


def test_tokens_fit_into_index_keys() -> None:
    text = " ".join(letter * 300 for letter in "aeiou")
    message = f"Subject: {text} {'aeo' * 166}\n\n{text} é{'a' * 497}o"
    for token in found(message, twograms=True, threegrams=True):
        assert len(token.encode()) <= 500


def nested(levels: int) -> bytes:
    parts = [
        b'Content-Type: multipart/mixed; boundary="b%d"\n\n--b%d\n' % (i, i) for i in range(levels)
    ]
    return b"".join(parts) + b"\ninnermost words\n"


HOSTILE = {
    "nested multiparts": nested(100),
    "nested messages": b"Content-Type: message/rfc822\n\n" * 5000 + b"text",
    "header fields": b"Subject: some words here\n" * 50_000 + b"\nbody",
    "header line": b"Subject: " + b"offer now " * 1_000_000 + b"\n\nbody",
    "encoded words": b"Subject: " + b"=?utf-8?q?a?= " * 500_000 + b"\n\nbody",
    "long line": b"\n" + b"some words " * 900_000,
    "one word": b"\n" + b"a" * 10_000_000,
    "unknown charset": b"Content-Type: text/plain; charset=x-none\n\n\xff\xfe"
    + b"\x80word " * 99999,
    "wrong charset": b"Content-Type: text/plain; charset=utf-16\n\n" + b"odd word" * 300_000 + b"x",
    "utf-7": b"Content-Type: text/plain; charset=utf-7\n\n" + b"+2AA- +3" * 300_000,
    "bad base64": b"Content-Transfer-Encoding: base64\n\n" + b"=A=B!" * 400_000,
    "quoted-printable": b"Content-Transfer-Encoding: quoted-printable\n\n" + b"=\n" * 1_000_000,
    "blanks": b"Content-Transfer-Encoding: quoted-printable\n\n" + b" \t" * 1_000_000 + b"\n",
    "tags": b"Content-Type: text/html\n\n" + b"<a " * 400_000,
    "entities": b"Content-Type: text/html\n\n" + b"&amp;" * 300_000,
    "alternatives": b"Content-Type: text/html\n\n" + b"<img alt='" * 100_000,
    "boundaries": b"Content-Type: multipart/mixed; boundary=x\n\n" + b"--x\n\nword\n" * 100_000,
    "near boundaries": b"Content-Type: multipart/mixed; boundary=x\n\n--x\n" + b"--xy\n" * 200_000,
    "apostrophes": b"\n" + b"'a" * 500_000,
    "nothing": b"",
    "zeros": b"\0" * 1_000_000,
}


@pytest.mark.parametrize("name", HOSTILE)
def test_hostile_message_costs_little(name: str) -> None:
    params = Params(twograms=True, threegrams=True)
    result = tokens(HOSTILE[name], params, wire=False)
    assert len(result.words) <= MAX_TOKENS


@given(st.binary(max_size=2000), st.booleans())
def test_any_octets_are_read(raw: bytes, wire: bool) -> None:
    result = tokens(raw, Params(twograms=True, threegrams=True), wire=wire)
    assert isinstance(result, Tokens)
    for token in result.words:
        assert 2 < len(token.encode()) <= 500


@given(
    st.sampled_from(["utf-8", "utf-16", "utf-7", "iso-2022-jp", "big5", "x"]),
    st.sampled_from(["base64", "quoted-printable", "8bit", "x"]),
    st.sampled_from(["text/html", "text/plain", "message/rfc822", "multipart/mixed;boundary=a"]),
    st.binary(max_size=500),
)
def test_any_body_is_read(charset: str, encoding: str, kind: str, body: bytes) -> None:
    head = f"Content-Type: {kind}; charset={charset}\nContent-Transfer-Encoding: {encoding}\n\n"
    for token in tokens(head.encode() + body, Params(), wire=False).words:
        token.encode()
