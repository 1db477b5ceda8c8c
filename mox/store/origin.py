"""Where a message came from: what is kept of its delivery, for the reputation of senders.

Kept beside the fixed message record, so that commands that walk over a mailbox do not meet it.
Messages that did not come from a server (APPEND, files dropped in) have none.
"""

from __future__ import annotations

import hashlib
from dataclasses import dataclass
from enum import IntEnum
from typing import Literal

import msgspec

from mox.store.model import MailboxId

# What ties the From field to who sent the message, strongest first: an SPF or DKIM domain equals
# the From domain; relaxed and DMARC passes; they share the organizational domain; nothing.
Validation = Literal["strict", "dmarc", "relaxed", "none"]

# The words for wanted and unwanted that clients use (RFC 9051 §2.3.2 and older ones), lower-case.
JUNK_KEYWORDS = frozenset({"$junk", "junk"})
NOT_JUNK_KEYWORDS = frozenset({"$notjunk", "notjunk", "nonjunk"})

DIGEST_OCTETS = 12


class Kind(IntEnum):
    """What a question about earlier messages is about. The numbers are on disk."""

    FROM_ADDRESS = 1
    FROM_DOMAIN = 2
    FROM_ORG_DOMAIN = 3
    DKIM_DOMAIN = 4
    MAIL_FROM_ADDRESS = 5
    MAIL_FROM_DOMAIN = 6
    EHLO_DOMAIN = 7
    NETWORK = 8
    REJECTED_ID = 20  # of the Message-ID of a message in the Rejects mailbox
    REJECTED_CONTENT = 21
    SENT_ADDRESS = 30  # we wrote to
    SENT_DOMAIN = 31
    SENT_ORG_DOMAIN = 32


class SentTo(msgspec.Struct, frozen=True, array_like=True):
    """One recipient of a message in the Sent mailbox. Domains are U-labels."""

    localpart: str
    domain: str
    org_domain: str


class Origin(msgspec.Struct, frozen=True, kw_only=True, omit_defaults=True):
    """Facts of one delivery. Domains are U-labels, "" where there is none.

    For forwarded mail networks, ehlo_domain, mail_from_domain and the forwarder's own DKIM domain
    are empty: its reputation must not suffer. What they were is in the `original_` fields.
    """

    remote_ip: str = ""
    networks: tuple[bytes, ...] = ()  # mox.networks.network_keys of the client
    ehlo_domain: str = ""
    mail_from_localpart: str = ""
    mail_from_domain: str = ""
    rcpt_to_localpart: str = ""
    rcpt_to_domain: str = ""
    from_localpart: str = ""
    from_domain: str = ""
    from_org_domain: str = ""
    ehlo_validated: bool = False
    mail_from_validated: bool = False
    from_validation: Validation = "none"
    dkim_domains: tuple[str, ...] = ()
    original_ehlo_domain: str = ""
    original_mail_from_domain: str = ""
    original_dkim_domains: tuple[str, ...] = ()
    mailbox_orig: int = 0  # delivered to first; stays when the message is moved
    mailbox_destined: int = 0  # would have gone there, but for Rejects or Introbox
    is_reject: bool = False
    is_forward: bool = False
    is_mailing_list: bool = False
    message_id: str = ""  # as written
    content_hash: bytes = b""  # SHA-256 without our header fields; of rejects only
    sent_to: tuple[SentTo, ...] = ()
    sent: int = 0  # seconds since the epoch, of the Date field of a message in Sent

    @property
    def from_validated(self) -> bool:
        return self.from_validation != "none"


_encode = msgspec.msgpack.Encoder().encode
decode_origin = msgspec.msgpack.Decoder(Origin).decode


def encode_origin(origin: Origin) -> bytes:
    return _encode(origin)


def address_name(localpart: str, domain: str) -> str:
    """The name of an address in questions: whoever writes it in other case means the same."""
    return f"{localpart.lower()}@{domain}"


def digest(text: bytes) -> bytes:
    """The form in which names stand in keys: of fixed length, whatever a sender chose."""
    return hashlib.blake2b(text, digest_size=DIGEST_OCTETS).digest()


@dataclass(frozen=True, slots=True)
class Relocated:
    """What becomes of a message that a user moves or copies out of Rejects or Introbox."""

    origin: Origin
    is_unread: bool = False  # it loses \\Seen
    is_wanted: bool = False  # it gets $NotJunk: the user took its sender in


def relocated(origin: Origin, target: MailboxId, *, is_judged: bool) -> Relocated:
    """Return the facts of a message that goes to another mailbox.

    is_judged: it carries a verdict. Out of Rejects it counts from now on as delivered where it
    was destined. Out of Introbox the same, once the user has judged it or moved it there.
    """
    if not origin.mailbox_destined or target == origin.mailbox_orig:
        return Relocated(origin)
    is_there = target == origin.mailbox_destined
    if not (origin.is_reject or is_judged or is_there):
        return Relocated(origin)
    changed = msgspec.structs.replace(
        origin,
        mailbox_orig=origin.mailbox_destined,
        mailbox_destined=0,
        is_reject=False,
        content_hash=b"",
    )
    is_wanted = not (origin.is_reject or is_judged)
    return Relocated(changed, is_unread=origin.is_reject, is_wanted=is_wanted)
