"""MD5 from a given state on (RFC 1321); hashlib cannot take one.

Only CRAM-MD5 needs this: with the states after HMAC's two pads no password has to be kept.
"""

from __future__ import annotations

import math
import struct

BLOCK = 64
# RFC 1321 §3.3: A, B, C, D, low octets first
INITIAL_STATE = struct.pack("<4I", 0x67452301, 0xEFCDAB89, 0x98BADCFE, 0x10325476)

_MASK = 0xFFFFFFFF
# RFC 1321 §3.4: T[i] = 4294967296 times abs(sin(i))
_SINES = [int(abs(math.sin(i)) * 2**32) for i in range(1, 65)]
_SHIFTS = (7, 12, 17, 22) * 4 + (5, 9, 14, 20) * 4 + (4, 11, 16, 23) * 4 + (6, 10, 15, 21) * 4
_WORDS = [
    *range(16),
    *((1 + 5 * i) % 16 for i in range(16)),
    *((5 + 3 * i) % 16 for i in range(16)),
    *((7 * i) % 16 for i in range(16)),
]


def compress(state: bytes, block: bytes) -> bytes:
    """Return the state after one block of 64 octets."""
    start = struct.unpack("<4I", state)
    words = struct.unpack("<16I", block)
    a, b, c, d = start
    for step in range(64):
        mixed = _mix(step, b, c, d)
        total = (a + mixed + words[_WORDS[step]] + _SINES[step]) & _MASK
        shift = _SHIFTS[step]
        a, d, c = d, c, b
        b = (b + ((total << shift) | (total >> (32 - shift)))) & _MASK
    return struct.pack("<4I", *((x + y) & _MASK for x, y in zip(start, (a, b, c, d), strict=True)))


def _mix(step: int, b: int, c: int, d: int) -> int:
    # RFC 1321 §3.4: F, G, H and I
    if step < 16:
        return (b & c) | (~b & d)
    if step < 32:
        return (b & d) | (c & ~d)
    if step < 48:
        return b ^ c ^ d
    return c ^ (b | (~d & _MASK))


def digest_from(state: bytes, before: int, data: bytes) -> bytes:
    """Return the MD5 of a message of which `before` octets, whole blocks, have led to `state`."""
    bits = struct.pack("<Q", (before + len(data)) * 8 & 0xFFFFFFFFFFFFFFFF)
    padded = data + b"\x80" + bytes(-(len(data) + 9) % BLOCK) + bits
    for start in range(0, len(padded), BLOCK):
        state = compress(state, padded[start : start + BLOCK])
    return state
