"""Key records as the configured domains would publish them, for a localserve that signs its mail.

No name server knows the domains of programs under test, and there may be none at all.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Final

from mox.dns import Answer, Status
from mox.dns.record import TXT, Record
from mox.mailauth.keyrecord import key_record

if TYPE_CHECKING:
    from mox.config import Config

_STRING_OCTETS: Final = 255


class OwnKeys:
    """Answers questions for the keys that a configuration signs with; nothing else exists."""

    def __init__(self, config: Config) -> None:
        self._config = config

    def query(self, name: str, rdtype: str, timeout_s: float | None = None) -> Answer:
        selector, _, domain = name.rstrip(".").lower().partition("._domainkey.")
        signers = self._config.signers.get(domain, ()) if rdtype == "TXT" else ()
        records = tuple(
            _record(key_record(signer.key.public_key()).encode())
            for signer in signers
            if signer.selector.lower() == selector
        )
        return Answer(Status.OK, records) if records else Answer(Status.NXDOMAIN)


def _record(text: bytes) -> Record:
    """Return a TXT record of strings of at most 255 octets (RFC 1035 §3.3.14)."""
    pieces = [text[i : i + _STRING_OCTETS] for i in range(0, len(text), _STRING_OCTETS)]
    return Record(TXT, b"".join(bytes((len(piece),)) + piece for piece in pieces))
