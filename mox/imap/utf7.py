"""Modified UTF-7: mailbox names as IMAP4rev1 clients write them.

RFC 3501 §5.1.3, RFC 9051 appendix A.1. Decoding is strict, so that one name has one spelling:
no unfinished or empty shift, no shifted printable ASCII but "&", no two shifts in a row, no
broken surrogates, no stray bits.

>>> encode("~peter/mail/台北/日本語")
b'~peter/mail/&U,BTFw-/&ZeVnLIqe-'
>>> decode(b"Entw&APw-rfe &- more")
'Entwürfe & more'
"""

from __future__ import annotations

import re
from base64 import b64decode, b64encode
from binascii import Error as Base64Error

_TO_SHIFT = re.compile(r"[^\x20-\x7e]+|&")
_PIECES = re.compile(rb"[\x20-\x25\x27-\x7e]++|&-|(&[A-Za-z0-9+,]+-)")
_PRINTABLE_NOT_AMP = re.compile(r"[\x20-\x25\x27-\x7e]")


class Utf7Error(ValueError):
    """The octets are not canonical modified UTF-7."""


def encode(name: str) -> bytes:
    """Encode a mailbox name. Lone surrogates, which no decoder of ours makes, become "?"."""
    if name.isascii() and name.isprintable() and "&" not in name:
        return name.encode("ascii")
    clean = name.encode("utf-8", "replace").decode("utf-8")
    return _TO_SHIFT.sub(_shift, clean).encode("ascii")


def _shift(match: re.Match[str]) -> str:
    if match.group() == "&":
        return "&-"
    units = match.group().encode("utf-16-be")
    return "&" + b64encode(units, b"+,").rstrip(b"=").decode("ascii") + "-"


def decode(raw: bytes) -> str:
    """Decode a mailbox name; raises Utf7Error."""
    if b"&" not in raw and raw.isascii():
        return raw.decode("ascii")
    pieces: list[str] = []
    at = 0
    shifted = False
    while at < len(raw):
        match = _PIECES.match(raw, at)
        if match is None:
            raise Utf7Error("malformed modified UTF-7")
        if match.group(1) is None:
            pieces.append("&" if match.group() == b"&-" else match.group().decode("ascii"))
            shifted = False
        elif shifted:
            raise Utf7Error("two shifts in a row in modified UTF-7")
        else:
            pieces.append(_unshift(match.group(1)[1:-1]))
            shifted = True
        at = match.end()
    return "".join(pieces)


def _unshift(base64: bytes) -> str:
    padded = base64 + b"=" * (-len(base64) % 4)
    try:
        units = b64decode(padded, b"+,", validate=True)
        text = units.decode("utf-16-be")
    except (Base64Error, UnicodeDecodeError) as err:
        raise Utf7Error("bad base64 or UTF-16 in modified UTF-7") from err
    if _PRINTABLE_NOT_AMP.search(text):
        raise Utf7Error("printable ASCII shifted in modified UTF-7")
    if b64encode(units, b"+,").rstrip(b"=") != base64:
        raise Utf7Error("stray bits in modified UTF-7")
    return text
