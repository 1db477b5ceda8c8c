"""DKIM signatures on what leaves: whose keys sign for an author (RFC 6376 §5).

For mail of users that is the domain of From. Notices and reports of the server come from names
such as its host name, for which the nearest domain of ours above signs.
"""

from __future__ import annotations

import time
from dataclasses import dataclass
from typing import TYPE_CHECKING

from mox.address import Address, Domain
from mox.config.canonical import LocalpartRules, canonical_localpart
from mox.mailauth.content import Run, SignedContent, run_here
from mox.mailauth.dkimsign import Signer, sign
from mox.mailauth.suffixes import parent

if TYPE_CHECKING:
    from mox.config import Config


@dataclass(frozen=True, slots=True)
class Signed:
    """The fields to put in front of a message, in wire form, and the kinds of keys that signed."""

    fields: bytes = b""
    kinds: tuple[str, ...] = ()


def signed(
    config: Config,
    content: SignedContent,
    author: Address,
    *,
    held_until: float = 0.0,
    run: Run = run_here,
) -> Signed:
    """Sign a message with all selectors of its author's domain; nothing when there are none.

    `held_until` is when it is to be sent, in seconds since the epoch, if that is later.
    The body of a long message is hashed through `run`.
    """
    signers = signers_for(config, author.domain)
    if not signers:
        return Signed()
    author = _canonical(config, author)
    fields = sign(signers, content, author, time.time(), held_until=held_until, run=run)
    return Signed(fields, tuple(signer.kind for signer in signers) if fields else ())


def signers_for(config: Config, domain: Domain) -> tuple[Signer, ...]:
    """Return the signers of a domain, or of the first domain above it that is configured."""
    labels = domain.ascii.count(".") + 1
    for count in range(labels, 0, -1):
        local = config.lookup.domain(parent(domain, count))
        if local is not None:
            return () if local.config.disabled else config.signers.get(local.name.ascii, ())
    return ()


def _canonical(config: Config, author: Address) -> Address:
    """Return the address by which the author is known here, for i=."""
    local = config.lookup.domain(author.domain)
    rules = local.rules if local is not None else LocalpartRules()
    return Address(canonical_localpart(author.localpart, rules), author.domain)
