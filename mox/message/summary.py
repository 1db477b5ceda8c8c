"""What sorting, threading and lists ask of a message, found once at delivery.

RFC 5256 §2 and §3 (sort keys, base subject, references), RFC 5957 (display names), RFC 8970
(preview). Texts to be compared are in the form of mox.collation.casemap. Ids are kept as hashes
of 8 octets: they are only ever compared.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace
from hashlib import blake2b
from typing import Final

import msgspec

from mox.collation import casemap
from mox.message.charsets import guess
from mox.message.limits import LIMITS
from mox.message.mailboxes import raw_addresses
from mox.message.scan import FieldMap
from mox.message.subjects import base_subject
from mox.message.words import decode_text

ID_SIZE: Final = 8
# A sort key longer than this compares by its beginning.
_KEY_CHARS: Final = 200
_FIRST = replace(LIMITS, addresses=1, field_octets=2000)
# References that a message is looked for by when its thread is found: the nearest ones.
_LINKS: Final = 20


class Summary(msgspec.Struct, frozen=True, array_like=True):
    """Sort keys, ids and preview of one message. On disk: append fields, with defaults."""

    sent: int | None = None  # of the Date field, seconds since the epoch
    zone: int = 0  # of the Date field, minutes east of UTC
    subject: str = ""  # base subject
    is_response: bool = False  # the subject marks a reply or forward
    from_: str = ""  # addr-mailbox of the first address
    to: str = ""
    cc: str = ""
    display_from: str = ""
    display_to: str = ""
    message_id: bytes = b""  # hash, b"" when there is no id
    references: bytes = b""  # hashes one after the other, the nearest last
    preview: str = ""


def id_hash(message_id: str) -> bytes:
    """The hash of a canonical message id."""
    return blake2b(message_id.encode("utf-8", "surrogatepass"), digest_size=ID_SIZE).digest()


def summarise(
    fields: FieldMap,
    *,
    subject: str,
    date: tuple[int, int] | None,
    message_id: str,
    references: Sequence[str],
    preview: str,
) -> Summary:
    """Make the summary from unfolded fields and what was read from them; ids canonical."""
    base, is_response = base_subject(subject)
    from_, display_from = _address(fields, b"from")
    to, display_to = _address(fields, b"to")
    return Summary(
        date[0] if date else None,
        date[1] if date else 0,
        casemap(base[:_KEY_CHARS]),
        is_response,
        from_,
        to,
        _address(fields, b"cc")[0],
        display_from,
        display_to,
        id_hash(message_id) if message_id else b"",
        b"".join([id_hash(reference) for reference in references]),
        preview,
    )


def _address(fields: FieldMap, name: bytes) -> tuple[str, str]:
    """addr-mailbox and display name of a field's first address, as sort keys."""
    values = fields.get(name)
    found = raw_addresses(values[0], _FIRST) if values else ()
    if not found:
        return "", ""
    phrase, _, local, host = found[0]
    mailbox = guess(local or b"")
    # RFC 5957 §3: the name where there is one, a group's name, else the address.
    shown = decode_text(phrase).strip() if phrase else ""
    if not shown:
        shown = mailbox if host is None else f"{mailbox}@{guess(host)}"
    return casemap(mailbox[:_KEY_CHARS]), casemap(shown[:_KEY_CHARS])


def thread_links(summary: Summary) -> tuple[bytes, ...]:
    """By what a message and its relatives find each other: of its own id, then of references.

    Each is the hash of an id with the base subject, so that a new subject begins a new thread
    (RFC 8621 §3 recommends the same). The nearest reference comes first.
    """
    own = summary.message_id
    chain = summary.references
    ids = [chain[at : at + ID_SIZE] for at in range(0, len(chain), ID_SIZE)][-_LINKS:]
    subject = summary.subject.encode("utf-8", "surrogatepass")
    linked = dict.fromkeys([own, *reversed(ids)])
    return tuple(
        [blake2b(each + subject, digest_size=ID_SIZE).digest() if each else b"" for each in linked]
    )
