from __future__ import annotations

from ipaddress import IPv4Address, IPv6Address

import pytest
from hypothesis import given
from hypothesis import strategies as st

from mox.address import (
    NULL_PATH,
    Address,
    AddressError,
    Domain,
    Path,
    format_localpart,
    parse_address,
    parse_domain,
    parse_localpart,
)


@pytest.mark.parametrize(
    ("text", "ascii_form", "unicode_form"),
    [
        ("example.org", "example.org", "example.org"),
        ("EXAMPLE.Org", "example.org", "example.org"),
        ("localhost", "localhost", "localhost"),
        ("münchen.example", "xn--mnchen-3ya.example", "münchen.example"),
        ("XN--MNCHEN-3YA.example", "xn--mnchen-3ya.example", "münchen.example"),
        ("MÜNCHEN.example", "xn--mnchen-3ya.example", "münchen.example"),
        ("ß.example", "xn--zca.example", "ß.example"),
        ("日本語。jp", "xn--wgv71a119e.jp", "日本語.jp"),
        ("_dmarc.münchen.example", "_dmarc.xn--mnchen-3ya.example", "_dmarc.münchen.example"),
        ("_25._tcp.mx.example", "_25._tcp.mx.example", "_25._tcp.mx.example"),
        ("a--b.example", "a--b.example", "a--b.example"),
        ("xn--i-7iq.example", "xn--i-7iq.example", "xn--i-7iq.example"),  # IDNA 2003 only
        ("xn--a.example", "xn--a.example", "xn--a.example"),  # broken punycode
        ("3com.example", "3com.example", "3com.example"),
        (f"{'a' * 63}.example", f"{'a' * 63}.example", f"{'a' * 63}.example"),
    ],
)
def test_domain_has_both_forms(text: str, ascii_form: str, unicode_form: str) -> None:
    assert parse_domain(text) == Domain(ascii_form, unicode_form)


@pytest.mark.parametrize(
    "text",
    ["", ".", "a.", ".a", "a..b", "-a.example", "a-.example", "a b.example", "a@b", "[192.0.2.1]",
     "192.0.2.1", "a\0b", "a\n", "é\0", f"{'a' * 64}.example", ".".join(["a" * 60] * 5),
     "💩.example",
     "\ud800.example", "ü" * 300, "ü" * 60 + ".example", "a:b"],
)  # fmt: skip
def test_bad_domain_is_refused(text: str) -> None:
    with pytest.raises(AddressError):
        parse_domain(text)


@given(st.text(max_size=80))
def test_domain_parsing_raises_only_its_error_and_is_stable(text: str) -> None:
    try:
        domain = parse_domain(text)
    except AddressError:
        return
    assert domain.ascii.isascii()
    assert parse_domain(domain.ascii) == domain
    assert parse_domain(domain.unicode) == domain


@pytest.mark.parametrize(
    ("text", "localpart"),
    [
        ("a", "a"),
        ("a.b+c", "a.b+c"),
        ("Mixed.Case", "Mixed.Case"),
        ('""', ""),
        ('"a b"', "a b"),
        ('"a\\"b\\\\"', 'a"b\\'),
        ('"a.b"', "a.b"),
        ('"a@b"', "a@b"),
        ("!#$%&'*+-/=?^_`{|}~", "!#$%&'*+-/=?^_`{|}~"),
        ("jose\u0301", "jos\u00e9"),
    ],
)
def test_localpart_is_unquoted(text: str, localpart: str) -> None:
    assert parse_localpart(text) == localpart
    assert parse_localpart(format_localpart(localpart)) == localpart


@pytest.mark.parametrize(
    "text",
    ["", ".a", "a.", "a..b", "a b", '"', '"a', 'a"', '"a"b', '"\\"', '"a\nb"', "a\0", "a" * 129,
     "é" * 65, "a\u0085b", "\ud800"],
)  # fmt: skip
def test_bad_localpart_is_refused(text: str) -> None:
    with pytest.raises(AddressError):
        parse_localpart(text)


def test_address_prints_what_it_reads() -> None:
    address = parse_address('"a b"@MÜNCHEN.example')
    assert str(address) == '"a b"@münchen.example'
    assert address.pack(smtputf8=False) == '"a b"@xn--mnchen-3ya.example'
    assert not address.needs_smtputf8
    assert parse_address("ü@example.org").needs_smtputf8


@pytest.mark.parametrize("text", ["", "a", "@", "a@", "@b", "a@b@c", "a@[192.0.2.1]", "a@1.2.3.4"])
def test_bad_address_is_refused(text: str) -> None:
    with pytest.raises(AddressError):
        parse_address(text)


@given(st.text(max_size=200))
def test_address_parsing_raises_only_its_error_and_round_trips(text: str) -> None:
    try:
        address = parse_address(text)
    except AddressError:
        return
    assert parse_address(str(address)) == address
    assert parse_address(address.pack(smtputf8=False)) == address


@given(st.text(st.characters(codec="utf-8", exclude_categories=["Cc", "Zl", "Zp"]), max_size=20))
def test_any_printable_localpart_survives_quoting(text: str) -> None:
    try:
        localpart = parse_localpart(format_localpart(text))
    except AddressError:
        return
    assert parse_localpart(format_localpart(localpart)) == localpart


def test_paths() -> None:
    domain = parse_domain("münchen.example")
    assert NULL_PATH.is_null and NULL_PATH.pack(smtputf8=True) == ""
    postmaster = Path("postmaster", None)
    assert not postmaster.is_null and postmaster.pack(smtputf8=False) == "postmaster"
    assert postmaster.address is None
    assert Path("a", domain).address == Address("a", domain)
    assert Path("a", domain).pack(smtputf8=False) == "a@xn--mnchen-3ya.example"
    assert str(Path("a b", IPv4Address("192.0.2.1"))) == '"a b"@[192.0.2.1]'
    assert str(Path("a", IPv6Address("2001:db8::1"))) == "a@[IPv6:2001:db8::1]"
    assert str(Path("", domain)) == '""@münchen.example'


def test_values_are_hashable() -> None:
    assert len({parse_address("a@b.example"), parse_address("a@B.example")}) == 1
