"""Stored messages as JSON shows them."""

from __future__ import annotations

import base64

import msgspec
import pytest
from hypothesis import given
from hypothesis import strategies as st

from mox.webapi.reading import NoSuchPart, part_at, part_content, show
from mox.webapi.types import MAX_TEXT_OCTETS, MessageAddress

INVOICE = """\
From: Sender U <sender@remote.example>
To: Mox User <mox@localhost>, second@remote.example
Cc: =?utf-8?q?C=C3=A9cile?= <cc@remote.example>
Reply-To: reply@remote.example
Subject: Invoice =?utf-8?b?4oKs?=
Message-Id: <inv-1@remote.example>
In-Reply-To: <orig-1@localhost>
References: <root-1@localhost>
 <orig-1@localhost>
Date: Mon, 23 Nov 2026 11:22:33 +0100
MIME-Version: 1.0
Content-Type: multipart/mixed; boundary=OUT

--OUT
Content-Type: multipart/alternative; boundary=IN

--IN
Content-Type: text/plain; charset=iso-8859-1
Content-Transfer-Encoding: quoted-printable

caf=E9 line
second
--IN
Content-Type: text/html; charset=utf-8

<b>café</b>
--IN--
--OUT
Content-Type: application/pdf; name=a.pdf
Content-Disposition: attachment; filename*=utf-8''r%C3%A9sum%C3%A9.pdf
Content-Transfer-Encoding: base64
Content-Id: <pdf1@x>

JVBERi0xLjQ=
--OUT
Content-Type: message/rfc822

Subject: inner

text
--OUT--
""".encode()


def _json(value: object) -> object:
    return msgspec.json.decode(msgspec.json.encode(value))


def test_a_message_with_alternatives_and_attachments() -> None:
    shown = show(INVOICE, wire=False)
    assert _json(shown.message) == {
        "From": [{"Name": "Sender U", "Address": "sender@remote.example"}],
        "To": [
            {"Name": "Mox User", "Address": "mox@localhost"},
            {"Name": "", "Address": "second@remote.example"},
        ],
        "CC": [{"Name": "Cécile", "Address": "cc@remote.example"}],
        "BCC": [],
        "ReplyTo": [{"Name": "", "Address": "reply@remote.example"}],
        "MessageID": "<inv-1@remote.example>",
        "References": ["<root-1@localhost>", "<orig-1@localhost>"],
        "Date": "2026-11-23T11:22:33+01:00",
        "Subject": "Invoice €",
        "Text": "café line\nsecond",
        "HTML": "<b>café</b>",
    }
    assert shown.in_reply_to == "<orig-1@localhost>"
    leaf = {"ContentID": "", "ContentDisposition": "", "Filename": "", "Parts": []}
    assert _json(shown.structure) == {
        **leaf,
        "ContentType": "multipart/mixed",
        "ContentTypeParams": {"boundary": "OUT"},
        "DecodedSize": 0,
        "Parts": [
            {
                **leaf,
                "ContentType": "multipart/alternative",
                "ContentTypeParams": {"boundary": "IN"},
                "DecodedSize": 0,
                "Parts": [
                    {
                        **leaf,
                        "ContentType": "text/plain",
                        "ContentTypeParams": {"charset": "iso-8859-1"},
                        "DecodedSize": 17,
                    },
                    {
                        **leaf,
                        "ContentType": "text/html",
                        "ContentTypeParams": {"charset": "utf-8"},
                        "DecodedSize": 12,
                    },
                ],
            },
            {
                "ContentType": "application/pdf",
                "ContentTypeParams": {"name": "a.pdf"},
                "ContentID": "<pdf1@x>",
                "ContentDisposition": "attachment",
                "Filename": "résumé.pdf",
                "DecodedSize": 8,
                "Parts": [],
            },
            {
                **leaf,
                "ContentType": "message/rfc822",
                "ContentTypeParams": {},
                "DecodedSize": 22,
            },
        ],
    }


def test_wire_and_stored_form_show_the_same() -> None:
    stored, wire = show(INVOICE, wire=False), show(INVOICE.replace(b"\n", b"\r\n"), wire=True)
    assert (stored.message, stored.structure) == (wire.message, wire.structure)


def test_a_message_without_fields() -> None:
    shown = show(b"\nhello\n", wire=False)
    assert shown.message.message_id == ""
    assert shown.message.date is None
    assert shown.message.text == "hello\n"
    assert msgspec.json.encode(shown.structure) == (
        b'{"ContentType":"/","ContentTypeParams":{},"ContentID":"","ContentDisposition":"",'
        b'"Filename":"","DecodedSize":7,"Parts":[]}'
    )


def _multipart(kind: str, *parts: str) -> str:
    boundary = f"b{abs(hash((kind, parts)))}"
    body = "".join(f"--{boundary}\n{part}\n" for part in parts)
    return f"Content-Type: multipart/{kind}; boundary={boundary}\n\n{body}--{boundary}--\n"


PLAIN = "Content-Type: text/plain\n\nplain"
HTML = "Content-Type: text/html\n\n<p>"
LATER = "Content-Type: text/plain\n\nlater"
ATTACHED = "Content-Disposition: attachment; filename=x\n\nattached"
IMAGE = "Content-Type: image/png\nContent-Id: <i>\n\npng"


@pytest.mark.parametrize(
    ("message", "text", "html"),
    [
        (PLAIN, "plain", ""),
        (HTML, "", "<p>"),
        (IMAGE, "", ""),
        (_multipart("alternative", PLAIN, HTML), "plain", "<p>"),
        (_multipart("alternative", PLAIN, LATER, HTML), "later", "<p>"),
        (_multipart("alternative", PLAIN, _multipart("related", HTML, IMAGE)), "plain", "<p>"),
        (_multipart("mixed", PLAIN, HTML), "plain", ""),
        (_multipart("mixed", IMAGE, HTML, PLAIN), "", "<p>"),
        (_multipart("mixed", _multipart("alternative", PLAIN, HTML), LATER), "plain", "<p>"),
        (_multipart("mixed", _multipart("alternative", PLAIN, HTML), ATTACHED), "plain", "<p>"),
        (_multipart("mixed", ATTACHED, HTML), "", "<p>"),
        (_multipart("mixed", ATTACHED), "", ""),
        (ATTACHED, "attached", ""),
        (_multipart("mixed", "\nno type"), "no type", ""),
        (_multipart("mixed", f"Content-Type: message/rfc822\n\n{PLAIN}"), "", ""),
    ],
)
def test_the_body_is_the_first_text_that_is_no_attachment(
    message: str, text: str, html: str
) -> None:
    shown = show(message.encode(), wire=False).message
    assert (shown.text, shown.html) == (text, html)


@pytest.mark.parametrize(
    ("header", "expected"),
    [
        ("References: <a@x> <b@x>\nIn-Reply-To: <b@x>", ("<a@x>", "<b@x>")),
        ("References: <a@x><b@x>\nIn-Reply-To: <c@x> (yesterday)", ("<c@x>", "<a@x>", "<b@x>")),
        ("In-Reply-To: <c@x>", ("<c@x>",)),
        ("References: none", ()),
    ],
)
def test_the_answered_message_is_among_the_references(
    header: str, expected: tuple[str, ...]
) -> None:
    assert show(header.encode() + b"\n\n", wire=False).message.references == expected


@pytest.mark.parametrize(
    ("value", "expected"),
    [
        ("<A@X>", "<A@X>"),
        ("bare@x", "<bare@x>"),
        ("", ""),
        ("<a b@x> junk", "<ab@x>"),
    ],
)
def test_message_ids_have_brackets(value: str, expected: str) -> None:
    message = show(f"Message-ID: {value}\n\n".encode(), wire=False).message
    assert message.message_id == expected


def test_addresses_are_shown_in_unicode_and_bad_ones_as_written() -> None:
    header = b"To: a@xn--mnchen-3ya.example, Bad <x@-->, group: b@x.example;, alone\n\n"
    assert show(header, wire=False).message.to == (
        MessageAddress("", "a@münchen.example"),
        MessageAddress("Bad", "x@--"),
        MessageAddress("", "b@x.example"),
        MessageAddress("", "alone"),
    )


def test_long_texts_are_cut_at_a_character() -> None:
    body = ("é" * MAX_TEXT_OCTETS).encode()
    text = show(b"Content-Type: text/plain; charset=utf-8\n\n" + body, wire=False).message.text
    assert text == "é" * (MAX_TEXT_OCTETS // 2)
    encoded = base64.encodebytes(("x" + "é" * MAX_TEXT_OCTETS).encode())
    head = b"Content-Type: text/html; charset=utf-8\nContent-Transfer-Encoding: base64\n\n"
    html = show(head + encoded, wire=False).message.html
    assert html == "x" + "é" * ((MAX_TEXT_OCTETS - 1) // 2)


def test_a_type_that_is_written_down_is_told_from_a_missing_one() -> None:
    shown = show(b"Content-Type: text/plain; charset=us-ascii\n\n", wire=False).structure
    assert (shown.content_type, shown.content_type_params) == (
        "text/plain",
        {"charset": "us-ascii"},
    )


def test_parts_are_found_by_their_indices() -> None:
    root = show(INVOICE, wire=False).root
    assert b"".join(part_content(INVOICE, part_at(root, [1]), wire=False)) == b"%PDF-1.4"
    text = b"".join(part_content(INVOICE, part_at(root, [0, 0]), wire=False))
    assert text == b"caf\xe9 line\r\nsecond"
    assert part_at(root, []) is root
    for path, message in [
        ([4], "part 4 at index 0 not found"),
        ([0, 2], "part 2 at index 1 not found"),
        ([-1], "part -1 at index 0 not found"),
        ([2, 0], "part 0 at index 1 not found"),
    ]:
        with pytest.raises(NoSuchPart, match=message):
            part_at(root, path)


@given(
    st.lists(
        st.sampled_from(
            [
                b"From: ", b"To: a@b", b"\n", b"\n\n", b"Subject: =?utf-7?q?+2AA-?=",
                b"Content-Type: multipart/mixed; boundary=b", b"--b\n", b"--b--\n",
                b"Content-Type: text/plain; charset=utf-7\n\n+2AA-", b"\xff\x00",
                b"Date: 31 Dec 9999 23:59:59 -2300\n", b"Date: 1 Jan 0001 00:00:00 +2359\n",
                b"Message-Id: <", b"References: <a> <b", b"; filename*=utf-16''%D8%00",
                b"Content-Disposition: attachment", b"Content-Transfer-Encoding: base64\n",
            ]
        ),
        max_size=14,
    ).map(b"".join)
)  # fmt: skip
def test_whatever_comes_can_be_shown_as_json(data: bytes) -> None:
    shown = show(data, wire=False)
    msgspec.json.encode((shown.message, shown.structure, shown.in_reply_to, shown.references))
