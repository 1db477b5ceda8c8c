"""Certificates with their keys, as they come from files."""

from __future__ import annotations

import os
from collections.abc import Iterable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass

from cryptography import x509
from cryptography.exceptions import UnsupportedAlgorithm
from cryptography.hazmat.primitives.asymmetric import dsa, ec, ed448, ed25519, rsa
from cryptography.hazmat.primitives.serialization import load_pem_private_key

from mox.tlsio.errors import TLSConfigError
from mox.tlsio.names import CertificateNames, names_of

PrivateKey = (
    ec.EllipticCurvePrivateKey
    | ed25519.Ed25519PrivateKey
    | ed448.Ed448PrivateKey
    | rsa.RSAPrivateKey
    | dsa.DSAPrivateKey
)


@dataclass(frozen=True, slots=True)
class Identity:
    """A certificate chain (leaf first) and its private key, both PEM."""

    chain_pem: bytes
    key_pem: bytes


@dataclass(frozen=True, slots=True)
class Loaded:
    """An identity whose parts have been parsed and found to belong together."""

    identity: Identity
    names: CertificateNames
    key: PrivateKey


def load(identity: Identity) -> Loaded:
    """Parse an identity. Raises TLSConfigError."""
    try:
        chain = x509.load_pem_x509_certificates(identity.chain_pem)
        # The costly RSA checks are for keys of strangers; this one is the administrator's.
        key = load_pem_private_key(identity.key_pem, None, unsafe_skip_rsa_key_validation=True)
        matches = key.public_key() == chain[0].public_key()
    except (ValueError, TypeError, UnsupportedAlgorithm) as e:
        raise TLSConfigError(f"certificate or key does not load: {e}") from e
    if not isinstance(key, PrivateKey) or not matches:
        raise TLSConfigError("the private key does not belong to the certificate")
    return Loaded(identity, names_of(chain[0]), key)


def group_by_names(loaded: Iterable[Loaded]) -> dict[CertificateNames, list[Loaded]]:
    """Put certificates for the same names together: one context offers all their key types."""
    groups: dict[CertificateNames, list[Loaded]] = {}
    for one in loaded:
        groups.setdefault(one.names, []).append(one)
    return groups


@contextmanager
def memory_file(content: bytes) -> Iterator[str]:
    """Give the name of a file that has this content and is on no disk."""
    fd = os.memfd_create("pem", os.MFD_CLOEXEC)
    try:
        os.write(fd, content)
        yield f"/proc/self/fd/{fd}"
    finally:
        os.close(fd)
