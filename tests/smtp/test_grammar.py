from __future__ import annotations

from ipaddress import IPv4Address, IPv6Address

import pytest
from hypothesis import given
from hypothesis import strategies as st

from mox.address import NULL_PATH, Path, parse_domain
from mox.smtp.grammar import SyntaxProblem, parse_literal, parse_path, parse_xtext

B = parse_domain("b.example")


def path(text: str) -> tuple[Path, int]:
    return parse_path(text, 0, 256, 128)


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        ("<>", NULL_PATH),
        ("<a@b.example>", Path("a", B)),
        ("<A.b+c@B.EXAMPLE>", Path("A.b+c", B)),
        ("<!#$%&'*+-/=?^_`{|}~@b.example>", Path("!#$%&'*+-/=?^_`{|}~", B)),
        ('<"a b"@b.example>', Path("a b", B)),
        ('<"a>\\"\\\\@"@b.example>', Path('a>"\\@', B)),
        ('<""@b.example>', Path("", B)),
        ("<@c.example:a@b.example>", Path("a", B)),
        ("<@c.example,@d.example:a@b.example>", Path("a", B)),
        ("<a@[192.0.2.1]>", Path("a", IPv4Address("192.0.2.1"))),
        ("<a@[IPv6:2001:db8::1]>", Path("a", IPv6Address("2001:db8::1"))),
        ("<postMASTER>", Path("postmaster", None)),
        ("<jo\u0308rg@b.example>", Path("jörg", B)),
        ("<a@bücher.example>", Path("a", parse_domain("xn--bcher-kva.example"))),
    ],
)
def test_paths(text: str, expected: Path) -> None:
    assert path(text + " REST") == (expected, len(text))


@pytest.mark.parametrize(
    "text",
    [
        "",
        "a@b.example",
        "<",
        "<a",
        "<a@",
        "<a@>",
        "<@>",
        "<a>",
        "<a@b.example",
        "<a b@b.example>",
        "<.a@b.example>",
        "<a.@b.example>",
        "<a..b@b.example>",
        "<@b.example>",
        "<a@b@c.example>",
        '<"a@b.example>',
        '<"a"b@b.example>',
        "<a@-b.example>",
        "<a@b.example.>",
        "<a@b..example>",
        "<a@192.0.2.1>",
        "<a@[192.0.2]>",
        "<a@[::1]>",
        "<a@[IPv6:1]>",
        "<a@[IPv6:fe80::1%eth0]>",
        "<a@[x]>",
        "<a@[192.0.2.1>",
        "<@c.example a@b.example>",
        "<@:a@b.example>",
        "<@c,d:a@b>",
        f"<{'a' * 129}@b.example>",
        f"<a@{'b.' * 127}bb>",
        f"<a@{'b' * 64}.example>",
        "<a\x00@b.example>",
        "<a\x7f@b.example>",
        "<a\x85@b.example>",
        '<"\x01"@b.example>',
    ],
)
def test_what_is_no_path(text: str) -> None:
    with pytest.raises(SyntaxProblem):
        path(text)


def test_limits_count_octets() -> None:
    assert parse_path("<üü@b.example>", 0, 256, 4)[0].localpart == "üü"
    with pytest.raises(SyntaxProblem):
        parse_path("<üü@b.example>", 0, 256, 3)
    assert parse_path("<aa@b.example>", 0, 14, 64)[1] == 14
    with pytest.raises(SyntaxProblem):
        parse_path("<aa@b.example>", 0, 13, 64)


@given(st.text(alphabet='<>@"\\.a[]:,é \x00', max_size=20))
def test_path_never_raises_anything_else(text: str) -> None:
    try:
        found, end = path("<" + text)
    except SyntaxProblem:
        return
    assert path(f"<{found.pack(smtputf8=True)}>")[0] == found
    assert text[end - 2] == ">"


def test_literals() -> None:
    assert parse_literal("[192.0.2.1]x", 0) == (IPv4Address("192.0.2.1"), 11)
    assert parse_literal("[ipv6:::1]", 0) == (IPv6Address("::1"), 10)
    assert parse_literal("[::1]", 0, tag_needed=False) == (IPv6Address("::1"), 5)
    with pytest.raises(SyntaxProblem):
        parse_literal("[::1]", 0)


@pytest.mark.parametrize(
    ("text", "expected"),
    [("abc", "abc"), ("a+2Bb+3D", "a+b="), ("+C3+BC", "ü"), ("", "")],
)
def test_xtext(text: str, expected: str) -> None:
    assert parse_xtext(text) == expected


@pytest.mark.parametrize("text", ["a=b", "a+", "a+2", "a+2b", "a b", "+FF", "ü"])
def test_what_is_no_xtext(text: str) -> None:
    with pytest.raises(SyntaxProblem):
        parse_xtext(text)
