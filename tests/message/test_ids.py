from __future__ import annotations

import pytest

from mox.address import parse_domain
from mox.message import message_id
from mox.message.ids import parse_message_id, parse_references


@pytest.mark.parametrize(
    ("value", "expected"),
    [
        (b"<A.b@C.example>", "a.b@c.example"),
        (b" <a@b> (comment)", "a@b"),
        (b'<"a.b"@c>', "a.b@c"),
        (b'<"a\\"b"@c>', '"a\\"b"@c'),
        (b'<"a b"@c>', "ab@c"),
        (b"<a\t @ b>", "a@b"),
        (b"no brackets", "nobrackets"),
        (b"<cut <a@b>", "a@b"),
        (b"<>", "<>"),
        (b"", ""),
        (b"<\xe9@b>", "é@b"),
    ],
)
def test_message_ids(value: bytes, expected: str) -> None:
    assert parse_message_id(value) == expected


def test_references() -> None:
    assert parse_references(b"<a@b>\t<C@d> junk <e <f@g> <") == ("a@b", "c@d", "f@g")
    assert parse_references(b"a@b") == ()
    many = b"".join([b"<%d@x>" % number for number in range(1000)])
    assert parse_references(many)[-1] == "999@x" and len(parse_references(many)) == 200


def test_new_ids() -> None:
    host = parse_domain("münchen.example")
    expected = "AAAAAAAAAAAAAAAAAAAAAA@xn--mnchen-3ya.example"
    assert message_id(host, bytes(16)) == expected
    assert message_id("mox.example", b"\xff" * 16) == "_____________________w@mox.example"
    assert message_id(host) != message_id(host)
