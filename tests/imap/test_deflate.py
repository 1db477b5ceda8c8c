from __future__ import annotations

import zlib

import pytest
from hypothesis import given
from hypothesis import strategies as st

from mox.imap.deflate import PIECE, Compression, DeflateError


def everything(compression: Compression) -> bytes:
    pieces = []
    while compression.pending:
        pieces.append(compression.read())
        assert len(pieces[-1]) <= PIECE
    return b"".join(pieces)


@given(st.lists(st.binary(max_size=300), max_size=20), st.sets(st.integers(0, 20)))
def test_what_goes_in_comes_out(pieces: list[bytes], rests: set[int]) -> None:
    """Also when the compressor is given back in between."""
    one, other = Compression(), Compression()
    for n, piece in enumerate(pieces):
        if n in rests:
            one.rest()
        other.feed(one.compress(piece))
        assert everything(other) == piece
        assert other.read() == b""


def test_octet_by_octet() -> None:
    one, other = Compression(), Compression()
    out = b""
    for octet in one.compress(b"a1 noop\r\na2 noop\r\n"):
        other.feed(bytes([octet]))
        out += everything(other)
    assert out == b"a1 noop\r\na2 noop\r\n"


def test_a_bomb_comes_out_in_pieces() -> None:
    one, other = Compression(), Compression()
    bomb = one.compress(bytes(10_000_000))
    assert len(bomb) < 100_000
    other.feed(bomb)
    assert len(other.read()) == PIECE
    assert other.pending
    assert len(everything(other)) == 10_000_000 - PIECE


def test_other_levels_and_blocks_are_understood() -> None:
    for level in (0, 1, 9):
        packer = zlib.compressobj(level, zlib.DEFLATED, -15)
        data = packer.compress(b"x" * 1000) + packer.flush(zlib.Z_FULL_FLUSH)
        other = Compression()
        other.feed(data)
        assert everything(other) == b"x" * 1000


@pytest.mark.parametrize("data", [b"\xff\xff\xff\xff", b"a1 noop\r\n"])
def test_what_is_not_deflate_is_an_error(data: bytes) -> None:
    other = Compression()
    other.feed(data)
    with pytest.raises(DeflateError):
        everything(other)
        other.feed(b"\xff" * 100)
        everything(other)


def test_end_of_the_stream_is_an_error() -> None:
    packer = zlib.compressobj(6, zlib.DEFLATED, -15)
    other = Compression()
    other.feed(packer.compress(b"last words") + packer.flush(zlib.Z_FINISH))
    assert other.read() == b"last words"
    other.feed(b"more")
    with pytest.raises(DeflateError):
        other.read()


@given(st.binary(max_size=200))
def test_nothing_but_its_own_error(data: bytes) -> None:
    other = Compression()
    other.feed(data)
    try:
        everything(other)
    except DeflateError:
        return
