"""FETCH attributes (RFC 9051 §9: fetch-att, section, partial; RFC 3516; RFC 7162)."""

from __future__ import annotations

import re

from mox.imap.fetchatt import (
    ALL,
    FAST,
    FULL,
    BinarySection,
    BinarySize,
    BodySection,
    FetchAttribute,
    Partial,
    Plain,
    Section,
)
from mox.imap.grammar.cursor import ATOM, MAX_NUMBER64, Cursor, unique

_MACROS = {"ALL": ALL, "FAST": FAST, "FULL": FULL}
_PLAIN = {attribute.value: attribute for attribute in Plain}
# RFC 3501 §6.4.5: each is another name for a BODY[…], which the answer must use.
_RFC822 = {
    "RFC822": BodySection(Section(), False, None, b"RFC822"),
    "RFC822.HEADER": BodySection(Section(what="HEADER"), True, None, b"RFC822.HEADER"),
    "RFC822.TEXT": BodySection(Section(what="TEXT"), False, None, b"RFC822.TEXT"),
}
_NAME = re.compile(rb"[A-Za-z0-9.]++")
# RFC 5322 §3.6.8: ftext. Echoed in the answer, so nothing else is let in.
_FIELD_NAME = re.compile(rb"[!-9;-~]++")


def fetch_attributes(cursor: Cursor) -> tuple[FetchAttribute, ...]:
    """Read a macro, one attribute, or several in parentheses."""
    if cursor.peek() == b"(":
        attributes = cursor.parenthesised(lambda: _attribute(cursor))
        if len(attributes) > cursor.limits.fetch_attributes:
            cursor.fail("too many attributes")
        return unique(attributes)
    start = cursor.at
    macro = _MACROS.get(_name(cursor))
    if macro is not None:
        return macro
    cursor.at = start
    return (_attribute(cursor),)


def _name(cursor: Cursor) -> str:
    return cursor.match(_NAME, "an attribute").decode("ascii").upper()


def _attribute(cursor: Cursor) -> FetchAttribute:
    name = _name(cursor)
    if cursor.maybe(b"["):
        return _sectioned(cursor, name)
    attribute = _PLAIN.get(name) or _RFC822.get(name)
    if attribute is None:
        cursor.fail("unknown attribute")
    if attribute is Plain.PREVIEW and cursor.maybe(b" ("):
        # RFC 8970 §3.2: LAZY asks for what is at hand. That is all there is: previews are made
        # when messages come in.
        if cursor.word("LAZY") != "LAZY":
            cursor.fail("unknown preview modifier")
        cursor.take(b")")
    return attribute


def _sectioned(cursor: Cursor, name: str) -> FetchAttribute:
    """Read the rest of an attribute after its "["."""
    if name in ("BODY", "BODY.PEEK"):
        section, spec = _section(cursor)
        partial = _partial(cursor)
        label = b"BODY[" + spec + b"]" + _offset(partial)
        return BodySection(section, name == "BODY.PEEK", partial, label)
    if name not in ("BINARY", "BINARY.PEEK", "BINARY.SIZE"):
        cursor.fail("unknown attribute")
    part = _part_numbers(cursor)
    cursor.take(b"]")
    spec = b"[" + _dotted(part) + b"]"
    if name == "BINARY.SIZE":
        return BinarySize(part, b"BINARY.SIZE" + spec)
    partial = _partial(cursor)
    return BinarySection(part, name == "BINARY.PEEK", partial, b"BINARY" + spec + _offset(partial))


# section-spec = section-msgtext / (section-part ["." section-text])
def _section(cursor: Cursor) -> tuple[Section, bytes]:
    """Read a section and its "]"; the second result is the section as the answer names it."""
    part = _part_numbers(cursor)
    spec = _dotted(part)
    what = ""
    fields: tuple[str, ...] = ()
    if cursor.peek() not in (b"]", b""):
        what = _name(cursor)
        spec += (b"." if part else b"") + what.encode("ascii")
        if what in ("HEADER.FIELDS", "HEADER.FIELDS.NOT"):
            fields = _field_names(cursor)
            spec += b" (" + b" ".join(map(_written, fields)) + b")"
        elif what not in ("HEADER", "TEXT") and not (what == "MIME" and part):
            cursor.fail("unknown section")
    cursor.take(b"]")
    return Section(part, what, fields), spec


def _part_numbers(cursor: Cursor) -> tuple[int, ...]:
    """Read part numbers and, when text follows them, the dot before it."""
    numbers: list[int] = []
    while cursor.peek().isdigit():
        numbers.append(cursor.nz_number())
        if len(numbers) > cursor.limits.part_depth:
            cursor.fail("too many part numbers")
        if cursor.peek() == b"]":
            return tuple(numbers)
        cursor.take(b".")
    if numbers and cursor.peek() == b"]":
        cursor.fail("malformed section")
    return tuple(numbers)


def _dotted(part: tuple[int, ...]) -> bytes:
    return ".".join(map(str, part)).encode("ascii")


def _field_names(cursor: Cursor) -> tuple[str, ...]:
    cursor.space()
    return tuple(cursor.parenthesised(lambda: _field_name(cursor)))


def _field_name(cursor: Cursor) -> str:
    raw = cursor.astring("a header field name")
    if not _FIELD_NAME.fullmatch(raw):
        cursor.fail("malformed header field name")
    return raw.decode("ascii")


def _written(field: str) -> bytes:
    raw = field.encode("ascii")
    if ATOM.fullmatch(raw):
        return raw
    return b'"' + raw.replace(b"\\", b"\\\\").replace(b'"', b'\\"') + b'"'


# partial = "<" number64 "." nz-number64 ">"
def _partial(cursor: Cursor) -> Partial | None:
    if not cursor.maybe(b"<"):
        return None
    offset = cursor.number(MAX_NUMBER64)
    cursor.take(b".")
    count = cursor.nz_number(MAX_NUMBER64)
    cursor.take(b">")
    return offset, count


def _offset(partial: Partial | None) -> bytes:
    return b"" if partial is None else b"<%d>" % partial[0]
