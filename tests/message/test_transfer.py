from __future__ import annotations

import binascii
import quopri

import pytest
from hypothesis import given
from hypothesis import strategies as st

from mox.message import UnknownEncoding, header_text, parse, part_text, text_of
from mox.message.limits import Limits
from mox.message.transfer import decode_transfer


@pytest.mark.parametrize(
    ("encoding", "octets", "expected"),
    [
        ("7BIT", b"a=41\r\n", b"a=41\r\n"),
        ("8BIT", b"\xff", b"\xff"),
        ("BINARY", b"\0\n", b"\0\n"),
        ("BASE64", b"dHdv\r\nIG9y\r\n", b"two or"),
        # RFC 2045 §6.7
        (
            "QUOTED-PRINTABLE",
            b"Now's the time =\r\nfor all folk to come=\r\n to the aid of their country.",
            b"Now's the time for all folk to come to the aid of their country.",
        ),
        ("QUOTED-PRINTABLE", b"=3d=3D=C3=a9", b"==\xc3\xa9"),
        ("QUOTED-PRINTABLE", b"trailing \t\r\nx \t", b"trailing\r\nx"),
        ("QUOTED-PRINTABLE", b"soft= \r\nbreak", b"softbreak"),
        ("QUOTED-PRINTABLE", b"bad =4 =zz =", b"bad =4 =zz "),
    ],
)
def test_decode_transfer(encoding: str, octets: bytes, expected: bytes) -> None:
    assert decode_transfer(octets, encoding) == expected


def test_unknown_encodings_are_refused() -> None:
    for encoding in ("X-UUENCODE", "UUENCODE", "", "GZIP"):
        with pytest.raises(UnknownEncoding):
            decode_transfer(b"x", encoding)


@given(st.binary(max_size=200))
def test_what_the_standard_library_encodes_is_decoded(octets: bytes) -> None:
    assert decode_transfer(binascii.b2a_base64(octets), "BASE64") == octets
    encoded = quopri.encodestring(octets, quotetabs=True)
    assert decode_transfer(encoded, "QUOTED-PRINTABLE") == octets


@given(st.binary(max_size=100), st.sampled_from(["BASE64", "QUOTED-PRINTABLE"]))
def test_any_octets_are_decoded(octets: bytes, encoding: str) -> None:
    decode_transfer(octets, encoding)


MESSAGE = b"""\
Subject: top
Content-Type: multipart/mixed; boundary=b

--b
Content-Type: text/plain; charset=iso-8859-1
Content-Transfer-Encoding: quoted-printable

caf=E9
--b
Content-Type: text/html
Content-Transfer-Encoding: base64

PGI+aGk8L2I+
--b
Content-Type: image/png
Content-Transfer-Encoding: base64

AAAA
--b
Content-Type: message/rfc822

Subject: =?utf-8?q?in=C3=A9r?=
 folded

inner text
--b
Content-Type: text/plain
Content-Transfer-Encoding: x-unknown

as it is
--b
Content-Type: message/delivery-status

Action: failed
--b--
"""


def test_texts_for_searching() -> None:
    root = parse(MESSAGE, wire=False)
    texts = list(text_of(MESSAGE, root, wire=False))
    assert [text.strip() for text in texts] == [
        "café", "<b>hi</b>", "Subject: inér folded", "inner text", "as it is", "Action: failed",
    ]  # fmt: skip
    assert header_text(MESSAGE, root).startswith("Subject: top\nContent-Type:")


def test_untyped_body_is_text() -> None:
    data = b"Subject: x\r\n\r\nGr\xfc\xdfe\r\n"
    assert list(text_of(data, parse(data), wire=True)) == ["Grüße\r\n"]
    assert part_text(data, parse(data), wire=True) == "Grüße\r\n"


def test_text_is_bounded() -> None:
    data = b"\r\n" + b"x" * 100
    assert list(text_of(data, parse(data), wire=True, limits=Limits(text_octets=10))) == ["x" * 10]
