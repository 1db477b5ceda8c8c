from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from mox.smtp.reply import Reply
from mox.smtp.replyparser import BadReply, ReplyParser


def parse(data: bytes, *, enhanced: bool = False) -> Reply | None:
    parser = ReplyParser()
    parser.feed(data)
    return parser.next(enhanced=enhanced)


@pytest.mark.parametrize(
    ("wire", "reply"),
    [
        (b"250 ok\r\n", Reply(250, None, "ok")),
        (b"250\r\n", Reply(250, None, "")),
        (b"250 \r\n", Reply(250, None, "")),
        (b"250 ok\n", Reply(250, None, "ok")),
        (b"250-a\r\n250-b\r\n250 c\r\n", Reply(250, None, ("a", "b", "c"))),
        (b"250-a\r\n250\r\n", Reply(250, None, ("a", ""))),
        (b"250 ok", None),
        (b"250-ok\r\n", None),
        (b"250-ok\r\n250 ", None),
    ],
)
def test_replies(wire: bytes, reply: Reply | None) -> None:
    assert parse(wire) == reply
    parser = ReplyParser()
    for at in range(len(wire)):
        assert parser.next(enhanced=False) is None
        parser.feed(wire[at : at + 1])
    assert parser.next(enhanced=False) == reply


@pytest.mark.parametrize(
    ("wire", "reply"),
    [
        (b"550 5.1.1 no\r\n", Reply(550, "5.1.1", "no")),
        (b"550-5.1.1 a\r\n550 5.1.1 b\r\n", Reply(550, "5.1.1", ("a", "b"))),
        (b"550-5.1.1 a\r\n550 b\r\n", Reply(550, "5.1.1", ("a", "b"))),
        (b"550 5.1.1\r\n", Reply(550, "5.1.1", "")),
        (b"550 4.1.1 no\r\n", Reply(550, None, "4.1.1 no")),
        (b"550 5.1.1111 no\r\n", Reply(550, None, "5.1.1111 no")),
        (b"354 3.1.1 no\r\n", Reply(354, None, "3.1.1 no")),
    ],
)
def test_enhanced_codes(wire: bytes, reply: Reply) -> None:
    assert parse(wire, enhanced=True) == reply


@pytest.mark.parametrize(
    "wire",
    [
        b"\r\n",
        b"25 ok\r\n",
        b"2500 ok\r\n",
        b"150 ok\r\n",
        b"650 ok\r\n",
        b"250+ok\r\n",
        b"ok\r\n",
        b"250-a\r\n251 b\r\n",
        b"250 " + b"x" * 2048 + b"\r\n",
        b"x" * 2048,
        b"250-x\r\n" * 512,
    ],
)
def test_what_is_no_reply(wire: bytes) -> None:
    with pytest.raises(BadReply):
        parse(wire)


def test_replies_one_after_the_other() -> None:
    parser = ReplyParser()
    parser.feed(b"250 a\r\n550 b\r\n")
    assert parser.next(enhanced=False) == Reply(250, None, "a")
    assert not parser.is_empty
    assert parser.next(enhanced=False) == Reply(550, None, "b")
    assert parser.is_empty


@given(st.lists(st.binary(max_size=60), max_size=10))
def test_never_raises_anything_else(chunks: list[bytes]) -> None:
    parser = ReplyParser()
    try:
        for chunk in chunks:
            parser.feed(chunk)
            while parser.next(enhanced=True):
                pass
    except BadReply:
        pass
