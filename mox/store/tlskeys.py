"""Public keys of TLS client certificates that log in to accounts (SASL EXTERNAL).

A key is known by its fingerprint: the SHA-256 of its SubjectPublicKeyInfo, in base64url without
padding. Issuer, names and dates of the certificate do not matter.
"""

from __future__ import annotations

import base64
import hashlib
from typing import TYPE_CHECKING

import msgspec
from cryptography import x509
from cryptography.hazmat.primitives.serialization import Encoding, PublicFormat

from mox.store import records
from mox.store.errors import ErrorKind, StoreError
from mox.store.reading import lookup, range_items

if TYPE_CHECKING:
    from mox.store.committer import WriteTxn
    from mox.store.env import Databases
    from mox.store.store import Store


class TlsKey(msgspec.Struct, frozen=True, kw_only=True, omit_defaults=True):
    """A registered key; `no_preauth`: IMAP sessions begin unauthenticated all the same."""

    account: str
    login_address: str
    name: str
    created: int  # seconds since the epoch
    no_preauth: bool = False
    certificate: bytes  # DER


_decode = msgspec.msgpack.Decoder(TlsKey).decode


def fingerprint(certificate: x509.Certificate) -> str:
    """What a certificate's public key is known by."""
    spki = certificate.public_key().public_bytes(Encoding.DER, PublicFormat.SubjectPublicKeyInfo)
    return base64.urlsafe_b64encode(hashlib.sha256(spki).digest()).rstrip(b"=").decode()


def any_keys(dbs: Databases) -> bool:
    """Whether any key is registered: only then clients are asked for certificates."""
    with dbs.env.begin() as txn, txn.cursor(db=dbs.tls_key) as cursor:
        return cursor.first()


def find_key(dbs: Databases, key_fingerprint: str) -> TlsKey | None:
    with dbs.env.begin() as txn:
        value = lookup(txn, dbs.tls_key, key_fingerprint.encode())
    return None if value is None else _decode(value)


def all_keys(dbs: Databases) -> dict[str, TlsKey]:
    """All keys by fingerprint."""
    with dbs.env.begin() as txn:
        return {key.decode(): _decode(v) for key, v in range_items(txn, dbs.tls_key, b"")}


def add_key(store: Store, key: TlsKey) -> str:
    """Register a key; returns its fingerprint. Raises StoreError when it is registered already."""
    known_by = fingerprint(x509.load_der_x509_certificate(key.certificate))

    def change(write: WriteTxn) -> None:
        if write.get(write.dbs.tls_key, known_by.encode()) is not None:
            raise StoreError(ErrorKind.EXISTS, f"key {known_by} is registered already")
        write.put(write.dbs.tls_key, known_by.encode(), records.encode(key))

    store.committer.write(change)
    return known_by


def remove_key(store: Store, key_fingerprint: str) -> None:
    """Raises StoreError when there is no such key."""

    def change(write: WriteTxn) -> None:
        if write.get(write.dbs.tls_key, key_fingerprint.encode()) is None:
            raise StoreError(ErrorKind.NOT_FOUND, f"no key {key_fingerprint}")
        write.delete(write.dbs.tls_key, key_fingerprint.encode())

    store.committer.write(change)
