from __future__ import annotations

import pytest

from mox.message import bodystructure, index_facts, parse


def wire(text: str) -> bytes:
    return text.replace("\n", "\r\n").encode()


def structure(text: str, *, extensible: bool = False) -> str:
    return bodystructure(parse(wire(text)), extensible=extensible).decode()


# RFC 9051 §7.5.2, RFC 3501 §7.4.2: the examples in the description of FETCH.


def test_simple_text_message_of_the_rfc() -> None:
    body = "x" * 2230 + "\n"
    text = f"Content-Type: text/plain; charset=us-ascii\n\n{body}" + "\n" * 23
    expected = '("TEXT" "PLAIN" ("CHARSET" "us-ascii") NIL NIL "7BIT" 2278 24)'
    assert structure(text) == expected


def test_two_part_message_of_the_rfc() -> None:
    first = ("x" * 48 + "\n") * 22 + "x" * 50 + "\n"
    second = ("A" * 60 + "\n") * 73
    text = (
        "Content-Type: MULTIPART/MIXED; BOUNDARY=b\n\n"
        f"--b\nContent-Type: TEXT/PLAIN; CHARSET=US-ASCII\n\n{first}\n"
        "--b\nContent-Type: TEXT/PLAIN; CHARSET=US-ASCII; NAME=cc.diff\n"
        "Content-Transfer-Encoding: BASE64\n"
        "Content-ID: <960723163407.20117h@cac.washington.edu>\n"
        f"Content-Description: Compiler diff\n\n{second}\n--b--\n"
    )
    assert structure(text) == (
        '(("TEXT" "PLAIN" ("CHARSET" "US-ASCII") NIL NIL "7BIT" 1152 23)'
        '("TEXT" "PLAIN" ("CHARSET" "US-ASCII" "NAME" "cc.diff")'
        ' "<960723163407.20117h@cac.washington.edu>" "Compiler diff" "BASE64" 4526 73) "MIXED")'
    )


def test_simple_message_of_the_example_session() -> None:
    """RFC 3501 §8."""
    text = "MIME-Version: 1.0\nContent-Type: TEXT/PLAIN; CHARSET=US-ASCII\n\n"
    body = ("a" * 31 + "\n") * 91 + "b" * 23 + "\n"
    expected = '("TEXT" "PLAIN" ("CHARSET" "US-ASCII") NIL NIL "7BIT" 3028 92)'
    assert structure(text + body) == expected


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        ("\nbody\n", '("TEXT" "PLAIN" ("CHARSET" "US-ASCII") NIL NIL "7BIT" 6 1 NIL NIL NIL NIL)'),
        ("", '("TEXT" "PLAIN" ("CHARSET" "US-ASCII") NIL NIL "7BIT" 0 0 NIL NIL NIL NIL)'),
        (
            "Content-Disposition: attachment\n\n",
            '("TEXT" "PLAIN" ("CHARSET" "US-ASCII") NIL NIL "7BIT" 0 0'
            ' NIL ("ATTACHMENT" NIL) NIL NIL)',
        ),
        (
            "Content-Type: image/png\nContent-Transfer-Encoding: base64\n"
            'Content-Disposition: inline; filename="a \\"b\\".png"; size=3\n\nAAAA\n',
            '("IMAGE" "PNG" NIL NIL NIL "BASE64" 6 NIL'
            ' ("INLINE" ("FILENAME" "a \\"b\\".png" "SIZE" "3")) NIL NIL)',
        ),
        (
            "Content-Type: text/html\nContent-MD5: abc=\nContent-Language: de\n"
            "Content-Location: x.html\n\n",
            '("TEXT" "HTML" NIL NIL NIL "7BIT" 0 0 "abc=" NIL "de" "x.html")',
        ),
        (
            "Content-Type: text/plain\nContent-Language: de, en\n\n",
            '("TEXT" "PLAIN" NIL NIL NIL "7BIT" 0 0 NIL NIL ("de" "en") NIL)',
        ),
        (
            "Content-Type: multipart/alternative; boundary=b\nContent-Language: fr\n\n"
            "--b\n\nx\n--b--\n",
            '(("TEXT" "PLAIN" ("CHARSET" "US-ASCII") NIL NIL "7BIT" 1 0 NIL NIL NIL NIL)'
            ' "ALTERNATIVE" ("BOUNDARY" "b") NIL "fr" NIL)',
        ),
        (
            "Content-Type: multipart/mixed\n\nno boundary\n",
            '("APPLICATION" "OCTET-STREAM" NIL NIL NIL "7BIT" 13 NIL NIL NIL NIL)',
        ),
    ],
)
def test_defaults_and_extension_data(text: str, expected: str) -> None:
    assert structure(text, extensible=True) == expected
    assert index_facts(wire(text), wire=True).bodystructure.decode() == expected


def test_embedded_message_has_envelope_structure_and_lines() -> None:
    text = (
        "Content-Type: multipart/mixed; boundary=b\n\n--b\nContent-Type: message/rfc822\n\n"
        "Subject: in\nFrom: a@b.example\nContent-Type: text/html\n\n<p>\n</p>\n\n--b--\n"
    )
    envelope = (
        '(NIL "in" ((NIL NIL "a" "b.example")) ((NIL NIL "a" "b.example"))'
        ' ((NIL NIL "a" "b.example")) NIL NIL NIL NIL NIL)'
    )
    assert structure(text) == (
        f'(("MESSAGE" "RFC822" NIL NIL NIL "7BIT" 70 {envelope}'
        ' ("TEXT" "HTML" NIL NIL NIL "7BIT" 11 2) 6) "MIXED")'
    )


def test_other_message_types_are_basic() -> None:
    text = "Content-Type: message/delivery-status\n\nx\n"
    assert structure(text) == '("MESSAGE" "DELIVERY-STATUS" NIL NIL NIL "7BIT" 3)'
    text = "Content-Type: message/global\n\n\nx\n"
    assert structure(text).startswith('("MESSAGE" "GLOBAL" NIL NIL NIL "7BIT" 5 (NIL')


def test_values_of_other_scripts_are_literals() -> None:
    data = b"Content-Disposition: attachment; filename*=iso-8859-1''caf%E9\r\n\r\n"
    assert b'("FILENAME*" {5}\r\ncaf\xc3\xa9)' in bodystructure(parse(data))
    data = b'Content-Disposition: attachment; filename="caf\xe9"\r\n\r\n'
    assert b'("FILENAME" {5}\r\ncaf\xc3\xa9)' in bodystructure(parse(data))


def test_line_breaks_in_values_are_literals() -> None:
    data = b"Content-Disposition: attachment; filename*=utf-8''a%0D%0Ab%00c\r\n\r\n"
    assert b'("FILENAME*" {5}\r\na\r\nbc)' in bodystructure(parse(data))
