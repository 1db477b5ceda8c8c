"""A message read through a window is the same message."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from mox.message import bodystructure, index_facts, parse, walk
from mox.message.piecewise import decoded_pieces, decoded_size
from mox.message.windowed import Windowed
from mox.webapi.reading import show

OCTETS = st.text(alphabet="a-\n\r\0 \xff", max_size=60).map(lambda text: text.encode("latin-1"))


def windowed(data: bytes, window: int) -> Windowed:
    return Windowed(len(data), lambda at, size: data[at : at + size], window=window)


@given(OCTETS, st.integers(1, 12), OCTETS.filter(bool), st.integers(0, 70), st.integers(0, 70))
def test_it_answers_as_bytes_do(data: bytes, window: int, sub: bytes, start: int, end: int) -> None:
    through = windowed(data, window)
    sub = sub[:4]
    assert len(through) == len(data)
    assert bytes(through) == data
    assert through[start:end] == data[start:end]
    assert through.find(sub, start, end) == data.find(sub, start, end)
    assert through.find(sub) == data.find(sub)
    assert through.count(sub[:1], start, end) == data.count(sub[:1], start, end)
    assert through.startswith(sub, start, end) == data.startswith(sub, start, end)
    assert through.isascii() == data.isascii()
    assert through.census() == (data.isascii(), b"\0" in data)
    assert through.find(sub[:1], start, end) == data.find(sub[:1], start, end)
    assert (sub[:1] in through) == (sub[:1] in data)
    if start < len(data):
        assert through[start] == data[start]


def test_what_cannot_be_read_is_missing() -> None:
    through = Windowed(100, lambda at, size: b"ab"[at : at + size], window=8)
    assert (through[1], through[50], through[40:60]) == (ord("b"), 0, b"")
    assert through.find(b"b") == 1
    assert parse(through).end == 100


MESSAGE = b"""\
Subject: =?utf-8?q?caf=C3=A9?=
From: a@b.example
Content-Type: multipart/mixed; boundary=b

preamble
--b
Content-Type: multipart/alternative; boundary="b-b"

--b-b
Content-Type: text/plain; charset=utf-8
Content-Transfer-Encoding: quoted-printable

caf=C3=A9 =
and more
--b-b
Content-Type: text/html

<p>hi</p>
--b-b--
--b
Content-Type: message/rfc822

Subject: inner

text \xc3\xa9
--b
Content-Type: image/png
Content-Transfer-Encoding: base64

iVBORw0KGgo=
--bx
not a delimiter
--b--
epilogue
"""


@pytest.mark.parametrize("wire", [False, True])
@pytest.mark.parametrize("window", [*range(1, 40), 64, 1000])
def test_it_is_understood_the_same(window: int, wire: bool) -> None:
    data = MESSAGE.replace(b"\n", b"\r\n") if wire else MESSAGE
    through = windowed(data, window)
    assert index_facts(through, wire=wire) == index_facts(data, wire=wire)
    root, parts = parse(through, wire=wire), list(walk(parse(data, wire=wire)))
    assert bodystructure(root) == bodystructure(parts[0])
    for part, expected in zip(walk(root), parts, strict=True):
        assert part == expected
        found = b"".join(decoded_pieces(through, part, wire=wire))
        assert found == b"".join(decoded_pieces(data, part, wire=wire))
        assert decoded_size(through, part, wire=wire) == decoded_size(data, part, wire=wire)
    assert show(through, wire=wire) == show(data, wire=wire)


_PIECES = [
    b"--b\n", b"--b--\n", b"\n", b"\n\n", b"\r\n", b"Content-Type: multipart/mixed; boundary=b\n",
    b"Content-Type: message/rfc822\n", b"--bb\n", b"text", b"\0", b"--", b"Subject: x\n",
]  # fmt: skip


@given(st.lists(st.sampled_from(_PIECES), max_size=16).map(b"".join), st.integers(1, 9))
def test_whatever_it_is_it_is_understood_the_same(data: bytes, window: int) -> None:
    for wire in (False, True):
        assert index_facts(windowed(data, window), wire=wire) == index_facts(data, wire=wire)
