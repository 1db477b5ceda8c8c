"""Content-Transfer-Encodings, and the text of a message for searching (RFC 2045 §6)."""

from __future__ import annotations

import binascii
import re
from collections.abc import Iterator

from mox.message import charsets
from mox.message.fields import Data, as_bytes, to_wire
from mox.message.limits import LIMITS, Limits
from mox.message.parts import Part, UnknownEncoding, walk
from mox.message.words import decode_base64, decode_header

_IDENTITY = ("7BIT", "8BIT", "BINARY")
_LINE_BREAK = re.compile(rb"\r?\n(?![ \t])")
# RFC 2045 §6.7 (3): white space at the end of an encoded line is not part of it. The look-behind
# keeps long runs of spaces linear.
_BLANKS = (b" ", b"\t")
_BLANK_BEFORE_BREAK = (b" \r\n", b"\t\r\n", b" \n", b"\t\n")  # rare: what is searched first
_TRAILING_BLANKS = re.compile(rb"(?<![ \t])[ \t]++(?=\r?\n|$)")


def decode_transfer(octets: bytes, encoding: str) -> bytes:
    """Undo a Content-Transfer-Encoding (upper case). Raises UnknownEncoding."""
    if encoding in _IDENTITY:
        return octets
    if encoding == "BASE64":
        return decode_base64(octets)
    if encoding == "QUOTED-PRINTABLE":
        if octets.endswith(_BLANKS) or any(blank in octets for blank in _BLANK_BEFORE_BREAK):
            octets = _TRAILING_BLANKS.sub(b"", octets)
        return binascii.a2b_qp(octets)
    raise UnknownEncoding(f"unknown content-transfer-encoding {encoding[:40]}")


def part_octets(data: Data, part: Part, *, wire: bool, limits: Limits = LIMITS) -> bytes:
    """Return a leaf's decoded octets; those of an unknown encoding as they are.

    At most `limits.text_octets` of the encoded form are looked at.
    """
    end = min(part.end, part.body_start + limits.text_octets)
    octets = as_bytes(data[part.body_start : end])
    if part.encoding == "BASE64":
        return decode_base64(octets)
    octets = octets if wire else to_wire(octets)
    try:
        return decode_transfer(octets, part.encoding)
    except UnknownEncoding:
        return octets


def part_text(data: Data, part: Part, *, wire: bool, limits: Limits = LIMITS) -> str:
    """Return the text of a leaf part, decoded."""
    return charsets.decode(part_octets(data, part, wire=wire, limits=limits), part.charset)


def text_of(data: Data, part: Part, *, wire: bool, limits: Limits = LIMITS) -> Iterator[str]:
    """Yield the decoded texts that SEARCH BODY looks at: of all text parts, HTML as source.

    The headers of embedded messages are body text of the outer one. Delivery reports count as
    text. At most 32 MB of one part are read.
    """
    for item in walk(part):
        if item.envelope and item is not part:
            yield decode_header_section(as_bytes(data[item.header_start : item.body_start]))
        if not item.children and item.message is None and item.media_type in ("TEXT", "MESSAGE"):
            yield part_text(data, item, wire=wire, limits=limits)


def header_text(data: Data, part: Part) -> str:
    """Return the header section at `part` as text for SEARCH TEXT: encoded words decoded."""
    return decode_header_section(as_bytes(data[part.header_start : part.body_start]))


def decode_header_section(section: bytes) -> str:
    """Decode a header section line by line."""
    return "\n".join([decode_header(line) for line in _LINE_BREAK.split(section)])
