"""Keys of TLS clients: a client is known by its key, whatever certificate is around it."""

from __future__ import annotations

import base64
import binascii
import datetime
from pathlib import Path

from cryptography import x509
from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey
from cryptography.hazmat.primitives.serialization import Encoding, NoEncryption, PrivateFormat
from cryptography.x509.oid import NameOID

from mox.tlsio.errors import TLSConfigError
from mox.tlsio.identity import Identity, load

SEED_OCTETS = 32
_NAME = "mox client"
# RFC 5280 §4.1.2.5: for a certificate without well-defined expiry.
_FOR_EVER = datetime.datetime(9999, 12, 31, 23, 59, 59, tzinfo=datetime.UTC)
_BEGIN = datetime.datetime(2000, 1, 1, tzinfo=datetime.UTC)


def ed25519_identity(text: str) -> Identity:
    """Make the same certificate each time for a key in URL-safe base64. Raises TLSConfigError.

    The key is the seed (RFC 8032 §5.1.5), or the seed and the public key after it.
    """
    try:
        octets = base64.b64decode(text + "=" * (-len(text) % 4), altchars=b"-_", validate=True)
    except (binascii.Error, ValueError) as e:
        raise TLSConfigError(f"Ed25519 key is not in URL-safe base64: {e}") from e
    if len(octets) not in (SEED_OCTETS, 2 * SEED_OCTETS):
        raise TLSConfigError(f"Ed25519 key has {len(octets)} octets, must have {SEED_OCTETS}")
    key = Ed25519PrivateKey.from_private_bytes(octets[:SEED_OCTETS])
    if octets[SEED_OCTETS:] not in (b"", key.public_key().public_bytes_raw()):
        raise TLSConfigError("the two halves of the Ed25519 key do not belong together")
    name = x509.Name([x509.NameAttribute(NameOID.COMMON_NAME, _NAME)])
    certificate = (
        x509.CertificateBuilder()
        .subject_name(name)
        .issuer_name(name)
        .public_key(key.public_key())
        .serial_number(1)
        .not_valid_before(_BEGIN)
        .not_valid_after(_FOR_EVER)
        .sign(key, None)
    )
    return Identity(
        certificate.public_bytes(Encoding.PEM),
        key.private_bytes(Encoding.PEM, PrivateFormat.PKCS8, NoEncryption()),
    )


def file_identity(path: Path) -> Identity:
    """Read certificates and their key from one PEM file. Raises TLSConfigError."""
    try:
        pem = path.read_bytes()
    except OSError as e:
        raise TLSConfigError(f"certificate and key cannot be read: {e}") from e
    # Each of the two readers passes over what is for the other.
    identity = Identity(pem, pem)
    load(identity)
    return identity
