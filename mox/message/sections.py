"""BODY[section] and BINARY[section]: octets out of a message (RFC 9051 §6.4.5, RFC 3516)."""

from __future__ import annotations

import re
from dataclasses import dataclass
from functools import lru_cache
from typing import Literal

from mox.message.fields import Data, as_bytes, body_offset, to_wire
from mox.message.parts import NotALeaf, Part, resolve
from mox.message.reader import parse
from mox.message.transfer import decode_transfer

What = Literal["", "HEADER", "TEXT", "MIME", "HEADER.FIELDS", "HEADER.FIELDS.NOT"]


@dataclass(frozen=True, slots=True)
class Section:
    """What stands in the brackets: `1.2.HEADER.FIELDS (Subject)`."""

    part: tuple[int, ...] = ()
    what: What = ""
    fields: tuple[str, ...] = ()


def section(data: Data, part: Part | None, spec: Section, *, wire: bool) -> bytes | None:
    """Return a section in wire form, None when the message has no such part.

    `part` is the whole message, as parsed. It may be None where the section has no part numbers:
    then the message need not be parsed at all.
    """
    if not spec.part:
        return _message_section(data, 0, len(data), spec, wire)
    root = part if part is not None else parse(data, wire=wire)
    target = resolve(root, spec.part)
    if target is None:
        return None
    if spec.what == "":
        return _cut(data, target.body_start, target.end, wire)
    if spec.what == "MIME":
        return _cut(data, target.header_start, target.body_start, wire)
    # RFC 9051 §6.4.5.1: HEADER and TEXT of a part are those of the message in it.
    inner = target.message
    if inner is None:
        return None
    return _message_section(data, inner.header_start, inner.end, spec, wire)


def _message_section(data: Data, start: int, end: int, spec: Section, wire: bool) -> bytes | None:
    if spec.what == "":
        return _cut(data, start, end, wire)
    if spec.what == "MIME":
        return None
    octets = as_bytes(data)
    body = body_offset(octets, start, end, wire=wire)
    if spec.what == "TEXT":
        return _cut(octets, body, end, wire)
    if spec.what == "HEADER":
        return _cut(octets, start, body, wire)
    exclude = spec.what == "HEADER.FIELDS.NOT"
    return header_fields(octets[start:body], spec.fields, exclude=exclude, wire=wire)


# Octets of names that are worth a pattern: making one takes a microsecond each.
_PATTERN_OCTETS = 1000
# RFC 5322 §3.6.8: and what clients ask for beyond that is not refused, but is nowhere.
_NAME = re.compile(rb"[!-9;-~]+")


def header_fields(
    header: bytes, names: tuple[str, ...], *, exclude: bool, wire: bool = True
) -> bytes:
    """Return the named fields of a header section, or all others, and an empty line; wire form."""
    if wire:
        header = header.replace(b"\r\n", b"\n")
    if exclude or sum(map(len, names)) > _PATTERN_OCTETS:
        kept = b"".join([b"\n" + line for line in _kept_lines(header, names, exclude)])
    else:
        kept = b"".join(_named(names).findall(b"\n" + header))
    # RFC 9051 §6.4.5.1: the delimiting blank line is always included.
    return kept[1:].replace(b"\n", b"\r\n") + b"\r\n\r\n" if kept else b"\r\n"


@lru_cache(maxsize=64)
def _named(names: tuple[str, ...]) -> re.Pattern[bytes]:
    """Finds the lines of fields with these names, each with the line break before it."""
    words = b"|".join(map(re.escape, sorted(_octets(names)))) or b"(?!)"
    return re.compile(rb"(?i)\n(?:" + words + rb")[ \t]*(?![^:\n]).*(?:\n[ \t].*)*")


def _octets(names: tuple[str, ...]) -> set[bytes]:
    """The names that a field can have, in lower case."""
    octets = {name.encode("utf-8", "replace").lower() for name in names}
    return {name for name in octets if _NAME.fullmatch(name)}


def _kept_lines(header: bytes, names: tuple[str, ...], exclude: bool) -> list[bytes]:
    wanted = _octets(names)
    kept = []
    is_kept = exclude
    for line in header.split(b"\n"):
        if not line:
            continue  # only at the end
        if line[0] not in b" \t":
            name = line.partition(b":")[0].rstrip(b" \t").lower()
            is_kept = (name in wanted) is not exclude
        if is_kept:
            kept.append(line)
    return kept


def _cut(data: Data, start: int, end: int, wire: bool) -> bytes:
    octets = data if start == 0 and end == len(data) else data[start:end]
    return as_bytes(octets) if wire else to_wire(as_bytes(octets))


def decoded(data: Data, part: Part, numbers: tuple[int, ...], *, wire: bool) -> bytes | None:
    """Return the decoded content for BINARY[numbers], None when there is no such part.

    Without numbers it is the whole message with its body decoded. Raises NotALeaf and
    UnknownEncoding.
    """
    target = resolve(part, numbers)
    if target is None:
        return None
    if target.children or target.message is not None:
        if numbers:
            raise NotALeaf("binary content exists for leaf parts only")
        return _cut(data, part.header_start, part.end, wire)
    content = decode_transfer(_cut(data, target.body_start, target.end, wire), target.encoding)
    if numbers:
        return content
    header = as_bytes(data[part.header_start : part.body_start])
    # RFC 3516 §4.3: the encoding is removed, so its name must not be shown.
    names = ("Content-Transfer-Encoding",)
    return header_fields(header, names, exclude=True, wire=wire) + content
