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
