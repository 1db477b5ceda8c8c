from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from mox.smtp.reply import MAX_REPLY_LINE, Reply
from mox.smtp.replyparser import ReplyParser


@pytest.mark.parametrize(
    ("reply", "wire"),
    [
        (Reply(250, None, "ok"), b"250 ok\r\n"),
        (Reply(550, "5.1.1", "no such user"), b"550 5.1.1 no such user\r\n"),
        (Reply(250, None, ("a", "b")), b"250-a\r\n250 b\r\n"),
        (Reply(550, "5.1.1", ("a", "b")), b"550-5.1.1 a\r\n550 5.1.1 b\r\n"),
        (Reply(550, "5.1.1", "a\r\n250 b\0"), b"550 5.1.1 a??250 b?\r\n"),
        (Reply(550, None, "für"), b"550 f\\xfcr\r\n"),
    ],
)
def test_encode(reply: Reply, wire: bytes) -> None:
    assert reply.encode() == wire


def test_utf8_only_when_asked() -> None:
    assert Reply(550, None, "für").encode(utf8=True) == "550 für\r\n".encode()


def test_long_text_wraps_at_spaces_and_repeats_the_enhanced_code() -> None:
    lines = Reply(451, "4.3.0", "word " * 300).encode().split(b"\r\n")[:-1]
    assert len(lines) == 3
    assert all(len(line) <= MAX_REPLY_LINE - 2 for line in lines)
    assert all(line.startswith(b"451-4.3.0 word") for line in lines[:-1])
    assert lines[-1].startswith(b"451 4.3.0")


def test_suffix_goes_after_the_last_line() -> None:
    assert Reply(550, "5.1.1", ("a", "b")).with_suffix("(x)").text == ("a", "b (x)")
    assert Reply(550, "5.1.1", "a").with_suffix("(x)").text == "a (x)"


def test_classes() -> None:
    assert Reply(250, None, "").is_positive
    assert Reply(354, None, "").is_intermediate
    assert Reply(451, None, "").is_temporary
    assert Reply(451, None, "").is_error
    assert Reply(550, None, "").is_permanent
    assert str(Reply(550, "5.1.1", ("a", "b"))) == "550 5.1.1 a / b"


@given(
    st.integers(200, 599),
    st.one_of(st.text(max_size=2000), st.lists(st.text(max_size=300), min_size=1, max_size=5)),
    st.booleans(),
)
def test_whatever_is_said_is_a_valid_reply(code: int, text: str | list[str], utf8: bool) -> None:
    reply = Reply(code, f"{code // 100}.0.0", text if isinstance(text, str) else tuple(text))
    wire = reply.encode(utf8=utf8)
    assert all(len(line) <= MAX_REPLY_LINE for line in wire.splitlines(keepends=True))
    parser = ReplyParser()
    parser.feed(wire)
    parsed = parser.next(enhanced=True)
    assert parsed is not None
    assert parsed.code == code
    assert parser.is_empty
