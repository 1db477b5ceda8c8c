"""Keys and messages for tests of DKIM, and signatures made by hand, field by field."""

from __future__ import annotations

import base64
import hashlib
from collections.abc import Mapping, Sequence
from functools import cache

from cryptography.hazmat.primitives.asymmetric import ed25519, rsa
from cryptography.hazmat.primitives.asymmetric.padding import PKCS1v15
from cryptography.hazmat.primitives.hashes import SHA256
from cryptography.hazmat.primitives.serialization import Encoding, PublicFormat

from mox.dns.record import Record
from tests.support.dnsrecords import txt_of
from tests.support.zone import ZoneResolver

ED25519 = ed25519.Ed25519PrivateKey.from_private_bytes(bytes(range(32)))
NOW = 1_800_000_000

MESSAGE = b"""From: a@example.org
To: b@example.net
Subject: Hello

Text  of two
lines.
"""


Texts = str | bytes | Sequence[str | bytes]


class KeyZone(ZoneResolver):
    """A zone of key records: {"name": "text", or several texts}; "TIMEOUT" is trouble."""

    def __init__(self, texts: Mapping[str, Texts], *, is_authentic: bool = False) -> None:
        super().__init__(
            {(name, "TXT"): _records(found) for name, found in texts.items()}, is_authentic
        )

    @property
    def asked(self) -> list[str]:
        """The names in the order of the questions."""
        assert all(rdtype == "TXT" for _, rdtype in self.queries)
        return [name for name, _ in self.queries]


def _records(found: Texts) -> list[str] | list[Record]:
    if found == "TIMEOUT":
        return ["TIMEOUT"]
    return [_txt(text) for text in ([found] if isinstance(found, (str, bytes)) else found)]


def _txt(text: str | bytes) -> Record:
    octets = text.encode() if isinstance(text, str) else text
    # RFC 6376 §3.6.2.2: strings of a record are joined without anything between them.
    strings = [octets[at : at + 255] for at in range(0, len(octets), 255)] or [b""]
    return txt_of(strings)


@cache
def rsa_key(bits: int = 2048) -> rsa.RSAPrivateKey:
    return rsa.generate_private_key(65537, bits)


def record(key: ed25519.Ed25519PrivateKey | rsa.RSAPrivateKey, tags: str = "v=DKIM1; ") -> str:
    """The key record, its p= after the given tags."""
    if isinstance(key, ed25519.Ed25519PrivateKey):
        octets = key.public_key().public_bytes(Encoding.Raw, PublicFormat.Raw)
        return f"{tags}k=ed25519; p={base64.b64encode(octets).decode()}"
    octets = key.public_key().public_bytes(Encoding.DER, PublicFormat.SubjectPublicKeyInfo)
    return f"{tags}p={base64.b64encode(octets).decode()}"


def handmade(
    changes: Mapping[str, str | None] | None = None,
    *,
    message: bytes = MESSAGE,
    key: ed25519.Ed25519PrivateKey | rsa.RSAPrivateKey = ED25519,
) -> bytes:
    """Return the message with a simple/simple signature whose tags are changed, None: left out.

    The signature fits whatever the tags say, so that nothing but them is what is wrong.
    """
    header, _, body = message.partition(b"\n\n")
    body_hash = hashlib.sha256(body.replace(b"\n", b"\r\n")).digest()
    tags: dict[str, str | None] = {
        "v": "1",
        "a": "ed25519-sha256" if isinstance(key, ed25519.Ed25519PrivateKey) else "rsa-sha256",
        "d": "example.org",
        "s": "sel",
        "h": "From:To:Subject",
        "bh": base64.b64encode(body_hash).decode(),
        **(changes or {}),
    }
    text = "; ".join(f"{name}={value}" for name, value in tags.items() if value is not None)
    field = f"DKIM-Signature: {text}; b=".encode()
    fields = {line.partition(b":")[0].lower(): line for line in header.split(b"\n")}
    names = (tags["h"] or "").lower().encode().split(b":")
    # pop: each field counts once, however often it is listed.
    signed = b"".join(fields.pop(name) + b"\r\n" for name in names if name in fields) + field
    digest = hashlib.sha256(signed).digest()
    if isinstance(key, ed25519.Ed25519PrivateKey):
        signature = key.sign(digest)
    else:
        signature = key.sign(signed, PKCS1v15(), SHA256())
    return field + base64.b64encode(signature) + b"\n" + message
