"""What is stored instead of a password: one verifier per way to log in.

scrypt (RFC 7914) for PLAIN, LOGIN and the web; SCRAM and CRAM-MD5 verifiers for those mechanisms.
Making and checking takes tens of milliseconds of processor time: callers use a thread pool.
Nothing here knows accounts; the store keeps the record.
"""

from __future__ import annotations

import hashlib
import hmac
import os
from collections.abc import Callable

import msgspec

from mox.sasl.prepare import PasswordError, prepare_password
from mox.sasl.verifiers import (
    SALT_OCTETS,
    CramMD5Verifier,
    ScramVerifier,
    cram_md5_verifier,
    scram_verifier,
)

MIN_PASSWORD_OCTETS = 8

# 16 MiB and some 40 ms; OWASP's least for interactive logins, doubled for two cores to bear.
SCRYPT_N = 1 << 14
SCRYPT_R = 8
SCRYPT_P = 1
_SCRYPT_MEMORY = 64 << 20


class ScryptHash(msgspec.Struct, frozen=True):
    salt: bytes
    digest: bytes
    n: int = SCRYPT_N
    r: int = SCRYPT_R
    p: int = SCRYPT_P


class Credentials(msgspec.Struct, frozen=True, kw_only=True):
    """An account's verifiers. `version` is random and changes with every new password."""

    version: bytes
    scrypt: ScryptHash
    scram_sha1: ScramVerifier | None = None
    scram_sha256: ScramVerifier | None = None
    cram_md5: CramMD5Verifier | None = None


def make_credentials(password: str, *, random: Callable[[int], bytes] = os.urandom) -> Credentials:
    """Derive all verifiers from a new password. Raises PasswordError when it cannot be used."""
    prepared = prepare_password(password)
    if len(prepared.encode()) < MIN_PASSWORD_OCTETS:
        raise PasswordError(f"password must have at least {MIN_PASSWORD_OCTETS} octets")
    salt = random(16)
    return Credentials(
        version=random(8),
        scrypt=ScryptHash(salt, _scrypt(prepared, salt, SCRYPT_N, SCRYPT_R, SCRYPT_P)),
        scram_sha1=scram_verifier(prepared, "sha1", random(SALT_OCTETS)),
        scram_sha256=scram_verifier(prepared, "sha256", random(SALT_OCTETS)),
        cram_md5=cram_md5_verifier(prepared),
    )


def verify_password(record: Credentials | None, password: str) -> bool:
    """Say whether the password is right. Without a record: no, after the same time."""
    try:
        prepared = prepare_password(password)
    except PasswordError:
        prepared, record = "", None
    known = record.scrypt if record is not None else _NOBODY
    digest = _scrypt(prepared, known.salt, known.n, known.r, known.p)
    return hmac.compare_digest(digest, known.digest) and record is not None


def _scrypt(prepared: str, salt: bytes, n: int, r: int, p: int) -> bytes:
    return hashlib.scrypt(
        prepared.encode(), salt=salt, n=n, r=r, p=p, maxmem=_SCRYPT_MEMORY, dklen=32
    )


_NOBODY = ScryptHash(bytes(16), bytes(32))
