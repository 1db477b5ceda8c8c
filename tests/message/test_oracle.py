"""Comparison with the standard library: what it composes, we read; what both read, is the same."""

from __future__ import annotations

import email
import email.header
import email.message
import email.utils
from email.message import EmailMessage
from email.mime.message import MIMEMessage
from email.mime.multipart import MIMEMultipart
from email.mime.text import MIMEText
from email.policy import SMTP, compat32
from typing import Any

from hypothesis import given, settings
from hypothesis import strategies as st

from mox.message import (
    Part,
    Section,
    decode_header,
    decoded,
    index_facts,
    mailboxes,
    parse,
    section,
    text_of,
)

TEXT = st.text(st.characters(codec="utf-8", exclude_categories=["Cc", "Cs"]), max_size=60)
WORDS = st.text('abc é日,;"()<>@', min_size=1, max_size=30)


def multiparts() -> st.SearchStrategy[email.message.Message]:
    charset = st.sampled_from(["us-ascii", "utf-8", "iso-8859-15", "utf-16"])
    leaf = st.builds(make_text, TEXT, charset)
    return st.recursive(
        leaf,
        lambda inner: st.one_of(
            st.lists(inner, min_size=1, max_size=3).map(make_multipart),
            inner.map(MIMEMessage),
        ),
        max_leaves=6,
    )


def make_text(text: str, charset: str) -> email.message.Message:
    octets = text.encode(charset, "replace").decode(charset)
    return MIMEText(octets, "plain", charset)


def make_multipart(children: list[email.message.Message]) -> email.message.Message:
    message = MIMEMultipart("mixed")
    for child in children:
        message.attach(child)
    return message


def compare(ours: Part, theirs: Any) -> None:
    assert f"{ours.media_type}/{ours.media_subtype}".lower() == theirs.get_content_type()
    payload = theirs.get_payload()
    if ours.message is not None:
        assert isinstance(payload, list)
        compare(ours.message, payload[0])
    elif ours.children:
        assert isinstance(payload, list) and len(payload) == len(ours.children)
        for child, other in zip(ours.children, payload, strict=True):
            compare(child, other)
    else:
        assert not theirs.is_multipart()


def their_texts(message: email.message.Message) -> list[bytes]:
    return [part.get_payload(decode=True) for part in message.walk() if not part.is_multipart()]  # type: ignore[misc]


@given(multiparts())
@settings(max_examples=100)
def test_structures_agree(message: email.message.Message) -> None:
    data = message.as_bytes(policy=compat32.clone(linesep="\r\n"))
    theirs = email.message_from_bytes(data)
    root = parse(data)
    compare(root, theirs)
    assert index_facts(data, wire=True).malformed == ""
    texts = [text for text in text_of(data, root, wire=True) if "Content-Type:" not in text]
    charsets = [part.get_content_charset() for part in theirs.walk() if not part.is_multipart()]
    expected = [
        octets.decode(charset or "ascii", "replace")
        for octets, charset in zip(their_texts(theirs), charsets, strict=True)
    ]
    assert [text.replace("\r\n", "\n") for text in texts] == [
        text.replace("\r\n", "\n") for text in expected
    ]


@given(TEXT, TEXT, st.binary(max_size=200), st.text("abcé日 .'", min_size=1, max_size=60))
@settings(max_examples=100)
def test_composed_messages_are_read(text: str, html: str, attachment: bytes, filename: str) -> None:
    message = EmailMessage(policy=SMTP)
    message["Subject"] = "x"
    message.set_content(text)
    message.add_alternative(html, subtype="html")
    message.add_attachment(attachment, maintype="application", subtype="x-test", filename=filename)
    data = message.as_bytes()
    root = parse(data)
    alternative, attached = root.children
    assert [child.media_subtype for child in alternative.children] == ["PLAIN", "HTML"]
    assert decoded(data, root, (2,), wire=True) == attachment
    assert attached.is_attachment and attached.filename == filename
    found = list(text_of(data, root, wire=True))
    assert [text.rstrip("\r\n") for text in found] == [text, html]
    stored = data.replace(b"\r\n", b"\n")
    assert section(stored, None, Section((2,)), wire=False) == section(
        data, root, Section((2,)), wire=True
    )


@given(TEXT)
def test_encoded_subjects_are_read(text: str) -> None:
    for charset in ("utf-8", "iso-2022-jp", "big5"):
        usable = text.encode(charset, "ignore").decode(charset)
        if charset == "big5":
            # Read as browsers do, with the Hong Kong characters; Python has kana elsewhere.
            usable = "".join(
                ch for ch in usable if ch.encode(charset).decode("big5hkscs", "replace") == ch
            )
        value = email.header.Header(usable, charset).encode(linesep="\r\n").encode()
        expected = str(email.header.make_header(email.header.decode_header(value.decode())))
        if charset == "utf-8":
            assert " ".join(decode_header(value).split()) == " ".join(usable.split())
        else:
            assert " ".join(decode_header(value).split()) == " ".join(expected.split())


@given(st.lists(st.tuples(WORDS, st.from_regex(r"[a-z]{1,8}(\.[a-z]{1,8})?", fullmatch=True))))
def test_composed_address_lists_are_read(people: list[tuple[str, str]]) -> None:
    # Not by EmailMessage: it encodes the comma between long addresses.
    pairs = [(name, f"{local}@example.org") for name, local in people]
    value = ",\r\n ".join([email.utils.formataddr(pair) for pair in pairs]).encode()
    found = [(" ".join(m.name.split()), m.localpart, m.domain) for m in mailboxes(value)]
    assert found == [(" ".join(name.split()), local, "example.org") for name, local in people]


ATOM = st.from_regex(r"[a-z]{1,6}", fullmatch=True)
PERSON = st.builds(
    lambda name, local, host, form: form.format(name=name, local=local, host=host),
    ATOM,
    ATOM,
    ATOM,
    st.sampled_from(
        ["{local}@{host}", "<{local}@{host}>", "{name} <{local}@{host}>",
         '"{name}, x" <{local}@{host}>', "{local}@{host} ({name})", '"{local}\\"x"@{host}'],
    ),
)  # fmt: skip


@given(st.lists(PERSON, min_size=1, max_size=5))
def test_address_lists_agree(people: list[str]) -> None:
    value = ", ".join(people)
    ours = [
        (mailbox.name, f"{mailbox.localpart}@{mailbox.domain}")
        for mailbox in mailboxes(value.encode())
    ]
    theirs = [
        (name, address.replace('"', "").replace("\\", ""))
        for name, address in email.utils.getaddresses([value])
    ]
    assert [(name, address.replace('"', "")) for name, address in ours] == theirs
