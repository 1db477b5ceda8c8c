from __future__ import annotations

import mmap
import tempfile

import pytest
from hypothesis import given
from hypothesis import strategies as st

from mox.message import (
    NotALeaf,
    Section,
    UnknownEncoding,
    decoded,
    index_facts,
    parse,
    section,
)

# The structure of RFC 9051 §6.4.5.1's example of part specifiers.
EXAMPLE = b"""\
From: a@b.example
Subject: top
Content-Type: multipart/mixed; boundary=m

preamble
--m

one
--m
Content-Type: application/octet-stream
Content-Transfer-Encoding: base64

dHdv
--m
Content-Type: message/rfc822

Subject: three
X-Folded: a
 b
Content-Type: multipart/mixed; boundary=n

--n

three.one
--n
Content-Type: application/octet-stream

three.two
--n--
--m
Content-Type: multipart/mixed; boundary=o

--o
Content-Type: image/gif
X-Mime: yes

four.one
--o
Content-Type: message/rfc822

Subject: four.two
Content-Type: multipart/mixed; boundary=p

--p

four.two.one
--p
Content-Type: multipart/alternative; boundary=q

--q

four.two.two.one
--q
Content-Type: text/richtext

four.two.two.two
--q--
--p--
--o--
--m--
epilogue
""".replace(b"\n", b"\r\n")


@pytest.mark.parametrize(
    ("spec", "expected"),
    [
        (Section((1,)), b"one"),
        (Section((1,), "MIME"), b"\r\n"),
        (Section((2,)), b"dHdv"),
        (Section((2,), "HEADER"), None),
        (Section((2,), "TEXT"), None),
        (Section((2, 1)), None),
        (Section((3,), "MIME"), b"Content-Type: message/rfc822\r\n\r\n"),
        (
            Section((3,), "HEADER"),
            b"Subject: three\r\nX-Folded: a\r\n b\r\n"
            b"Content-Type: multipart/mixed; boundary=n\r\n\r\n",
        ),
        (Section((3,), "HEADER.FIELDS", ("SUBJECT", "X")), b"Subject: three\r\n\r\n"),
        (Section((3,), "HEADER.FIELDS", ("x-folded",)), b"X-Folded: a\r\n b\r\n\r\n"),
        (
            Section((3,), "HEADER.FIELDS.NOT", ("content-type", "x-folded")),
            b"Subject: three\r\n\r\n",
        ),
        (Section((3, 1)), b"three.one"),
        (Section((3, 2)), b"three.two"),
        (Section((3, 3)), None),
        (Section((4,), "MIME"), b"Content-Type: multipart/mixed; boundary=o\r\n\r\n"),
        (Section((4, 1)), b"four.one"),
        (Section((4, 1), "MIME"), b"Content-Type: image/gif\r\nX-Mime: yes\r\n\r\n"),
        (Section((4, 2, 1)), b"four.two.one"),
        (Section((4, 2, 2, 1)), b"four.two.two.one"),
        (Section((4, 2, 2, 2)), b"four.two.two.two"),
        (Section((4, 2), "HEADER.FIELDS", ("Subject",)), b"Subject: four.two\r\n\r\n"),
        (Section((5,)), None),
        (Section((0,)), None),
        (Section((1, 1)), None),
        (Section((), "MIME"), None),
        (Section((), "HEADER.FIELDS", ("Subject",)), b"Subject: top\r\n\r\n"),
        (Section((), "HEADER.FIELDS", ("none",)), b"\r\n"),
        (Section(), EXAMPLE),
    ],
)
def test_sections_of_the_rfc_example(spec: Section, expected: bytes | None) -> None:
    assert section(EXAMPLE, parse(EXAMPLE), spec, wire=True) == expected
    stored = EXAMPLE.replace(b"\r\n", b"\n")
    assert section(stored, parse(stored, wire=False), spec, wire=False) == expected
    assert section(stored, None, spec, wire=False) == expected


def test_header_and_text_make_the_message() -> None:
    header = section(EXAMPLE, None, Section((), "HEADER"), wire=True)
    text = section(EXAMPLE, None, Section((), "TEXT"), wire=True)
    assert header is not None and text is not None and header + text == EXAMPLE
    assert header.endswith(b"boundary=m\r\n\r\n")


def test_nested_text_is_the_embedded_body() -> None:
    text = section(EXAMPLE, parse(EXAMPLE), Section((3,), "TEXT"), wire=True)
    assert text is not None and text.startswith(b"--n\r\n") and text.endswith(b"--n--")


def test_part_one_of_a_plain_message_is_its_body() -> None:
    data = b"Subject: x\r\n\r\nbody\r\n"
    root = parse(data)
    assert section(data, root, Section((1,)), wire=True) == b"body\r\n"
    assert section(data, root, Section((1,), "MIME"), wire=True) == b"Subject: x\r\n\r\n"
    assert section(data, root, Section((1,), "TEXT"), wire=True) is None
    assert section(data, root, Section((2,)), wire=True) is None
    assert section(data, root, Section((1, 1)), wire=True) is None


def test_message_whose_body_is_a_message() -> None:
    data = b"Content-Type: message/rfc822\r\n\r\nSubject: in\r\n\r\nbody"
    root = parse(data)
    assert section(data, root, Section((1,)), wire=True) == b"Subject: in\r\n\r\nbody"
    assert section(data, root, Section((1,), "TEXT"), wire=True) == b"body"
    assert section(data, root, Section((1, 1)), wire=True) == b"body"
    assert section(data, root, Section((1, 1, 1)), wire=True) is None


def test_header_without_body() -> None:
    for data in (b"Subject: x", b"Subject: x\r\n", b"Subject: x\r\n\r\n"):
        root = parse(data)
        assert section(data, root, Section((), "HEADER"), wire=True) == data
        assert section(data, root, Section((), "TEXT"), wire=True) == b""
        fields = Section((), "HEADER.FIELDS", ("subject",))
        assert section(data, root, fields, wire=True) == b"Subject: x\r\n\r\n"


def test_body_without_header() -> None:
    data = b"\r\nbody"
    assert section(data, parse(data), Section((1,)), wire=True) == b"body"
    assert section(data, None, Section((), "HEADER"), wire=True) == b"\r\n"


def test_other_buffers_are_read_too() -> None:
    spec = Section((4, 2, 1))
    view = memoryview(EXAMPLE)
    assert section(view, parse(view), spec, wire=True) == b"four.two.one"
    with tempfile.TemporaryFile() as file:
        file.write(EXAMPLE)
        file.flush()
        with mmap.mmap(file.fileno(), 0, access=mmap.ACCESS_READ) as mapped:
            assert section(mapped, parse(mapped), spec, wire=True) == b"four.two.one"
            assert section(mapped, None, Section(), wire=True) == EXAMPLE
            assert index_facts(mapped, wire=True) == index_facts(EXAMPLE, wire=True)


# BINARY


def test_binary_is_decoded() -> None:
    root = parse(EXAMPLE)
    assert decoded(EXAMPLE, root, (2,), wire=True) == b"two"
    assert decoded(EXAMPLE, root, (1,), wire=True) == b"one"
    assert decoded(EXAMPLE, root, (9,), wire=True) is None
    for numbers in ((3,), (4,), (4, 2, 2)):
        with pytest.raises(NotALeaf):
            decoded(EXAMPLE, root, numbers, wire=True)
    assert decoded(EXAMPLE, root, (), wire=True) == EXAMPLE


def test_binary_of_the_whole_message_drops_the_encoding() -> None:
    data = b"Subject: x\nContent-Transfer-Encoding:\n quoted-printable\nX: y\n\nCaf=C3=A9 =\nau\n"
    root = parse(data, wire=False)
    whole = decoded(data, root, (), wire=False)
    assert whole == "Subject: x\r\nX: y\r\n\r\nCafé au\r\n".encode()
    assert decoded(data, root, (1,), wire=False) == "Café au\r\n".encode()


def test_binary_of_unknown_encoding_is_refused() -> None:
    data = b"Content-Transfer-Encoding: x-uuencode\r\n\r\nbegin 644 x\r\n"
    with pytest.raises(UnknownEncoding):
        decoded(data, parse(data), (1,), wire=True)


# A model: trees built from known contents are found again.

LEAVES = st.text("ab\n -", max_size=12).map(lambda text: text.replace("--", "-+").encode())
Tree = bytes | list["Tree"]
TREES: st.SearchStrategy[Tree] = st.recursive(
    LEAVES, lambda inner: st.lists(inner, min_size=1, max_size=4), max_leaves=12
)


def build(tree: Tree, number: str) -> bytes:
    if isinstance(tree, bytes):
        return b"Content-Type: text/x-leaf\n\n" + tree
    boundary = f"=_{number}"
    lines = [f'Content-Type: multipart/mixed;\n boundary="{boundary}"\n'.encode()]
    for position, child in enumerate(tree, 1):
        lines += [f"--{boundary}".encode(), build(child, f"{number}.{position}")]
    lines.append(f"--{boundary}--".encode())
    return b"\n".join(lines)


def leaves(tree: Tree, numbers: tuple[int, ...]) -> list[tuple[tuple[int, ...], bytes]]:
    if isinstance(tree, bytes):
        return [(numbers or (1,), tree)]
    found = []
    for position, child in enumerate(tree, 1):
        found += leaves(child, (*numbers, position))
    return found


@given(TREES, st.booleans())
def test_leaves_are_found_where_they_were_put(tree: Tree, is_wire: bool) -> None:
    data = build(tree, "0")
    data = data.replace(b"\n", b"\r\n") if is_wire else data
    root = parse(data, wire=is_wire)
    for numbers, content in leaves(tree, ()):
        found = section(data, root, Section(numbers), wire=is_wire)
        assert found == content.replace(b"\n", b"\r\n")
        mime = section(data, root, Section(numbers, "MIME"), wire=is_wire)
        assert mime == b"Content-Type: text/x-leaf\r\n\r\n"
    assert index_facts(data, wire=is_wire).malformed == ""


# More names than are worth a pattern: then the lines are looked at one by one.
FILLING = tuple(f"x-nowhere-{i}" for i in range(100))
LINES = st.sampled_from(
    b"Subject: a|SUBJECT :b|subject|Subject:| folded|\tfolded|Sub: c|X-Subject: d|not a field|: e"
    b"|a+b: f|aab: g|\r|x\xff: h".split(b"|")
)
NAMES = st.sampled_from(
    ["Subject", "subject", "SUB", "a+b", "x\N{LATIN SMALL LETTER Y WITH DIAERESIS}"]
)


@given(st.lists(LINES), st.lists(NAMES, max_size=4), st.booleans(), st.booleans())
def test_fields_are_the_same_however_they_are_found(
    lines: list[bytes], names: list[str], wire: bool, ended: bool
) -> None:
    end = b"\r\n" if wire else b"\n"
    message = end.join([*lines, b"", b"body"] if ended else lines)
    few = Section((), "HEADER.FIELDS", tuple(names))
    many = Section((), "HEADER.FIELDS", (*names, *FILLING))
    assert section(message, None, few, wire=wire) == section(message, None, many, wire=wire)


@pytest.mark.parametrize("name", ["", " ", "Subject ", "Subject:", "Subject: top", "(a|b)", "a\nb"])
def test_a_name_that_no_field_can_have_is_nowhere(name: str) -> None:
    spec = Section((), "HEADER.FIELDS", (name,))
    assert section(EXAMPLE, None, spec, wire=False) == b"\r\n"
