"""Content of parts in pieces: the same octets as at once."""

from __future__ import annotations

import base64

import pytest
from hypothesis import given
from hypothesis import strategies as st

from mox.message import parse
from mox.message.piecewise import decoded_pieces, decoded_size
from mox.message.transfer import decode_transfer

ENCODINGS = ["BASE64", "QUOTED-PRINTABLE", "7BIT", "8BIT", "BINARY"]


def _message(encoding: str, body: bytes) -> bytes:
    return b"Content-Transfer-Encoding: %b\n\n%b" % (encoding.encode(), body)


def _check(encoding: str, body: bytes) -> None:
    data = _message(encoding, body)
    part = parse(data, wire=False)
    expected = decode_transfer(body.replace(b"\n", b"\r\n"), encoding)
    assert b"".join(decoded_pieces(data, part, wire=False)) == expected
    assert decoded_size(data, part, wire=False) == len(expected)
    wire = data.replace(b"\n", b"\r\n")
    part = parse(wire)
    assert b"".join(decoded_pieces(wire, part, wire=True)) == expected
    assert decoded_size(wire, part, wire=True) == len(expected)


@pytest.mark.parametrize("encoding", ENCODINGS)
@pytest.mark.parametrize(
    "body",
    [
        b"",
        b"plain\ntext \nwith=20some=\nmore =\n",
        base64.encodebytes(bytes(range(256)) * 2000),
        base64.b64encode(b"x" * 200_000),
        b"YQ==\nYg==\n" * 20_000,
        b"=" * 100_000,
        b"YWI" + b"\n" * 70_000 + b"=\n--",
        b"=41=\n" * 40_000,
        b"a" * 150_000 + b"=3D\n" + b" " * 70_000 + b"\nend",
    ],
)
def test_pieces_of_long_content_join_to_the_whole(encoding: str, body: bytes) -> None:
    _check(encoding, body)


@given(st.sampled_from(ENCODINGS), st.text(alphabet="aZ9+/= \n-\t", max_size=40))
def test_pieces_of_any_content_join_to_the_whole(encoding: str, text: str) -> None:
    _check(encoding, text.encode())


def test_an_unknown_encoding_and_a_multipart_come_as_they_are() -> None:
    data = _message("x-rot13", b"nop\n")
    assert b"".join(decoded_pieces(data, parse(data, wire=False), wire=False)) == b"nop\r\n"
    data = b"Content-Type: multipart/mixed; boundary=b\n\n--b\n\nhi\n--b--\n"
    part = parse(data, wire=False)
    assert b"".join(decoded_pieces(data, part, wire=False)) == b"--b\r\n\r\nhi\r\n--b--\r\n"
