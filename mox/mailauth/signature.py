"""The signature fields of DKIM and ARC as values, and the check of one against a key.

RFC 6376 §3.5 for the tags, RFC 8463 for Ed25519, RFC 8301 for what is no longer accepted, RFC 8616
for domains in other scripts.
"""

from __future__ import annotations

import base64
from dataclasses import dataclass
from typing import Final

from cryptography.exceptions import InvalidSignature, UnsupportedAlgorithm
from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PublicKey
from cryptography.hazmat.primitives.asymmetric.padding import PKCS1v15
from cryptography.hazmat.primitives.asymmetric.utils import Prehashed
from cryptography.hazmat.primitives.hashes import SHA256

from mox.address import AddressError, Domain, parse_domain
from mox.mailauth.canonical import Canonicalization, canonical_field
from mox.mailauth.content import BodyHash, Run, SignedContent
from mox.mailauth.keyrecord import FoundKey, KeyProblem
from mox.mailauth.tags import TagError, colon_list, without_signature, without_white

# A field with an RSA-4096 signature and 100 header names has 3 kB.
MAX_FIELD_OCTETS: Final = 8192
_MAX_TIME_DIGITS: Final = 12

# Names of algorithms with the key's type. RFC 8301 §3.1: rsa-sha1 is a failure for good.
ALGORITHMS: Final = {"rsa-sha256": "rsa", "ed25519-sha256": "ed25519"}
_DIGEST_OCTETS: Final = 32


@dataclass(frozen=True, slots=True)
class Signature:
    """What DKIM-Signature and ARC-Message-Signature have in common; ARC-Seal has no h=, c=, bh=."""

    algorithm: str
    sdid: Domain  # d=
    selector: str
    signature: bytes
    names: tuple[bytes, ...]  # h=, lower case
    body_hash: bytes
    header: Canonicalization
    body: Canonicalization
    signed_at: int | None  # t=
    expires_at: int | None  # x=

    @property
    def key_name(self) -> str:
        """The name of the key record in A-labels."""
        return key_name(self.selector, self.sdid)

    @property
    def wanted_hash(self) -> BodyHash:
        return BodyHash("sha256", self.body)


def key_name(selector: str, sdid: Domain) -> str:
    """Return where the key of a selector is published. Raises TagError."""
    # RFC 8616 §4: in DNS both are A-labels. Not the selector alone: one like 2026.1.1.1 is fine.
    try:
        return parse_domain(f"{selector}._domainkey.{sdid.ascii}").ascii
    except AddressError as e:
        raise TagError(f"bad selector: {e}") from e


def required(tags: dict[str, bytes], name: str) -> bytes:
    """Return the value of a tag that must be there and not empty. Raises TagError."""
    value = tags.get(name)
    if not value:
        raise TagError(f"{name}= is missing" if value is None else f"{name}= is empty")
    return value


def parse_algorithm(tags: dict[str, bytes]) -> str:
    """Return the a= tag. Raises TagError for any that we do not accept."""
    algorithm = required(tags, "a").decode("ascii", "replace")
    if algorithm not in ALGORITHMS:
        shown = algorithm[:40]
        raise TagError(
            f"{shown} is not accepted"
            if algorithm == "rsa-sha1"
            else f"unknown algorithm {shown!r}"
        )
    return algorithm


def parse_sdid(tags: dict[str, bytes]) -> Domain:
    """Return the d= tag. Raises TagError."""
    try:
        return parse_domain(required(tags, "d").decode("utf-8"))
    except (AddressError, UnicodeDecodeError) as e:
        raise TagError(f"bad d=: {e}") from e


def parse_selector(tags: dict[str, bytes], sdid: Domain) -> str:
    """Return the s= tag as it is. Raises TagError."""
    try:
        selector = required(tags, "s").decode("utf-8")
    except UnicodeDecodeError as e:
        raise TagError("bad selector") from e
    key_name(selector, sdid)
    return selector


def parse_base64(tags: dict[str, bytes], name: str) -> bytes:
    """Return the octets of a tag. Raises TagError."""
    encoded = without_white(required(tags, name))
    try:
        octets = base64.b64decode(encoded, validate=True)
    except ValueError as e:
        raise TagError(f"{name}= is not Base64") from e
    if not octets:
        raise TagError(f"{name}= is empty")
    return octets


def parse_body_hash(tags: dict[str, bytes]) -> bytes:
    """Return the bh= tag. Raises TagError."""
    octets = parse_base64(tags, "bh")
    if len(octets) != _DIGEST_OCTETS:
        raise TagError("bh= has another length than the hash")
    return octets


def parse_names(value: bytes) -> tuple[bytes, ...]:
    """Return the names of an h= tag in lower case."""
    return tuple(name.lower() for name in colon_list(value))


def parse_canonicalization(
    tags: dict[str, bytes], default: bytes
) -> tuple[Canonicalization, Canonicalization]:
    """Return the forms for header and body of the c= tag. Raises TagError."""
    # RFC 6376 §3.5: simple for a body that it does not mention.
    header, slash, body = tags.get("c", default).decode("ascii", "replace").partition("/")
    try:
        return Canonicalization(header), Canonicalization(body if slash else "simple")
    except ValueError as e:
        raise TagError("unknown canonicalization") from e


def parse_time(tags: dict[str, bytes], name: str) -> int | None:
    """Return the seconds of a t= or x= tag, None without it. Raises TagError."""
    value = tags.get(name)
    if value is None:
        return None
    # RFC 6376 §3.5: decimal digits, at least as many as fit for the year 200000.
    if not value.isdigit() or len(value) > _MAX_TIME_DIGITS:
        raise TagError(f"{name}= is not a time")
    return int(value)


def parse_signature(tags: dict[str, bytes], canonicalization: bytes) -> Signature:
    """Read the tags that both kinds of message signatures have. Raises TagError.

    `canonicalization` is the default of c=. What h= may be differs between the kinds, so it is
    neither required nor checked here.
    """
    sdid = parse_sdid(tags)
    header, body = parse_canonicalization(tags, canonicalization)
    return Signature(
        algorithm=parse_algorithm(tags),
        sdid=sdid,
        selector=parse_selector(tags, sdid),
        signature=parse_base64(tags, "b"),
        names=parse_names(tags.get("h", b"")),
        body_hash=parse_body_hash(tags),
        header=header,
        body=body,
        signed_at=parse_time(tags, "t"),
        expires_at=parse_time(tags, "x"),
    )


def check_key(found: FoundKey, algorithm: str) -> None:
    """Raise KeyProblem unless the key may be used for signatures on mail with this algorithm."""
    record = found.record
    # RFC 6376 §6.1.2: a key for other algorithms or services is as if there were none.
    if record.kind != ALGORITHMS[algorithm]:
        raise KeyProblem(f"key is for {record.kind}, signature is {algorithm}")
    if record.hashes and algorithm.partition("-")[2] not in record.hashes:
        raise KeyProblem("key is for other hashes")
    if not {"*", "email"} & set(record.services):
        raise KeyProblem("key is not for mail")


def header_digest(content: SignedContent, index: int, signature: Signature, run: Run) -> bytes:
    """Return the digest of what a message signature at this place signs of the header."""
    # RFC 6376 §3.7: the selected fields, then the signature's own with empty b= and without CRLF.
    own = canonical_field(without_signature(content.fields[index]), signature.header)
    return content.header_digest(signature.names, signature.header, own, run=run)


def is_signed(found: FoundKey, signature: bytes, digest: bytes) -> bool:
    """Tell whether the signature of this SHA-256 digest was made with the key's other half."""
    key = found.record.key
    try:
        if isinstance(key, Ed25519PublicKey):
            # RFC 8463 §3: PureEdDSA signs the digest.
            key.verify(signature, digest)
        else:
            key.verify(signature, digest, PKCS1v15(), Prehashed(SHA256()))
    except (InvalidSignature, UnsupportedAlgorithm, ValueError):
        # ValueError: numbers of the key that OpenSSL does not compute with.
        return False
    return True
