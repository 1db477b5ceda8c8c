from __future__ import annotations

import hashlib
import hmac

import msgspec
import pytest

from mox.sasl.prepare import PasswordError
from mox.store.credentials import Credentials, make_credentials, verify_password

PASSWORD = "pässword one"


@pytest.fixture(scope="module")
def record() -> Credentials:
    return make_credentials(PASSWORD)


def test_right_and_wrong(record: Credentials) -> None:
    assert verify_password(record, PASSWORD)
    assert verify_password(record, "pa\u0308ssword one")
    assert not verify_password(record, "password one")
    assert not verify_password(record, "")
    assert not verify_password(record, "x" * 100_000)
    assert not verify_password(record, "\ud800")
    assert not verify_password(None, PASSWORD)


def test_costs(record: Credentials) -> None:
    assert (record.scrypt.n, record.scrypt.r, record.scrypt.p) == (1 << 14, 8, 1)
    assert record.scram_sha1 is not None
    assert record.scram_sha256 is not None
    assert record.scram_sha1.iterations == 8192
    assert record.scram_sha256.iterations == 4096
    assert len(record.scram_sha256.salt) == 12


def test_scram_verifier_is_the_rfc_s(record: Credentials) -> None:
    verifier = record.scram_sha256
    assert verifier is not None
    salted = hashlib.pbkdf2_hmac("sha256", PASSWORD.encode(), verifier.salt, 4096)
    client_key = hmac.digest(salted, b"Client Key", "sha256")
    assert verifier.stored_key == hashlib.sha256(client_key).digest()


def test_nothing_repeats(record: Credentials) -> None:
    other = make_credentials(PASSWORD)
    assert other.version != record.version
    assert other.scrypt != record.scrypt
    assert other.scram_sha1 != record.scram_sha1
    assert other.scram_sha256 != record.scram_sha256


def test_survives_storing(record: Credentials) -> None:
    stored = msgspec.msgpack.encode(record)
    assert PASSWORD.encode() not in stored
    assert msgspec.msgpack.decode(stored, type=Credentials) == record


@pytest.mark.parametrize("password", ["", "seven77", "tab\tin it", "x" * 2000])
def test_unusable_passwords(password: str) -> None:
    with pytest.raises(PasswordError):
        make_credentials(password)
