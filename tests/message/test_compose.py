"""Composed messages, as our own reader and the standard library's understand them."""

from __future__ import annotations

import email
import email.policy
from email.header import decode_header, make_header
from email.message import EmailMessage
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from mox.address import Address, parse_address
from mox.message import decode_header as our_decode_header
from mox.message import field_values, header_section, mailboxes, parse, part_text, walk
from mox.message.compose import Draft, bcc_field, compose
from mox.message.composebodies import ComposeError, File
from mox.message.piecewise import decoded_pieces

AUTHOR = ("Mox", parse_address("mox@localhost"))


def draft(**changes: Any) -> Draft:
    base: dict[str, Any] = {
        "author": AUTHOR,
        "date": (1714972089, 120),
        "message_id": "<id@localhost>",
        "user_agent": "mox/1",
        "boundary": "0123456789abcdef",
        "plain": "hi",
    }
    return Draft(**(base | changes))


def composed(**changes: Any) -> bytes:
    return b"".join(compose(draft(**changes)).pieces())


def test_a_small_message_is_exactly_this() -> None:
    message = compose(
        draft(
            to=[("Rcpt", parse_address("r@remote.example"))],
            subject="hi there",
            references=["<a@x>", "<b@x>"],
            headers=[("X-Order", "42")],
        )
    )
    assert b"".join(message.pieces()) == (
        b"From: Mox <mox@localhost>\r\n"
        b"To: Rcpt <r@remote.example>\r\n"
        b"Subject: hi there\r\n"
        b"Date: 6 May 2024 07:08:09 +0200\r\n"
        b"Message-Id: <id@localhost>\r\n"
        b"References: <a@x>\r\n\t<b@x>\r\n"
        b"In-Reply-To: <b@x>\r\n"
        b"MIME-Version: 1.0\r\n"
        b"X-Order: 42\r\n"
        b"User-Agent: mox/1\r\n"
        b"Content-Type: text/plain; charset=us-ascii\r\n"
        b"Content-Transfer-Encoding: 7bit\r\n"
        b"\r\n"
        b"hi\r\n"
    )
    assert not message.has_8bit
    assert not message.smtputf8


def test_fields_that_are_not_given_are_not_there() -> None:
    message = email.message_from_bytes(composed())
    assert message.keys() == [
        "From", "Date", "Message-Id", "MIME-Version", "User-Agent", "Content-Type",
        "Content-Transfer-Encoding",
    ]  # fmt: skip


@pytest.mark.parametrize("name", ["User-Agent", "x-mailer"])
def test_an_own_agent_takes_the_place_of_ours(name: str) -> None:
    assert b"mox/1" not in composed(headers=[(name, "mine")])


def test_an_own_in_reply_to_takes_the_place_of_ours() -> None:
    raw = composed(references=["<a@x>"], headers=[("In-Reply-To", "<other@x>")])
    assert field_values(header_section(raw), "in-reply-to") == [b"<other@x>"]


@pytest.mark.parametrize(
    ("text", "encoding", "charset"),
    [
        ("plain", "7bit", "us-ascii"),
        ("hi ☺", "8bit", "utf-8"),
        ("x" * 76, "7bit", "us-ascii"),
        ("x" * 77, "quoted-printable", "us-ascii"),
        ("é" * 39, "quoted-printable", "utf-8"),
        ("stray\rcarriage return", "quoted-printable", "us-ascii"),
        ("nul\0", "quoted-printable", "us-ascii"),
        ("crlf\r\nlines\r\n", "7bit", "us-ascii"),
    ],
)
def test_texts_are_encoded_when_they_must_be(text: str, encoding: str, charset: str) -> None:
    raw = composed(plain=text)
    part = parse(raw)
    assert (part.encoding.lower(), part.charset) == (encoding, charset)
    expected = text.replace("\r\n", "\n")
    expected += "" if expected.endswith("\n") else "\n"
    assert part_text(raw, part, wire=True).replace("\r\n", "\n") == expected


FILES = {
    "alternative_files": [File(content=b"BEGIN:VCALENDAR", name="c.ics",
                               content_type="text/calendar; charset=utf-8")],
    "inline_files": [File(content=b"\x89PNG\r\n\x1a\n1234", name="hi.png", content_id="<hi>")],
    "attached_files": [
        File(content=b"\0\1\2", name="doc.bin"),
        File(content=b"text\n", name="näme.txt", content_type="text/plain"),
    ],
}  # fmt: skip


def test_parts_are_nested_as_far_as_needed() -> None:
    raw = composed(plain="x", html="<img src=cid:hi>", **FILES)
    root = parse(raw)
    kinds = [f"{part.media_type}/{part.media_subtype}".lower() for part in walk(root)]
    assert kinds == [
        "multipart/mixed",
        "multipart/related",
        "multipart/alternative",
        "text/plain",
        "text/html",
        "text/calendar",
        "image/png",
        "text/plain",
        "text/plain",
    ]
    png, binary, named = root.children[0].children[1], root.children[1], root.children[2]
    assert (png.content_id, png.filename, png.is_attachment) == ("<hi>", "hi.png", False)
    assert (binary.filename, binary.is_attachment) == ("doc.bin", True)
    assert b"filename=doc.bin" in raw
    assert b"filename*=utf-8''n%C3%A4me.txt" in raw
    assert named.filename == "näme.txt"
    assert b"".join(decoded_pieces(raw, binary, wire=True)) == b"\0\1\2"


@pytest.mark.parametrize(
    ("changes", "kinds"),
    [
        ({}, ["text/plain"]),
        ({"plain": "", "html": "<p>"}, ["text/html"]),
        ({"html": "<p>"}, ["multipart/alternative", "text/plain", "text/html"]),
        ({"inline_files": FILES["inline_files"]}, ["multipart/related", "text/plain", "image/png"]),
        (
            {"attached_files": FILES["inline_files"]},
            ["multipart/mixed", "text/plain", "image/png"],
        ),
        (
            {"alternative_files": FILES["alternative_files"]},
            ["multipart/alternative", "text/plain", "text/calendar"],
        ),
    ],
)
def test_a_level_that_is_not_needed_is_left_out(changes: dict[str, Any], kinds: list[str]) -> None:
    message = email.message_from_bytes(composed(**changes))
    assert [part.get_content_type() for part in message.walk()] == kinds


def test_files_of_messages_are_octets_because_messages_must_not_be_encoded() -> None:
    raw = composed(attached_files=[File(content=b"Subject: x\n\n", content_type="Message/rfc822")])
    assert parse(raw).children[1].media_subtype == "OCTET-STREAM"


@pytest.mark.parametrize("content_id", ["<hi@x>", "hi@x", " <hi@x> "])
def test_content_ids_have_brackets(content_id: str) -> None:
    raw = composed(inline_files=[File(content=b"x", content_id=content_id)])
    assert parse(raw).children[1].content_id == "<hi@x>"


def test_parameters_of_a_type_stay_as_they_are() -> None:
    content_type = 'text/plain; name="a;b c"; charset=utf-8'
    raw = composed(attached_files=[File(content=b"x", content_type=content_type)])
    assert f"Content-Type: {content_type}\r\n".encode() in raw
    assert dict(parse(raw).children[1].params) == {"name": "a;b c", "charset": "utf-8"}


def test_8bit_texts_are_announced_by_the_multiparts_around_them() -> None:
    message = compose(draft(plain="☺", html="<p>", attached_files=[File(content=b"x")]))
    raw = b"".join(message.pieces())
    root = parse(raw)
    assert (root.encoding, root.children[0].encoding) == ("8BIT", "8BIT")
    assert message.has_8bit


def test_localparts_of_other_scripts_need_utf8_in_the_header() -> None:
    to = [("Jösé", parse_address("jösé@münchen.example"))]
    message = compose(draft(to=to, subject="☺"))
    assert message.smtputf8
    assert 'To: "Jösé" <jösé@münchen.example>\r\nSubject: ☺\r\n'.encode() in message.header
    hidden = compose(draft(bcc=to, to=[AUTHOR]))
    assert hidden.smtputf8
    assert b"Bcc" not in hidden.header


def test_domains_of_other_scripts_have_a_form_in_ascii() -> None:
    message = compose(draft(to=[("", parse_address("j@münchen.example"))]))
    assert not message.smtputf8
    assert b"To: <j@xn--mnchen-3ya.example>\r\n" in message.header


def test_blind_recipients_are_in_the_field_for_the_senders_copy_alone() -> None:
    own = draft(bcc=[("", parse_address("b@x.example"))])
    assert bcc_field(own, utf8=False) == b"Bcc: <b@x.example>\r\n"
    assert bcc_field(draft(), utf8=False) == b""


@pytest.mark.parametrize(
    ("changes", "problem"),
    [
        ({"subject": "a\nb"}, "control characters not allowed"),
        ({"subject": "a\tb"}, "control characters not allowed"),
        ({"message_id": "<a\r\n@x>"}, "control characters not allowed"),
        ({"references": ["<a\n@x>"]}, "control characters not allowed"),
        ({"references": ["<" + "x" * 1000 + ">"]}, "longer than 900"),
        ({"headers": [("X-A", "a\nb")]}, "control characters not allowed"),
        ({"headers": [("X A", "b")]}, "no name of a header field"),
        ({"headers": [("", "b")]}, "no name of a header field"),
        ({"headers": [("X-A:", "b")]}, "no name of a header field"),
        ({"headers": [("From", "b")]}, "set by the fields of the message"),
        ({"headers": [("bcc", "b")]}, "set by the fields of the message"),
        ({"headers": [("Subject", "b")], "subject": "a"}, "set by the fields of the message"),
        ({"headers": [("Sender", "b"), ("sender", "c")]}, "more than once"),
        ({"attached_files": [File(content=b"", content_type="a\nb")]}, "control characters"),
        ({"attached_files": [File(content=b"", content_id="<a\n>")]}, "control characters"),
        ({"attached_files": [File(content=b"", name="a\nb")]}, "control characters"),
        ({"attached_files": [File(content=b"", content_type="pdf")]}, "must be like"),
        ({"plain": ""}, "at least text or html body required"),
    ],
)
def test_what_cannot_be_in_a_message_is_refused(changes: dict[str, Any], problem: str) -> None:
    with pytest.raises(ComposeError, match=problem):
        compose(draft(**changes))


def test_a_file_is_read_only_while_the_message_is_written() -> None:
    reads: list[int] = []

    def content() -> Any:
        for i in range(300):
            reads.append(i)
            yield bytes([i % 256]) * 1000

    message = compose(draft(attached_files=[File(content=content, content_type="a/b")]))
    assert reads == []
    pieces = message.pieces()
    raw = b"".join(pieces)
    decoded = b"".join(decoded_pieces(raw, parse(raw).children[1], wire=True))
    assert decoded == b"".join(bytes([i % 256]) * 1000 for i in range(300))
    assert max(map(len, raw.split(b"\r\n"))) <= 78


# ---- whatever comes

_LINE = st.text(st.characters(min_codepoint=32, exclude_categories=("Cs",)), max_size=80)
_TEXT = st.text(st.characters(exclude_categories=("Cs",)), max_size=200)
_ADDRESSES = st.lists(
    st.tuples(
        _LINE.map(lambda text: " ".join(text.split())),
        st.sampled_from(
            ["a@x.example", '"a b"@x.example', "jösé@x.example", "b@münchen.example"]
        ).map(parse_address),
    ),
    max_size=12,
)


@given(_LINE, st.sampled_from([None, "jösé@x.example"]))
def test_any_subject_comes_back(subject: str, to: str | None) -> None:
    recipients = [("", parse_address(to))] if to else []
    message = compose(draft(subject=subject, to=recipients))
    lines = message.header.split(b"\r\n")
    assert all(len(line.decode()) <= 78 for line in lines)
    assert not any(line.isspace() for line in lines)
    (found,) = field_values(message.header, "subject") or [b""]
    assert our_decode_header(found).split() == subject.split()
    if to is None:
        assert message.header.isascii()
        theirs = email.message_from_bytes(message.header)["Subject"] or ""
        unfolded = "".join(theirs.split("\n")).replace("\r", "")
        assert str(make_header(decode_header(unfolded))).split() == subject.split()


@given(_ADDRESSES)
def test_any_addresses_come_back(to: list[tuple[str, Address]]) -> None:
    header = compose(draft(to=to)).header
    values = field_values(header, "to")
    found = mailboxes(values[0]) if values else []
    assert [(box.name, box.address) for box in found] == to
    assert all(len(line) <= 998 for line in header.split(b"\r\n"))


@given(_ADDRESSES.filter(lambda to: all(address.localpart.isascii() for _, address in to)))
def test_the_standard_library_reads_the_same_addresses(to: list[tuple[str, Address]]) -> None:
    raw = b"".join(compose(draft(to=to)).pieces())
    message = email.message_from_bytes(raw, policy=email.policy.default)
    assert isinstance(message, EmailMessage)
    found = message["To"].addresses if to else ()
    assert [box.addr_spec for box in found] == [address.pack(False) for _, address in to]
    names = [" ".join(box.display_name.split()) for box in found]
    assert names == [" ".join(name.split()) for name, _ in to]


@given(_TEXT.filter(bool), _TEXT, _TEXT)
def test_any_text_comes_back(plain: str, html: str, more: str) -> None:
    raw = composed(plain=plain, html=html, attached_files=[File(content=more.encode())])
    assert all(len(line) <= 998 for line in raw.split(b"\r\n"))
    message = email.message_from_bytes(raw)
    leaves = [part for part in message.walk() if not part.is_multipart()]
    texts = [text for text in (plain, html) if text]
    for part, text in zip(leaves, texts, strict=False):
        payload = part.get_payload(decode=True)
        assert isinstance(payload, bytes)
        expected = text.replace("\r\n", "\n")
        expected += "" if expected.endswith("\n") else "\n"
        assert payload.decode().replace("\r\n", "\n") == expected
    assert leaves[-1].get_payload(decode=True) == more.encode()


@given(_LINE.filter(lambda name: bool(name.strip())))
def test_any_file_name_comes_back(name: str) -> None:
    raw = composed(attached_files=[File(content=b"x", name=name)])
    assert parse(raw).children[1].filename == name
    theirs = email.message_from_bytes(raw).get_payload()[1].get_filename()
    assert theirs.split() == name.split()


@given(st.lists(st.binary(max_size=300), max_size=5), st.integers(1, 200))
def test_any_file_comes_back_whatever_pieces_it_has(pieces: list[bytes], times: int) -> None:
    content = [piece * times for piece in pieces]
    raw = composed(attached_files=[File(content=lambda: iter(content), content_type="a/b")])
    part = parse(raw).children[1]
    assert b"".join(decoded_pieces(raw, part, wire=True)) == b"".join(content)
