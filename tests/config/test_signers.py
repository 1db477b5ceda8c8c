"""Keys for DKIM: read with the configuration, and again when it changes."""

from __future__ import annotations

import os
from datetime import timedelta
from pathlib import Path

import pytest
from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey
from cryptography.hazmat.primitives.asymmetric.types import PrivateKeyTypes
from cryptography.hazmat.primitives.serialization import Encoding, NoEncryption, PrivateFormat

from mox.config import Config, ConfigErrors, ConfigFile
from mox.config.domain import DEFAULT_SIGNED_HEADERS
from mox.mailauth.canonical import Canonicalization
from mox.mailauth.dkimsign import Signer
from tests.config.texts import Files, at
from tests.mailauth.dkimkeys import ED25519, rsa_key

DKIM = "Domains/example.org/DKIM"


def write_key(path: Path, key: PrivateKeyTypes) -> None:
    path.write_bytes(key.private_bytes(Encoding.PEM, PrivateFormat.PKCS8, NoEncryption()))


@pytest.fixture
def keys(files: Files, tmp_path: Path) -> Files:
    write_key(tmp_path / "a.pem", ED25519)
    write_key(tmp_path / "b.pem", rsa_key())
    files.static.set(["User"], str(os.getuid()))
    files.dynamic.set(
        at(DKIM),
        {
            "Selectors": {
                "a": {"PrivateKeyFile": "a.pem"},
                "b": {
                    "PrivateKeyFile": "b.pem",
                    "Canonicalization": {"HeaderRelaxed": "true", "BodyRelaxed": "false"},
                    "Headers": ["From", "Subject"],
                    "DontSealHeaders": "true",
                    "Expiration": "72h",
                },
                "spare": {"PrivateKeyFile": "a.pem"},
            },
            "Sign": ["b", "a"],
        },
    )
    return files


def signers(config: Config) -> tuple[Signer, ...]:
    assert list(config.signers) == ["example.org"]
    return config.signers["example.org"]


def test_selectors_sign_in_the_order_of_sign(keys: Files) -> None:
    first, second = signers(keys.load(check_files=True))
    assert (first.selector, first.kind, second.selector, second.kind) == (
        "b",
        "rsa",
        "a",
        "ed25519",
    )
    assert first.domain.ascii == "example.org"
    assert first.names == ("From", "Subject")
    assert (first.header, first.body) == (Canonicalization.RELAXED, Canonicalization.SIMPLE)
    assert not first.seals
    assert timedelta(seconds=first.expires_after_s) == timedelta(hours=72)
    assert second.names == DEFAULT_SIGNED_HEADERS
    assert (second.header, second.body) == (Canonicalization.SIMPLE, Canonicalization.SIMPLE)
    assert second.seals
    assert second.expires_after_s == 0
    assert second.hash == "sha256"


def test_programs_that_do_not_check_files_have_no_keys(keys: Files) -> None:
    assert keys.load(check_files=False).signers == {}


def test_new_key_is_used_once_the_configuration_changes(keys: Files, tmp_path: Path) -> None:
    keys.write()
    now = [100.0]
    errors: list[ConfigErrors] = []
    source = ConfigFile(keys.path, clock=lambda: now[0], on_error=errors.append)
    before = signers(source.current)
    new = Ed25519PrivateKey.generate()
    write_key(tmp_path / "c.pem", new)
    keys.dynamic.set(at(f"{DKIM}/Selectors/c"), {"PrivateKeyFile": "c.pem"})
    keys.dynamic.set(at(f"{DKIM}/Sign"), ["c"])
    keys.write()
    now[0] += 2
    [signer] = signers(source.current)
    assert signer.selector == "c"
    assert isinstance(signer.key, Ed25519PrivateKey)
    assert signer.key.private_bytes_raw() == new.private_bytes_raw()
    # A key that is gone leaves the state before in force.
    (tmp_path / "c.pem").unlink()
    keys.dynamic.set(at(f"{DKIM}/Sign"), ["c", "a"])
    keys.write()
    now[0] += 2
    assert len(signers(source.current)) == 1
    assert "c.pem: No such file" in str(errors[0])
    assert len(before) == 2


@pytest.mark.parametrize(
    ("field", "value", "problem"),
    [
        ("Headers", ["From", "Sub ject"], "'Sub ject' is no name of a header"),
        ("Headers", ["From", "Subject;"], "no name of a header"),
        ("Headers", ["From", "Betreff:"], "no name of a header"),
        ("Headers", ["From", "Übersicht"], "no name of a header"),
        ("Expiration", "-1h", "must not be negative"),
    ],
)
def test_what_a_signature_cannot_say_is_refused(
    keys: Files, field: str, value: object, problem: str
) -> None:
    keys.dynamic.set(at(f"{DKIM}/Selectors/a/{field}"), value)  # type: ignore[arg-type]
    [found] = keys.problems()
    assert found.startswith(f"Domains.example.org.DKIM.Selectors.a.{field}")
    assert problem in found
