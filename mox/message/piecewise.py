"""The decoded content of a part in pieces, so that a large one is never in memory whole.

The same octets as mox.message.transfer gives at once (RFC 2045 §6).
"""

from __future__ import annotations

import binascii
from collections.abc import Iterator
from mmap import mmap
from typing import Final

from mox.message.fields import to_wire
from mox.message.parts import Part
from mox.message.transfer import decode_transfer
from mox.message.windowed import Windowed
from mox.message.words import NOT_BASE64, decode_base64

# Not memoryview: it cannot be searched.
Octets = bytes | mmap | Windowed
_PIECE_OCTETS: Final = 1 << 16
_NOT_DIGITS: Final = NOT_BASE64 + b"="


def decoded_pieces(data: Octets, part: Part, *, wire: bool) -> Iterator[bytes]:
    """Yield the content of a part. A multipart, and an unknown encoding, come as they are."""
    start, end = part.body_start, part.end
    encoding = "" if part.children or part.message is not None else part.encoding
    if encoding == "BASE64":
        return _base64(data, start, end)
    if encoding == "QUOTED-PRINTABLE":
        return (decode_transfer(line, encoding) for line in _lines(data, start, end, wire=wire))
    return _plain(data, start, end, wire=wire)


def whole_pieces(data: Octets, *, wire: bool) -> Iterator[bytes]:
    """Yield a whole message in wire form."""
    return _plain(data, 0, len(data), wire=wire)


def decoded_size(data: Octets, part: Part, *, wire: bool) -> int:
    """Return how many octets the content of a leaf part has, without decoding base64."""
    if part.encoding == "BASE64":
        return _base64_size(data, part)
    if part.encoding == "QUOTED-PRINTABLE":
        return sum(map(len, decoded_pieces(data, part, wire=wire)))
    return part.octets


def _spans(start: int, end: int) -> Iterator[tuple[int, int]]:
    for at in range(start, end, _PIECE_OCTETS):
        yield at, min(at + _PIECE_OCTETS, end)


def _plain(data: Octets, start: int, end: int, *, wire: bool) -> Iterator[bytes]:
    for at, stop in _spans(start, end):
        yield data[at:stop] if wire else to_wire(data[at:stop])


def _lines(data: Octets, start: int, end: int, *, wire: bool) -> Iterator[bytes]:
    """Yield pieces that end with a line: none of them splits what an encoding holds together."""
    while start < end:
        stop = end
        if end - start > _PIECE_OCTETS:
            stop = data.find(b"\n", start + _PIECE_OCTETS, end) + 1 or end
        yield data[start:stop] if wire else to_wire(data[start:stop])
        start = stop


def _base64(data: Octets, start: int, end: int) -> Iterator[bytes]:
    rest = b""
    for at, stop in _spans(start, end):
        # Padding in the middle: several encodings one after the other.
        *closed, rest = (rest + data[at:stop].translate(None, NOT_BASE64)).split(b"=")
        pieces = [decode_base64(digits) for digits in closed if digits]
        whole = len(rest) // 4 * 4
        pieces.append(binascii.a2b_base64(rest[:whole]))
        rest = rest[whole:]
        yield b"".join(pieces)
    yield decode_base64(rest)


def _base64_size(data: Octets, part: Part) -> int:
    digits = 0
    for at, stop in _spans(part.body_start, part.end):
        piece = data[at:stop]
        digits += len(piece.translate(None, _NOT_DIGITS))
        padding = piece.find(b"=")
        if padding >= 0:
            if data[at + padding : part.end].translate(None, _NOT_DIGITS):
                return sum(map(len, _base64(data, part.body_start, part.end)))
            break
    return digits * 3 // 4
