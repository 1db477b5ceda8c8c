from __future__ import annotations

import encodings
from encodings.aliases import aliases

import pytest

from mox.message import charsets


@pytest.mark.parametrize(
    ("octets", "charset", "expected"),
    [
        (b"Gr\xc3\xbc\xc3\x9fe", "", "Grüße"),
        (b"Gr\xfc\xdfe", "", "Grüße"),
        (b"Gr\xfc\xdfe", "us-ascii", "Grüße"),
        (b"Gr\xc3\xbc\xc3\x9fe", "US-ASCII", "Grüße"),
        (b"Gr\xfc\xdfe", "ISO-8859-1", "Grüße"),
        (b"\x93x\x94", "iso-8859-1", "“x”"),
        (b"\xa4", "iso-8859-15", "€"),
        (b"\x80", "windows-1252", "€"),
        (b"\xe4\xf6\xfc", " 'latin1' ", "äöü"),
        (b"\xff", "utf-8", "\ufffd"),
        (b"\x82\xa0", "Shift_JIS", "あ"),
        (b"\xb0\xa1", "ks_c_5601-1987", "가"),
        (b"x", "x" * 200, "x"),
        (b"x", "..\\evil", "x"),
        (b"aGk=", "base64", "aGk="),
        (b"\\u0041", "unicode_escape", "\\u0041"),
        (b"xn--a", "idna", "xn--a"),
        (b"uryyb", "rot13", "uryyb"),
    ],
)
def test_decode(octets: bytes, charset: str, expected: str) -> None:
    assert charsets.decode(octets, charset) == expected


def test_unknown_names_do_not_reach_the_codec_search() -> None:
    # The standard library keeps every name it was asked for.
    before = len(encodings._cache)
    for number in range(500):
        charsets.decode(b"x", f"unknown-{number}")
    assert len(encodings._cache) == before


def test_every_known_charset_decodes_anything() -> None:
    data = bytes(range(256))
    for name in {*aliases, *aliases.values()}:
        assert isinstance(charsets.decode(data, name), str)


@pytest.mark.parametrize(
    ("octets", "text"),
    [
        (b"a+2AA-b", "a\ufffdb"),
        (b"+3AA-", "\ufffd"),
        (b"+2D3eAA-", "\U0001f600"),
        (b"+AOk-", "é"),
    ],
)
def test_text_has_no_halves_of_surrogate_pairs(octets: bytes, text: str) -> None:
    for name in ("utf-7", "UTF-7", "unicode-1-1-utf-7"):
        assert charsets.decode(octets, name) == text


def test_no_known_charset_gives_what_cannot_be_encoded() -> None:
    data = bytes(range(256)) + b"+2AA-+3AA-\x00\xd8\xd8\x00\x00\x00\xd8\x00" * 3
    for name in charsets._KNOWN:
        charsets.decode(data, name).encode()
