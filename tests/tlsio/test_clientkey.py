"""Keys of TLS clients: from text and from files."""

from __future__ import annotations

import base64
from pathlib import Path

import pytest
from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey

from mox.tlsio.clientkey import ed25519_identity, file_identity
from mox.tlsio.errors import TLSConfigError
from mox.tlsio.identity import load
from tests.tlsio.identities import ec_key, identity

SEED = bytes(range(224, 256))
PUBLIC = Ed25519PrivateKey.from_private_bytes(SEED).public_key().public_bytes_raw()


def text_of(octets: bytes) -> str:
    return base64.urlsafe_b64encode(octets).decode().rstrip("=")


def test_key_makes_the_same_certificate_each_time() -> None:
    made = ed25519_identity(text_of(SEED))
    assert made == ed25519_identity(text_of(SEED)) == ed25519_identity(text_of(SEED + PUBLIC))
    assert load(made).key.public_key().public_bytes_raw() == PUBLIC  # type: ignore[union-attr]


@pytest.mark.parametrize(
    "text",
    ["", "!", text_of(SEED)[:-3], text_of(SEED + SEED), "é" * 43],
)
def test_what_is_no_key_is_told(text: str) -> None:
    with pytest.raises(TLSConfigError):
        ed25519_identity(text)


def test_file_has_key_and_certificate_in_any_order(tmp_path: Path) -> None:
    own = identity("client.example", key=ec_key(3))
    for pem in (own.key_pem + own.chain_pem, own.chain_pem + own.key_pem):
        path = tmp_path / "client.pem"
        path.write_bytes(pem)
        assert load(file_identity(path)).key.public_key() == ec_key(3).public_key()


@pytest.mark.parametrize("content", [b"", b"x", identity("client.example").chain_pem])
def test_file_without_both_is_told(tmp_path: Path, content: bytes) -> None:
    path = tmp_path / "client.pem"
    path.write_bytes(content)
    with pytest.raises(TLSConfigError):
        file_identity(path)
    with pytest.raises(TLSConfigError, match="cannot be read"):
        file_identity(tmp_path / "missing")
