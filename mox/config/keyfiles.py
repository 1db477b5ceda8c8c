"""Keys and certificates that the configuration names: can they be read, do they fit."""

from __future__ import annotations

import re
from pathlib import Path

from cryptography import x509
from cryptography.exceptions import UnsupportedAlgorithm
from cryptography.hazmat.primitives.asymmetric.ec import EllipticCurvePrivateKey
from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey
from cryptography.hazmat.primitives.asymmetric.rsa import RSAPrivateKey
from cryptography.hazmat.primitives.asymmetric.types import PrivateKeyTypes
from cryptography.hazmat.primitives.serialization import (
    Encoding,
    PublicFormat,
    load_pem_private_key,
)

MAX_FILE_OCTETS = 4 * 1024 * 1024
MIN_DKIM_RSA_BITS = 1024


class KeyFileError(ValueError):
    """A file that cannot be used; the text says why."""


def _read(path: Path) -> bytes:
    try:
        with path.open("rb") as file:
            data = file.read(MAX_FILE_OCTETS + 1)
    except OSError as err:
        raise KeyFileError(f"{path}: {err.strerror}") from err
    if len(data) > MAX_FILE_OCTETS:
        raise KeyFileError(f"{path}: file is too large")
    return data


def _private_key(path: Path) -> PrivateKeyTypes:
    return _parse_private_key(str(path), _read(path))


def _parse_private_key(path: str, data: bytes, *, is_ours: bool = False) -> PrivateKeyTypes:
    """Read a key; `is_ours` leaves out tests of RSA numbers for primality, which take 30 ms."""
    try:
        return load_pem_private_key(data, password=None, unsafe_skip_rsa_key_validation=is_ours)
    except (ValueError, TypeError, UnsupportedAlgorithm) as err:
        raise KeyFileError(f"{path}: not a private key in PEM: {err}") from err


def _certificates(path: Path) -> list[x509.Certificate]:
    try:
        return x509.load_pem_x509_certificates(_read(path))
    except ValueError as err:
        if isinstance(err, KeyFileError):
            raise
        raise KeyFileError(f"{path}: no certificate in PEM: {err}") from err


def check_key_pair(cert_file: Path, key_file: Path) -> None:
    """Raise KeyFileError unless the first certificate of the chain is for the key."""
    certificate = _certificates(cert_file)[0]
    key = _private_key(key_file)
    form = (Encoding.DER, PublicFormat.SubjectPublicKeyInfo)
    try:
        fits = certificate.public_key().public_bytes(*form) == key.public_key().public_bytes(*form)
    except (ValueError, UnsupportedAlgorithm) as err:
        raise KeyFileError(f"{cert_file}: unknown kind of key: {err}") from err
    if not fits:
        raise KeyFileError(f"{key_file}: not the key of the certificate in {cert_file}")


def check_authorities(path: Path) -> None:
    """Raise KeyFileError unless the file has at least one certificate."""
    _certificates(path)


def host_key_kind(path: Path) -> str:
    """Return `rsa2048`, `ecdsap256`, or "" for a key that does not count. Raises KeyFileError."""
    key = _private_key(path)
    if isinstance(key, RSAPrivateKey) and key.key_size == 2048:
        return "rsa2048"
    if isinstance(key, EllipticCurvePrivateKey) and key.curve.name == "secp256r1":
        return "ecdsap256"
    return ""


def load_dkim_key(path: Path, hash_name: str) -> RSAPrivateKey | Ed25519PrivateKey:
    """Return a key for DKIM from a file in PKCS8. Raises KeyFileError. Takes 0.1 ms."""
    return parse_dkim_key(str(path), _read(path), hash_name)


def parse_dkim_key(path: str, data: bytes, hash_name: str) -> RSAPrivateKey | Ed25519PrivateKey:
    """Return a key for DKIM from what was read from a place. Raises KeyFileError."""
    if b"-----BEGIN PRIVATE KEY-----" not in data:
        raise KeyFileError(f"{path}: not a private key in PKCS8 form")
    key = _parse_private_key(path, data, is_ours=True)
    # RFC 8301 §3.2: signers use RSA keys of at least 1024 bits.
    if isinstance(key, RSAPrivateKey):
        if key.key_size < MIN_DKIM_RSA_BITS:
            raise KeyFileError(f"{path}: RSA key has less than {MIN_DKIM_RSA_BITS} bits")
    # RFC 8463 §3: Ed25519 signatures are made with SHA-256 only.
    elif not isinstance(key, Ed25519PrivateKey):
        raise KeyFileError(f"{path}: key is neither RSA nor Ed25519")
    elif hash_name != "sha256":
        raise KeyFileError(f"{path}: an Ed25519 key needs the hash sha256")
    return key


def check_mac_key(path: Path) -> None:
    """Raise KeyFileError unless the file has a key in base64url without padding."""
    text = _read(path).strip()
    # 4n+1 characters are the encoding of nothing.
    if not re.fullmatch(rb"[A-Za-z0-9_-]+", text) or len(text) % 4 == 1:
        raise KeyFileError(f"{path}: not base64url without padding")
