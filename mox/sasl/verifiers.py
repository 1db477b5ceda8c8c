"""What a server stores instead of a password, and how it is made.

`ScramVerifier` is RFC 5802 §3 (StoredKey, ServerKey); `CramMD5Verifier` has the two MD5 states that
HMAC (RFC 2104 §4) reaches after its key. Both are useless for other mechanisms and, but for
CRAM-MD5 itself, for logging in.
"""

from __future__ import annotations

import hashlib
import hmac
from typing import Literal

import msgspec

from mox.sasl.md5 import INITIAL_STATE, compress

ScramHash = Literal["sha1", "sha256"]

# RFC 7677 §4 asks for at least 4096; the older hash is cheaper, so it gets twice that.
ITERATIONS: dict[ScramHash, int] = {"sha1": 8192, "sha256": 4096}
SALT_OCTETS = 12
_MD5_BLOCK = 64


class ScramVerifier(msgspec.Struct, frozen=True):
    salt: bytes
    iterations: int
    stored_key: bytes
    server_key: bytes


class CramMD5Verifier(msgspec.Struct, frozen=True):
    """MD5 states after the inner and the outer pad of HMAC, 16 octets each."""

    inner: bytes
    outer: bytes


def scram_verifier(
    password: str, hash_name: ScramHash, salt: bytes, iterations: int | None = None
) -> ScramVerifier:
    """Derive a verifier; some milliseconds of work. `password` is prepared already."""
    count = iterations or ITERATIONS[hash_name]
    salted = hashlib.pbkdf2_hmac(hash_name, password.encode(), salt, count)
    # RFC 5802 §3: ClientKey, StoredKey, ServerKey
    client_key = hmac.digest(salted, b"Client Key", hash_name)
    server_key = hmac.digest(salted, b"Server Key", hash_name)
    return ScramVerifier(salt, count, hashlib.new(hash_name, client_key).digest(), server_key)


def cram_md5_verifier(password: str) -> CramMD5Verifier:
    """Derive a verifier. `password` is prepared already."""
    key = password.encode()
    if len(key) > _MD5_BLOCK:
        key = hashlib.md5(key, usedforsecurity=False).digest()
    key = key.ljust(_MD5_BLOCK, b"\0")
    return CramMD5Verifier(
        compress(INITIAL_STATE, bytes(octet ^ 0x36 for octet in key)),
        compress(INITIAL_STATE, bytes(octet ^ 0x5C for octet in key)),
    )
