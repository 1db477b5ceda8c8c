from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from mox.message import decode_header
from mox.message.words import decode_base64


# RFC 2047 §8
@pytest.mark.parametrize(
    ("value", "expected"),
    [
        (b"=?US-ASCII?Q?Keith_Moore?= <moore@cs.utk.edu>", "Keith Moore <moore@cs.utk.edu>"),
        (b"=?ISO-8859-1?Q?Keld_J=F8rn_Simonsen?= <keld@dkuug.dk>",
         "Keld Jørn Simonsen <keld@dkuug.dk>"),
        (b"=?ISO-8859-1?Q?Andr=E9?= Pirard <PIRARD@vm1.ulg.ac.be>",
         "André Pirard <PIRARD@vm1.ulg.ac.be>"),
        (b"=?ISO-8859-1?B?SWYgeW91IGNhbiByZWFkIHRoaXMgeW8=?=\r\n"
         b" =?ISO-8859-2?B?dSB1bmRlcnN0YW5kIHRoZSBleGFtcGxlLg==?=",
         "If you can read this you understand the example."),
        (b"(=?ISO-8859-8?b?7eXs+SDv4SDp7Oj08A==?=)", "(םולש ןב ילטפנ)"),
        (b"(=?ISO-8859-1?Q?a?=)", "(a)"),
        (b"(=?ISO-8859-1?Q?a?= b)", "(a b)"),
        (b"(=?ISO-8859-1?Q?a?= =?ISO-8859-1?Q?b?=)", "(ab)"),
        (b"(=?ISO-8859-1?Q?a?=  =?ISO-8859-1?Q?b?=)", "(ab)"),
        (b"(=?ISO-8859-1?Q?a?=\r\n    =?ISO-8859-1?Q?b?=)", "(ab)"),
        (b"(=?ISO-8859-1?Q?a_b?=)", "(a b)"),
        (b"(=?ISO-8859-1?Q?a?= =?ISO-8859-2?Q?_b?=)", "(a b)"),
        # RFC 2231 §5
        (b"=?US-ASCII*EN?Q?Keith_Moore?=", "Keith Moore"),
        # a character split over words
        (b"=?utf-8?q?=c3?= =?UTF-8?q?=a9?=", "é"),
        (b"=?utf-8?b?w6?= =?utf-8?b?kh?=", "Ò"),
        # broken and tolerated
        (b"=?utf-8?q?caf=c3=a9?=x", "caféx"),
        (b'"=?utf-8?q?caf=c3=a9?="', '"café"'),
        (b"=?utf-8?q?a b?=", "a b"),
        (b"=?x-unknown?q?caf=c3=a9?=", "café"),
        (b"=?x-unknown?q?caf=e9?=", "café"),
        (b"=?zlib?b?eJw=?=", "x\u0153"),
        (b"=?utf-8?q?=FF?=", "\ufffd"),
        (b"=?utf-8?b?!!!?=", ""),
        (b"=?utf-8?q?a", "=?utf-8?q?a"),
        (b"=?utf-8?x?a?=", "=?utf-8?x?a?="),
        (b"=??q?a?=", "=??q?a?="),
        (b"caf\xc3\xa9", "café"),
        (b"caf\xe9", "café"),
        (b" a\r\n\tb ", "a\tb"),
        (b"", ""),
        (b"=?gb2312?B?xOO6ww==?=", "你好"),
        (b"=?iso-2022-jp?B?GyRCRnxLXBsoQg==?=", "日本"),
        (b"=?utf-8?q?a=0D=0AB=00c?=", "a B c"),
    ],
)  # fmt: skip
def test_decode_header(value: bytes, expected: str) -> None:
    assert decode_header(value) == expected


@pytest.mark.parametrize(
    ("text", "expected"),
    [(b"dHdv", b"two"), (b"dHc=", b"tw"), (b"dHc", b"tw"), (b"dA==", b"t"), (b"d", b""), (b"", b""),
     (b"dH\r\ndv", b"two"), (b"d!Hd*v", b"two"), (b"dA==dA==", b"tt"), (b"====", b""),
     (b"dHc=dHc", b"twtw")],
)  # fmt: skip
def test_base64_is_lenient(text: bytes, expected: bytes) -> None:
    assert decode_base64(text) == expected


@given(st.one_of(st.binary(max_size=100), st.text("=?utf-8qb_ \r\n*é", max_size=80)))
def test_any_value_is_decoded(value: bytes | str) -> None:
    text = decode_header(value if isinstance(value, bytes) else value.encode())
    text.encode("utf-8")


@given(st.sampled_from([b"utf-8", b"utf-7", b"hz", b"iso-2022-kr", b"idna", b"unicode_escape",
                        b"utf-16", b"rot13", b"\xff", b"../x", b"mbcs", b"cp1252", b"undefined"]),
       st.binary(max_size=40))  # fmt: skip
def test_any_charset_is_decoded(charset: bytes, octets: bytes) -> None:
    encoded = b"".join([b"=%02X" % octet for octet in octets])
    decode_header(b"=?%b?q?%b?=" % (charset, encoded)).encode("utf-8", "surrogatepass")
