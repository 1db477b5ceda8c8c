from __future__ import annotations

import time

from mox.smtp.linebuffer import Bad, LineBuffer


def test_lines_and_octets() -> None:
    buffer = LineBuffer()
    buffer.feed(b"one\r\ntwo\r\nabcdef")
    assert buffer.line(100) == b"one"
    assert buffer.starts_with(b"TWO")
    assert buffer.line(100) == b"two"
    assert buffer.line(100) is None
    assert buffer.take(2) == b"ab"
    assert buffer.take() == b"cdef"
    assert len(buffer) == 0
    buffer.push_back(b"x\r\n")
    assert buffer.line(3) == b"x"


def test_crlf_split_between_feeds() -> None:
    buffer = LineBuffer()
    for octet in (b"a", b"\r"):
        buffer.feed(octet)
        assert buffer.line(100) is None
    buffer.feed(b"\n")
    assert buffer.line(100) == b"a"


def test_bare_lf_is_seen_at_once() -> None:
    buffer = LineBuffer()
    buffer.feed(b"\n")
    assert buffer.line(100) is Bad.BARE_LF
    buffer.feed(b"rest\r")
    assert buffer.skip_line() == (4, False)
    buffer.feed(b"\nNOOP\r\n")
    assert buffer.skip_line() == (2, True)
    assert buffer.line(100) == b"NOOP"


def test_limit_counts_the_line_end() -> None:
    buffer = LineBuffer()
    buffer.feed(b"abc\r\n")
    assert buffer.line(4) is Bad.TOO_LONG
    assert buffer.skip_line() == (2, True)
    buffer.feed(b"abc\r\n")
    assert buffer.line(5) == b"abc"
    buffer.feed(b"abcdef")
    assert buffer.line(5) is Bad.TOO_LONG


def test_many_lines_in_one_feed_are_not_copied_again_and_again() -> None:
    buffer = LineBuffer()
    buffer.feed(b"NOOP\r\n" * 200_000)
    begin = time.perf_counter()
    while buffer.line(100) is not None:
        pass
    assert time.perf_counter() - begin < 1
