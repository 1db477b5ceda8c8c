"""Wire form and stored form are one message; nothing raises; parts stay within their parents."""

from __future__ import annotations

from hypothesis import given, settings
from hypothesis import strategies as st

from mox.message import (
    NotALeaf,
    Part,
    Section,
    UnknownEncoding,
    bodystructure,
    decoded,
    envelope,
    header_text,
    headers,
    index_facts,
    parse,
    resolve,
    section,
    text_of,
    walk,
)
from mox.message.sections import What

from .wireforms import stored_messages, wire

NUMBERS = [(), (1,), (2,), (1, 1), (1, 2), (2, 1), (1, 1, 1)]
WHATS: list[tuple[What, tuple[str, ...]]] = [
    ("", ()), ("HEADER", ()), ("TEXT", ()), ("MIME", ()),
    ("HEADER.FIELDS", ("Subject", "x")), ("HEADER.FIELDS.NOT", ("subject", "from")),
]  # fmt: skip
SPECS = [Section(numbers, what, fields) for numbers in NUMBERS for what, fields in WHATS]


def shape(part: Part) -> object:
    """All of a part but the offsets."""
    return (
        part.lines, part.octets, part.content_type, part.encoding, part.content_id,
        part.description, part.disposition, part.md5, part.language, part.location,
        part.envelope, part.truncated, [shape(child) for child in part.children],
        part.message and shape(part.message),
    )  # fmt: skip


@given(stored_messages())
@settings(max_examples=400)
def test_both_forms_give_the_same_facts(stored: bytes) -> None:
    on_wire = wire(stored)
    assert index_facts(stored, wire=False) == index_facts(on_wire, wire=True)
    assert index_facts(stored, wire=False).size == len(on_wire)
    assert shape(parse(stored, wire=False)) == shape(parse(on_wire))


@given(stored_messages())
@settings(max_examples=400)
def test_both_forms_give_the_same_sections(stored: bytes) -> None:
    on_wire = wire(stored)
    stored_root, wire_root = parse(stored, wire=False), parse(on_wire)
    for spec in SPECS:
        found = section(stored, stored_root, spec, wire=False)
        assert found == section(on_wire, wire_root, spec, wire=True)
        if not spec.part:
            assert found == section(stored, None, spec, wire=False)


def binary(data: bytes, root: Part, numbers: tuple[int, ...], wire: bool) -> bytes | str | None:
    try:
        return decoded(data, root, numbers, wire=wire)
    except (NotALeaf, UnknownEncoding) as err:
        return str(err)


@given(stored_messages())
@settings(max_examples=200)
def test_both_forms_give_the_same_decoded_content(stored: bytes) -> None:
    on_wire = wire(stored)
    stored_root, wire_root = parse(stored, wire=False), parse(on_wire)
    for numbers in NUMBERS:
        assert binary(stored, stored_root, numbers, False) == binary(
            on_wire, wire_root, numbers, True
        )
    texts = list(text_of(stored, stored_root, wire=False))
    assert texts == list(text_of(on_wire, wire_root, wire=True))


def check_tree(part: Part, start: int, end: int) -> None:
    assert start <= part.header_start <= part.body_start <= part.end <= end
    assert part.lines >= 0 and part.octets >= part.end - part.body_start
    pos = part.body_start
    for child in part.children:
        check_tree(child, pos, part.end)
        pos = child.end
    if part.message is not None:
        assert (part.message.header_start, part.message.end) == (part.body_start, part.end)
        check_tree(part.message, part.body_start, part.end)


@given(st.one_of(stored_messages(), st.binary(max_size=300)), st.booleans())
@settings(max_examples=400)
def test_any_octets_give_a_sound_tree(data: bytes, is_wire: bool) -> None:
    root = parse(data, wire=is_wire)
    check_tree(root, 0, len(data))
    for part in walk(root):
        assert part.lines == data.count(b"\n", part.body_start, part.end)
        headers(data, part)
        envelope(data, part)
        header_text(data, part)
    assert_balanced(bodystructure(root))
    assert_balanced(bodystructure(root, extensible=False))
    assert_balanced(index_facts(data, wire=is_wire).envelope)
    assert section(data, root, Section(), wire=True) == data
    assert resolve(root, (0,)) is None


def assert_balanced(rendered: bytes) -> None:
    """Check that a response is what an IMAP client can read: strings, literals, parentheses."""
    depth = pos = 0
    while pos < len(rendered):
        octet = rendered[pos : pos + 1]
        if octet == b'"':
            pos += 1
            while rendered[pos : pos + 1] != b'"':
                assert rendered[pos] < 0x80 and rendered[pos] not in b"\r\n\0"
                pos += 2 if rendered[pos : pos + 1] == b"\\" else 1
        elif octet == b"{":
            close = rendered.index(b"}\r\n", pos)
            size = int(rendered[pos + 1 : close])
            assert b"\0" not in rendered[close + 3 : close + 3 + size]
            pos = close + 2 + size
        elif octet in b"()":
            depth += 1 if octet == b"(" else -1
            assert depth > 0 or pos == len(rendered) - 1
        else:
            assert octet in b" NIL0123456789"
        pos += 1
    assert depth == 0
