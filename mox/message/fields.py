"""Header fields as octets: splitting a header section, finding fields, adding some.

RFC 5322 §2.2. A field's raw value is everything after the colon, folding included. Lines that
are not fields are skipped; a line break is CRLF in wire form and LF in stored form, and a bare LF
in wire form is accepted as one.
"""

from __future__ import annotations

import re
from mmap import mmap

from mox.message.windowed import Windowed

# A whole message. Windowed: one that is too large for the memory.
Data = bytes | memoryview | mmap | Windowed

_FOLD_WIRE = re.compile(rb"\r?\n(?![ \t])")
_FOLD_STORED = re.compile(rb"\n(?![ \t])")
_NOT_NAME = re.compile(rb"[^!-9;-~]")
_JUNK = b"\r\n\0"


def as_bytes(data: Data) -> bytes:
    """Return the data as bytes, which is what can be searched fast; copies the other types."""
    return data if isinstance(data, bytes) else bytes(data)


def as_searchable(data: Data) -> bytes | Windowed:
    """Return the data as what can be searched; copies no file."""
    if isinstance(data, mmap):
        return Windowed(len(data), lambda at, length: data[at : at + length])
    return data if isinstance(data, (bytes, Windowed)) else bytes(data)


def to_wire(octets: bytes) -> bytes:
    """Turn stored form into wire form."""
    return octets.replace(b"\n", b"\r\n")


def body_offset(data: bytes | Windowed, start: int, end: int, *, wire: bool) -> int:
    """Return where the body begins: after the first empty line, `end` when there is none."""
    if not wire:
        if data.startswith(b"\n", start, end):
            return start + 1
        at = data.find(b"\n\n", start, end)
        return end if at < 0 else at + 2
    if data.startswith(b"\r\n", start, end):
        return start + 2
    at = data.find(b"\n\r\n", start, end)
    stop = end if at < 0 else at + 3
    if data.startswith(b"\n", start, stop):
        return start + 1
    bare = data.find(b"\n\n", start, stop)
    return stop if bare < 0 else bare + 2


def has_separator(data: bytes, *, wire: bool = True) -> bool:
    """Say whether an empty line ends the header section."""
    offset = body_offset(data, 0, len(data), wire=wire)
    empty = b"\n\r\n" if wire else b"\n\n"
    return data.endswith((empty, b"\n\n"), 0, offset) or data[:offset] in (b"\r\n", b"\n")


def header_section(data: Data, *, wire: bool = True) -> bytes:
    """Return the header section of a message, up to and with the empty line."""
    octets = as_bytes(data)
    return octets[: body_offset(octets, 0, len(octets), wire=wire)]


def split_lines(section: bytes, *, wire: bool = True) -> list[bytes]:
    """Split a header section in logical lines: folded, without the line break at their end."""
    lines = (_FOLD_WIRE if wire else _FOLD_STORED).split(section)
    while lines and not lines[-1]:
        lines.pop()
    return lines


def split_fields(section: bytes, *, wire: bool = True) -> list[tuple[bytes, bytes]]:
    """Split a header section in (name, raw value); lines that are no fields are left out."""
    fields = []
    for line in split_lines(section, wire=wire):
        name, colon, value = line.partition(b":")
        name = name.rstrip(b" \t")
        if colon and name and not _NOT_NAME.search(name):
            fields.append((name, value))
    return fields


def unfold(value: bytes) -> bytes:
    """Return a raw value on one line, trimmed, without CR, LF and NUL."""
    return value.translate(None, _JUNK).strip(b" \t")


def field_values(section: bytes, name: str | bytes, *, wire: bool = True) -> list[bytes]:
    """Return the unfolded values of all fields with this name, in order."""
    wanted = (name.encode("ascii") if isinstance(name, str) else name).lower()
    if wanted not in section.lower():
        return []
    fields = split_fields(section, wire=wire)
    return [unfold(value) for field, value in fields if field.lower() == wanted]


def has_field(section: bytes, name: str | bytes, *, wire: bool = True) -> bool:
    """Say whether a field with this name is present."""
    return bool(field_values(section, name, wire=wire))


def field(name: str, value: str) -> bytes:
    """Return one field line in wire form, not folded. Line breaks in the value become spaces."""
    line = f"{name}: {' '.join(value.splitlines())}\r\n"
    return line.encode("utf-8", "replace")


def prepend(message: bytes, *fields: bytes) -> bytes:
    """Put field lines (each complete, with CRLF) in front of a message, in the order given."""
    return b"".join((*fields, message))
