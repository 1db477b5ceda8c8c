"""Message-IDs: reading them in the one form that is compared, and making them (RFC 5322 §3.6.4)."""

from __future__ import annotations

import base64
import re
import secrets

from mox.address import Domain, format_localpart
from mox.message.charsets import guess
from mox.message.limits import LIMITS, Limits

MAX_CHARS = 1000

# A "<" before the closing ">" means that the first id was cut off; it is not seen as one.
_ID = re.compile(rb"<([^<>]+)>")
_SPACE = re.compile(r"\s+")
_QUOTED_PAIR = re.compile(r"\\(.)")


def canonical_id(raw: bytes) -> str:
    """Return an id without brackets, in lower case, without spaces and needless quotes."""
    text = _SPACE.sub("", guess(raw[:MAX_CHARS])).replace("\0", "").lower()
    if text.startswith('"'):
        localpart, at, domain = text.rpartition("@")
        if at and localpart.endswith('"') and len(localpart) > 1:
            unquoted = _QUOTED_PAIR.sub(r"\1", localpart[1:-1])
            return f"{format_localpart(unquoted)}@{domain}"
    return text


def parse_message_id(value: bytes) -> str:
    """Read a Message-ID field; what is not in brackets counts whole. "" when empty."""
    match = _ID.search(value)
    return canonical_id(match[1] if match else value)


def parse_references(value: bytes, limits: Limits = LIMITS) -> tuple[str, ...]:
    """Read all ids of a References field, the nearest last; at most the last 200."""
    ids = [canonical_id(raw) for raw in _ID.findall(value)[-limits.references :]]
    return tuple([id_ for id_ in ids if id_])


def message_id(hostname: Domain | str, random: bytes | None = None) -> str:
    """Make a new Message-ID, without angle brackets. `random` is 16 octets."""
    octets = secrets.token_bytes(16) if random is None else random
    host = hostname.ascii if isinstance(hostname, Domain) else hostname
    return f"{base64.urlsafe_b64encode(octets).rstrip(b'=').decode()}@{host}"
