"""The keys that sign for each domain, read once per configuration."""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path
from typing import TYPE_CHECKING

from mox.address import Domain, parse_domain
from mox.config.domain import Selector
from mox.config.keyfiles import load_dkim_key
from mox.config.scalars import parse_duration
from mox.mailauth.canonical import Canonicalization
from mox.mailauth.dkimsign import Signer

if TYPE_CHECKING:
    from mox.config.dynamic import Dynamic


def load_signers(dynamic: Dynamic, directory: Path) -> Mapping[str, tuple[Signer, ...]]:
    """Return the signers of each domain that has some, by A-labels, in the order of Sign.

    For a configuration without errors. Raises KeyFileError.
    """
    found = {}
    for name, config in dynamic.domains.items():
        domain = parse_domain(name)
        signers = tuple(
            _signer(domain, selector, config.dkim.selectors[selector], directory)
            for selector in config.dkim.sign
        )
        if signers:
            found[domain.ascii] = signers
    return found


def _signer(domain: Domain, name: str, selector: Selector, directory: Path) -> Signer:
    expiration = parse_duration(selector.expiration) if selector.expiration else None
    return Signer(
        domain=domain,
        selector=parse_domain(name).ascii,
        key=load_dkim_key(directory / selector.private_key_file, selector.hash),
        names=selector.signed_headers,
        hash="sha1" if selector.hash == "sha1" else "sha256",
        header=_form(selector.canonicalization.header_relaxed),
        body=_form(selector.canonicalization.body_relaxed),
        seals=not selector.dont_seal_headers,
        expires_after_s=int(expiration.total_seconds()) if expiration else 0,
    )


def _form(is_relaxed: bool) -> Canonicalization:
    return Canonicalization.RELAXED if is_relaxed else Canonicalization.SIMPLE
