"""The public key of a certificate, octet for octet as it stands there.

TLSA records and their hashes are about exactly these octets; a library that reads a key and
writes it again may choose another form, or not know the algorithm at all.
"""

from __future__ import annotations

from typing import Final

_SEQUENCE: Final = 0x30
_VERSION: Final = 0xA0
# RFC 5280 §4.1: in a TBSCertificate before the key, after the version that may be left out:
# serialNumber, signature, issuer, validity, subject.
_FIELDS_BEFORE: Final = 5


def public_key_info(der: bytes) -> bytes:
    """Return the SubjectPublicKeyInfo of a certificate, both DER. Raises ValueError."""
    begin, _ = _enter(der, 0)  # Certificate
    at, end = _enter(der, begin)  # TBSCertificate
    if der[at] == _VERSION:
        at = _skip(der, at, end)
    for _ in range(_FIELDS_BEFORE):
        at = _skip(der, at, end)
    if at >= end or der[at] != _SEQUENCE:
        raise ValueError("certificate without public key")
    return der[at : _skip(der, at, end)]


def _enter(der: bytes, at: int) -> tuple[int, int]:
    """Return begin and end of the content of a SEQUENCE that must be there."""
    if at >= len(der) or der[at] != _SEQUENCE:
        raise ValueError("not a certificate")
    return _content(der, at)


def _skip(der: bytes, at: int, end: int) -> int:
    if at >= end:
        raise ValueError("certificate is cut off")
    after = _content(der, at)[1]
    if after > end:
        raise ValueError("a field of the certificate does not end within it")
    return after


def _content(der: bytes, at: int) -> tuple[int, int]:
    """Return where the content of a value with a one-octet tag begins and ends."""
    if at + 1 >= len(der):
        raise ValueError("certificate is cut off")
    length, begin = der[at + 1], at + 2
    if length & 0x80:
        count = length & 0x7F
        if not 1 <= count <= 4 or begin + count > len(der):
            raise ValueError("bad length in certificate")
        length = int.from_bytes(der[begin : begin + count], "big")
        begin += count
    if begin + length > len(der):
        raise ValueError("certificate is cut off")
    return begin, begin + length
