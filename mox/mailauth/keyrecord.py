"""Key records at `<selector>._domainkey.<domain>` (RFC 6376 §3.6.1, RFC 8463 §4): read and found.

A record says which key verifies signatures, and for what it may be used.
"""

from __future__ import annotations

import base64
import time
from collections.abc import Callable
from dataclasses import dataclass
from typing import Final, Protocol

from cryptography.exceptions import UnsupportedAlgorithm
from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PublicKey
from cryptography.hazmat.primitives.asymmetric.rsa import RSAPublicKey
from cryptography.hazmat.primitives.serialization import (
    Encoding,
    PublicFormat,
    load_der_public_key,
)

from mox.dns import Answer, Status
from mox.mailauth.tags import TagError, colon_list, parse_tags, without_white

PublicKey = RSAPublicKey | Ed25519PublicKey

# RFC 8301 §3.2: verifiers must not take RSA keys of less than 1024 bits.
MIN_RSA_BITS: Final = 1024
# An RSA key of 16384 bits, beyond which OpenSSL refuses to verify, has 2800 octets in Base64.
_MAX_RECORD_OCTETS: Final = 8192
# Computing with one of 3000 bits takes 5 ms; 65537 is what everybody uses.
_MAX_EXPONENT_BITS: Final = 64
# All keys of one message together.
LOOKUP_BUDGET_S: Final = 60.0


class KeyProblem(Exception):
    """No key to verify with. `is_temporary`: because DNS does not tell for now."""

    def __init__(self, text: str, *, is_temporary: bool = False) -> None:
        super().__init__(text)
        self.is_temporary = is_temporary


@dataclass(frozen=True, slots=True)
class KeyRecord:
    """A key with its conditions.

    hashes: empty for any. services: at least one, "*" for any. is_strict: t=s, the domain of i=
    must be d= itself. is_testing: t=y, what does not verify is as if unsigned.
    """

    key: PublicKey
    hashes: tuple[str, ...] = ()
    services: tuple[str, ...] = ("*",)
    is_strict: bool = False
    is_testing: bool = False
    notes: str = ""

    @property
    def kind(self) -> str:
        return "rsa" if isinstance(self.key, RSAPublicKey) else "ed25519"

    @property
    def bits(self) -> int:
        return self.key.key_size if isinstance(self.key, RSAPublicKey) else 256


@dataclass(frozen=True, slots=True)
class FoundKey:
    """The record for a signature, and whether DNSSEC validated it."""

    record: KeyRecord
    authentic: bool


def parse_key_record(text: bytes) -> KeyRecord | None:
    """Read one TXT record; None when it is no key record at all. Raises KeyProblem.

    A key record is one that says v=DKIM1, or that reads as a list of tags with a p= among them.
    """
    claims = text.replace(b" ", b"").startswith(b"v=DKIM1")
    if len(text) > _MAX_RECORD_OCTETS:
        raise KeyProblem("key record is too long")
    try:
        tags = parse_tags(text)
    except TagError as e:
        if claims:
            raise KeyProblem(f"key record is broken: {e}") from e
        return None
    if not claims and "p" not in tags:
        return None
    # RFC 6376 §3.6.1: v= is optional, but must be the first and exactly DKIM1.
    if "v" in tags and (next(iter(tags)) != "v" or tags["v"] != b"DKIM1"):
        raise KeyProblem("key record is of another version")
    return _record(tags)


def _record(tags: dict[str, bytes]) -> KeyRecord:
    encoded = tags.get("p")
    if encoded is None:
        raise KeyProblem("key record without p=")
    # RFC 6376 §3.6.1: an empty p= means that the key was revoked.
    if not encoded:
        raise KeyProblem("key is revoked")
    kind = _text(tags.get("k", b"rsa"))
    flags = _words(tags.get("t"))
    return KeyRecord(
        key=_public_key(kind, encoded),
        hashes=_words(tags.get("h")),
        services=_words(tags.get("s")) or ("*",),
        is_strict="s" in flags,
        is_testing="y" in flags,
        notes=_text(tags.get("n", b"")),
    )


def _text(value: bytes) -> str:
    return value.decode("utf-8", "replace")


def _words(value: bytes | None) -> tuple[str, ...]:
    return tuple(_text(item) for item in colon_list(value)) if value else ()


def _public_key(kind: str, encoded: bytes) -> PublicKey:
    try:
        octets = base64.b64decode(without_white(encoded), validate=True)
        if kind == "ed25519":
            # RFC 8463 §4.2: the 32 octets of the key, without ASN.1 around them.
            return Ed25519PublicKey.from_public_bytes(octets)
        if kind != "rsa":
            raise KeyProblem(f"unknown type of key {kind[:40]!r}")
        # RFC 6376 §3.6.1 and erratum 3017: SubjectPublicKeyInfo; RSAPublicKey is read as well.
        key = load_der_public_key(octets)
    except (ValueError, UnsupportedAlgorithm) as e:
        raise KeyProblem("key cannot be read") from e
    if not isinstance(key, RSAPublicKey):
        raise KeyProblem("key is of another type than k= says")
    if key.key_size < MIN_RSA_BITS:
        raise KeyProblem(f"RSA key of {key.key_size} bits is too short")
    if key.public_numbers().e.bit_length() > _MAX_EXPONENT_BITS:
        raise KeyProblem("RSA key has an exponent that is too large")
    return key


def key_record(key: PublicKey) -> str:
    """Return the text of the record to publish for a key, for signatures with SHA-256."""
    if isinstance(key, RSAPublicKey):
        kind, octets = "", key.public_bytes(Encoding.DER, PublicFormat.SubjectPublicKeyInfo)
    else:
        kind, octets = "k=ed25519;", key.public_bytes_raw()
    return f"v=DKIM1;h=sha256;{kind}p={base64.b64encode(octets).decode('ascii')}"


class Questions(Protocol):
    """Who answers for DNS: usually a `mox.dns.Resolver`."""

    def query(self, name: str, rdtype: str, timeout_s: float | None = None) -> Answer:
        """Look up an absolute name; never raises."""


class Keys:
    """Looks up key records, each name once, within a time for all of them together."""

    def __init__(
        self,
        resolver: Questions,
        *,
        budget_s: float = LOOKUP_BUDGET_S,
        clock: Callable[[], float] = time.monotonic,
    ) -> None:
        self._resolver = resolver
        self._clock = clock
        self._end = clock() + budget_s
        self._found: dict[str, FoundKey | KeyProblem] = {}

    def find(self, name: str) -> FoundKey:
        """Return the key at an absolute name (A-labels). Raises KeyProblem."""
        found = self._found.get(name)
        if found is None:
            found = self._found[name] = self._look_up(name)
        if isinstance(found, KeyProblem):
            raise found
        return found

    def _look_up(self, name: str) -> FoundKey | KeyProblem:
        left_s = self._end - self._clock()
        if left_s <= 0:
            return KeyProblem("looking up keys took too long", is_temporary=True)
        try:
            return _choose(self._resolver.query(name, "TXT", left_s))
        except KeyProblem as e:
            return e


def _choose(answer: Answer) -> FoundKey:
    """Return the one good record of an answer. Raises KeyProblem."""
    if answer.status is Status.TEMPORARY:
        raise KeyProblem(answer.error or "DNS does not answer", is_temporary=True)
    good: list[KeyRecord] = []
    problem = KeyProblem("no key record")
    for each in answer.records:
        try:
            record = parse_key_record(each.text)
        except KeyProblem as e:
            problem = e
        else:
            good += [record] if record is not None else []
    # RFC 6376 §3.6.2.2: several records have no defined meaning. While keys are replaced both may
    # be there for a while.
    if len(good) > 1:
        raise KeyProblem("several key records", is_temporary=True)
    if not good:
        raise problem
    return FoundKey(good[0], answer.authentic)
