"""DATA and BDAT content: what comes out is what an independent encoder put in."""

from __future__ import annotations

import re
import time

import pytest
from hypothesis import given
from hypothesis import strategies as st

from mox.smtp.content import ChunkReader, DotReader
from mox.smtp.errors import BadMessage
from mox.smtp.outgoing import DotWriter

# Text with an interest in dots and line ends.
TEXT = st.lists(st.sampled_from([b"\r\n", b".", b"a", b"..", b"\r\n.", b"xyz"])).map(b"".join)
LINES = TEXT.map(lambda text: text if not text or text.endswith(b"\r\n") else text + b"\r\n")
# Anything.
OCTETS = st.lists(st.sampled_from([b"\r\n", b"\r", b"\n", b".", b"a", b"\0"])).map(b"".join)


def cut(data: bytes, sizes: list[int]) -> list[bytes]:
    chunks, at = [], 0
    for size in sizes:
        chunks.append(data[at : at + size])
        at += size
    return [*chunks, data[at:]]


def stuff(content: bytes) -> bytes:
    """The independent encoder: line by line, as RFC 5321 §4.5.2 tells it."""
    lines = content.split(b"\r\n")
    return b"\r\n".join(b"." + line if line.startswith(b".") else line for line in lines)


def is_broken(content: bytes) -> bool:
    return re.search(rb"\r(?!\n)|(?<!\r)\n", content) is not None


def read(chunks: list[bytes]) -> tuple[bytes, bytes | None, bool]:
    reader = DotReader()
    content = b""
    for number, chunk in enumerate(chunks):
        part, rest = reader.feed(chunk)
        content += part
        if rest is not None:
            return content, rest + b"".join(chunks[number + 1 :]), reader.broken
    return content, None, reader.broken


@given(LINES, st.lists(st.integers(0, 7), max_size=30), TEXT)
def test_data_comes_out_identical(content: bytes, sizes: list[int], rest: bytes) -> None:
    wire = stuff(content) + b".\r\n" + rest
    assert read(cut(wire, sizes)) == (content, rest, False)


@given(OCTETS, st.lists(st.integers(0, 3), max_size=30))
def test_data_of_any_kind_ends_only_at_the_true_end(raw: bytes, sizes: list[int]) -> None:
    content, rest, broken = read(cut(raw, sizes))
    end = (b"\r\n" + raw).find(b"\r\n.\r\n")
    if end < 0:
        assert rest is None
        return
    inside = raw[:end]
    assert rest == raw[end + 3 :]
    assert broken == is_broken(inside)
    if not broken:
        assert stuff(content) == inside


@given(OCTETS, st.lists(st.integers(0, 3), max_size=30))
def test_chunks_come_out_identical(raw: bytes, sizes: list[int]) -> None:
    reader = ChunkReader()
    content = b"".join(reader.feed(chunk) for chunk in cut(raw, sizes))
    reader.finish()
    assert reader.broken == is_broken(raw)
    if not reader.broken:
        assert content == raw


@given(LINES, st.lists(st.integers(0, 7), max_size=30))
def test_writer_stuffs_like_the_encoder(content: bytes, sizes: list[int]) -> None:
    writer = DotWriter()
    wire = b"".join(writer.feed(chunk) for chunk in cut(content, sizes)) + writer.finish()
    assert wire == stuff(content) + b".\r\n"


@given(OCTETS, st.lists(st.integers(0, 3), max_size=30))
def test_writer_refuses_what_would_smuggle(raw: bytes, sizes: list[int]) -> None:
    writer = DotWriter()
    try:
        for chunk in cut(raw, sizes):
            writer.feed(chunk)
        end = writer.finish()
    except BadMessage:
        assert is_broken(raw)
    else:
        assert not is_broken(raw)
        # RFC 5321 §4.1.1.4: a message that ends within a line gets its line end.
        assert end == (b".\r\n" if not raw or raw.endswith(b"\r\n") else b"\r\n.\r\n")


@pytest.mark.parametrize("line", [b"x" * 74 + b"\r\n", b"a. b" * 18 + b"..\r\n"])
def test_speed(line: bytes) -> None:
    """25 MB in reads of 64 KB; the bound is loose, for busy machines."""
    chunk = line * (65536 // len(line))
    rounds = 25_000_000 // len(chunk)
    best = 1e9
    for _ in range(3):
        reader = DotReader()
        begin = time.perf_counter()
        for _ in range(rounds):
            reader.feed(chunk)
        best = min(best, time.perf_counter() - begin)
        assert not reader.broken
    assert rounds * len(chunk) / best > 100e6
