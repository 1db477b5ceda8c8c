from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from mox.address import parse_address
from mox.message import Group, Mailbox, address_list, mailboxes
from mox.message.mailboxes import raw_addresses, render_addresses

END = (None, None, None, None)


@pytest.mark.parametrize(
    ("value", "expected"),
    [
        # RFC 5322 appendix A
        (b"John Doe <jdoe@machine.example>", [(b"John Doe", None, b"jdoe", b"machine.example")]),
        (
            b'"Joe Q. Public" <john.q.public@example.com>',
            [(b"Joe Q. Public", None, b"john.q.public", b"example.com")],
        ),
        (
            b"Mary Smith <mary@x.test>, jdoe@example.org, Who? <one@y.test>",
            [
                (b"Mary Smith", None, b"mary", b"x.test"),
                (None, None, b"jdoe", b"example.org"),
                (b"Who?", None, b"one", b"y.test"),
            ],
        ),
        (
            b'<boss@nil.test>, "Giant; \\"Big\\" Box" <sysservices@example.net>',
            [
                (None, None, b"boss", b"nil.test"),
                (b'Giant; "Big" Box', None, b"sysservices", b"example.net"),
            ],
        ),
        (
            b"A Group:Ed Jones <joe@where.test>,joe@where.test,John <jdoe@one.test>;",
            [
                (None, None, b"A Group", None),
                (b"Ed Jones", None, b"joe", b"where.test"),
                (None, None, b"joe", b"where.test"),
                (b"John", None, b"jdoe", b"one.test"),
                END,
            ],
        ),
        (b"Undisclosed recipients:;", [(None, None, b"Undisclosed recipients", None), END]),
        (
            b"Pete(A nice \\) chap) <pete(his account)@silly.test(his host)>",
            [(b"Pete", None, b"pete", b"silly.test")],
        ),
        (
            b"A Group(Some people)\t:Chris Jones <c@(Chris's host.)public.example>,"
            b" joe@example.org, John <jdoe@one.test> (my dear friend); (the end of the group)",
            [
                (None, None, b"A Group", None),
                (b"Chris Jones", None, b"c", b"public.example"),
                (None, None, b"joe", b"example.org"),
                (b"John", None, b"jdoe", b"one.test"),
                END,
            ],
        ),
        (
            b"Mary Smith <@node.test:mary@example.net>, , jdoe@test  . example",
            [
                (b"Mary Smith", b"@node.test", b"mary", b"example.net"),
                (None, None, b"jdoe", b"test.example"),
            ],
        ),
        (b"<@a.int,@b.org:u@c.org>", [(None, b"@a.int,@b.org", b"u", b"c.org")]),
        # obsolete: the name in a comment
        (b"a@b.example (Jane (x) Doe)", [(b"Jane (x) Doe", None, b"a", b"b.example")]),
        (b"=?utf-8?q?h=C3=A9?= <a@b>", [(b"=?utf-8?q?h=C3=A9?=", None, b"a", b"b")]),
        (b'"a b"@c.example', [(None, None, b"a b", b"c.example")]),
        (b"a@[192.0.2.1]", [(None, None, b"a", b"[192.0.2.1]")]),
        # broken
        (b"", []),
        (b" , ,", []),
        (b"<>", []),
        (b"name <>", [(None, None, b"name", b"")]),
        (b"nobody", [(None, None, b"nobody", b"")]),
        (b"<nobody>", [(None, None, b"nobody", b"")]),
        (b"a@", [(None, None, b"a", b"")]),
        (b"@b", [(None, None, b"", b"b")]),
        (b"a@[", [(None, None, b"a", b"[")]),
        (b"x <a@b", [(b"x", None, b"a", b"b")]),
        (b"x <a@b, c@d>", [(b"x", None, b"a", b"b"), (None, None, b"c", b"d")]),
        (b"a@b; c@d", [(None, None, b"a", b"b"), (None, None, b"c", b"d")]),
        (b"a@b <c@d>", [(b"a@b", None, b"c", b"d")]),
        (b'"open <a@b>', [(None, None, b"open <a@b>", b"")]),
        (b"(open a@b", []),
        (b"G: a@b", [(None, None, b"G", None), (None, None, b"a", b"b"), END]),
        (b"caf\xe9 <a@b>", [(b"caf\xe9", None, b"a", b"b")]),
    ],
)
def test_address_lists(value: bytes, expected: list[object]) -> None:
    assert raw_addresses(value) == expected


def test_addresses_for_people() -> None:
    value = b'=?utf-8?q?caf=C3=A9?= <a@b.example>,\r\n G: "c d"@e.example;, x'
    assert address_list(value) == [
        Mailbox("café", "a", "b.example"),
        Group("G", (Mailbox("", "c d", "e.example"),)),
        Mailbox("", "x", ""),
    ]
    assert [str(m.address) for m in mailboxes(value)] == ["a@b.example", '"c d"@e.example', "None"]


def test_two_at_signs_make_no_address() -> None:
    for value in (b"a@evil.example@b.example", b"<a@evil.example@b.example>", b"a@b@c"):
        (mailbox,) = mailboxes(value)
        address = mailbox.address
        assert address is None or address.localpart == "a@evil.example"


def test_encoded_words_never_become_addresses() -> None:
    (mailbox,) = mailboxes(b"=?utf-8?q?a=40good.example?=@evil.example")
    assert mailbox.localpart == "=?utf-8?q?a=40good.example?="
    (mailbox,) = mailboxes(b"=?utf-8?q?x_=3Ca=40good.example=3E?= <b@evil.example>")
    assert mailbox == Mailbox("x <a@good.example>", "b", "evil.example")


@given(st.binary(max_size=200))
def test_any_value_is_read(value: bytes) -> None:
    address_list(value)
    render_addresses(value)


@given(st.text(alphabet='a@<>,:;"()\\[]. é', max_size=60))
def test_specials_are_read(text: str) -> None:
    for name, _route, local, host in raw_addresses(text.encode()):
        assert (local is None) <= (host is None and name is None)
    for mailbox in mailboxes(text.encode()):
        if mailbox.address is not None:
            assert parse_address(str(mailbox.address)) == mailbox.address
