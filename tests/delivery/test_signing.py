"""Whose keys sign for an author."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path

import pytest

from mox.address import parse_address, parse_domain
from mox.config import Config, load
from mox.delivery.signing import signed, signers_for
from mox.mailauth.content import SignedContent
from mox.mailauth.dkimsign import Signer
from tests.delivery.conftest import DYNAMIC, STATIC
from tests.mailauth.dkimkeys import ED25519


def signer(domain: str) -> Signer:
    return Signer(domain=parse_domain(domain), selector="s", key=ED25519, names=("From",))


@pytest.fixture
def signing(config: Config) -> Config:
    return replace(config, signers={"example.org": (signer("example.org"), signer("example.org"))})


@pytest.mark.parametrize(
    ("domain", "number"),
    [
        ("example.org", 2),
        ("mail.example.org", 2),
        ("a.b.example.org", 2),
        ("any.example", 0),
        ("mail.any.example", 0),
        ("org", 0),
        ("other.example", 0),
        ("badexample.org", 0),
    ],
)
def test_domain_itself_or_the_next_above_signs(signing: Config, domain: str, number: int) -> None:
    assert len(signers_for(signing, parse_domain(domain))) == number


def test_configured_domain_without_keys_does_not_sign_with_those_above(config: Config) -> None:
    config = replace(config, signers={"example": (signer("example"),)})
    assert signers_for(config, parse_domain("any.example")) == ()


def test_disabled_domain_does_not_sign(tmp_path: Path) -> None:
    (tmp_path / "mox.conf").write_text(STATIC)
    off = "\texample.org:\n"
    (tmp_path / "domains.conf").write_text(DYNAMIC.replace(off, f"{off}\t\tDisabled: true\n"))
    config = load(tmp_path / "mox.conf", check_files=False)
    config = replace(config, signers={"example.org": (signer("example.org"),)})
    for domain in ("example.org", "mail.example.org"):
        assert signers_for(config, parse_domain(domain)) == ()


def test_author_is_named_as_known_here(signing: Config) -> None:
    content = SignedContent(b"From: x\n\n")
    result = signed(signing, content, parse_address("MJL+shop@example.org"))
    assert b" i=mjl@example.org;" in result.fields
    assert result.kinds == ("ed25519", "ed25519")


def test_message_that_cannot_be_signed_counts_no_key(signing: Config) -> None:
    content = SignedContent(b"To: x\n\n")
    result = signed(signing, content, parse_address("mjl@example.org"))
    assert (result.fields, result.kinds) == (b"", ())
