"""Header text for people: RFC 2047 encoded words to text.

Tolerant of what mailers send: words inside quoted strings or without space around them,
characters split over adjacent words, unknown charsets, bad base64. Never raises.
"""

from __future__ import annotations

import binascii
import re

from mox.message import charsets
from mox.message.fields import unfold

# RFC 2047 §2: encoded-word = "=?" charset "?" encoding "?" encoded-text "?="
# RFC 2231 §5 adds *language to the charset. Spaces inside the text are seen and accepted.
_WORD = re.compile(rb"=\?([^?\s*]{1,60})(?:\*[^?\s]{0,60})?\?([bBqQ])\?([^?]*+)\?=")
_BLANK = re.compile(rb"[ \t\r\n]*")
NOT_BASE64 = bytes(
    set(range(256)) - set(b"ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789+/=")
)
_SPACE = re.compile(r"[\t\r\n\0 ]+")


def decode_header(value: bytes) -> str:
    """Return a raw header value as text: unfolded, trimmed, encoded words decoded."""
    value = unfold(value)
    if b"=?" not in value:
        return value.decode("ascii") if value.isascii() else charsets.guess(value)
    return _SPACE.sub(" ", "".join(_pieces(value))).strip()


def decode_text(value: bytes) -> str:
    """Like `decode_header` for a value that is already unfolded; keeps its outer spaces."""
    if b"=?" not in value:
        return value.decode("ascii") if value.isascii() else charsets.guess(value)
    return _SPACE.sub(" ", "".join(_pieces(value)))


def _pieces(value: bytes) -> list[str]:
    pieces: list[str] = []
    pending: list[bytes] = []  # octets of adjacent words that share a charset
    charset = ""
    pos = 0
    for match in _WORD.finditer(value):
        between = value[pos : match.start()]
        name = match[1].decode("ascii", "replace").lower()
        # RFC 2047 §6.2: white space between adjacent encoded words is not shown.
        if pos and _BLANK.fullmatch(between):
            between = b""
        if between or name != charset:
            # RFC 2047 §5: characters must not be split over words; some are, so join first.
            pieces.append(charsets.decode(b"".join(pending), charset))
            pending.clear()
        pieces.append(charsets.guess(between))
        charset = name
        pending.append(_octets(match[2], match[3]))
        pos = match.end()
    pieces.append(charsets.decode(b"".join(pending), charset))
    pieces.append(charsets.guess(value[pos:]))
    return pieces


def _octets(encoding: bytes, text: bytes) -> bytes:
    if encoding in b"qQ":
        # RFC 2047 §4.2: "_" is a space.
        return binascii.a2b_qp(text, header=True)
    return decode_base64(text)


def decode_base64(text: bytes) -> bytes:
    """Decode base64 leniently: what is not in the alphabet is skipped, padding may be wrong."""
    data = text.translate(None, NOT_BASE64)
    head, pad, tail = data.partition(b"=")
    if pad and tail.strip(b"="):
        # Several encodings one after the other.
        return b"".join([_unpadded(piece) for piece in data.split(b"=") if piece])
    return _unpadded(head)


def _unpadded(data: bytes) -> bytes:
    excess = len(data) % 4
    if excess == 1:
        data = data[:-1]
    elif excess:
        data += b"=" * (4 - excess)
    return binascii.a2b_base64(data)
