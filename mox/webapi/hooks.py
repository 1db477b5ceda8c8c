"""Webhooks as values: what the server POSTs to applications, and how receivers read it.

Fields, their order and the escaping are those of the reference's webhooks: a receiver written for
it works. Every field is always there; receivers must ignore fields and events that they do not
know.
"""

from __future__ import annotations

from enum import StrEnum
from typing import Annotated, Final

import msgspec
from msgspec import Meta as Doc
from msgspec import Struct

from mox.webapi.naming import json_name
from mox.webapi.types import MessageAddress, MsgID, Structure, Time

# Header fields of each request. A retried call has the same id and body, and the next attempt.
ID_HEADER: Final = "X-Mox-Webhook-Id"
ATTEMPT_HEADER: Final = "X-Mox-Webhook-Attempt"
CONTENT_TYPE: Final = "application/json; charset=utf-8"


class Event(StrEnum):
    """What became of a sent message."""

    DELIVERED = "delivered"  # the next server took it
    SUPPRESSED = "suppressed"  # not attempted: the address is on the suppression list
    DELAYED = "delayed"  # an attempt failed; it will be tried again
    FAILED = "failed"  # given up
    RELAYED = "relayed"  # passed on to a system that does not tell more
    EXPANDED = "expanded"  # passed on to the members of a list
    CANCELED = "canceled"  # dropped by an administrator
    UNRECOGNIZED = "unrecognized"  # something came back that is no delivery status


class Outgoing(Struct, frozen=True, kw_only=True, rename=json_name):
    """What became of a message that was sent to one recipient."""

    version: Annotated[int, Doc(description="Of this format: 0.")] = 0
    event: Annotated[
        str,
        Doc(
            description="delivered, suppressed, delayed, failed, relayed, expanded, canceled or "
            "unrecognized."
        ),
    ]
    dsn: Annotated[
        bool, Doc(description="A notification of another server told it, some time later.")
    ] = False
    suppressing: Annotated[
        bool, Doc(description="This failure put the address on the suppression list.")
    ] = False
    queue_msg_id: Annotated[int, Doc(description="As in the result of Send.")] = 0
    from_id: Annotated[str, Doc(description="As in the result of Send; empty for none.")] = ""
    message_id: Annotated[str, Doc(description="Of the sent message, with its `<>`.")] = ""
    subject: Annotated[str, Doc(description="Of the sent message.")] = ""
    webhook_queued: Annotated[Time, Doc(description="When the event happened.")]
    smtp_code: Annotated[int, Doc(description="Of the other server; 0 when there is none.")] = 0
    smtp_enhanced_code: Annotated[str, Doc(description="Such as `5.1.1`; empty for none.")] = ""
    error: Annotated[str, Doc(description="Why, in words; empty for none.")] = ""
    extra: Annotated[
        dict[str, str], Doc(description="As given to Send, or in X-Mox-Extra-… header fields.")
    ] = {}


class IncomingMeta(Struct, frozen=True, kw_only=True, rename=json_name):
    """What the server knows of a received message beyond its content."""

    msg_id: MsgID = 0
    mail_from: Annotated[
        str, Doc(description="SMTP sender; empty for notifications, which have none.")
    ] = ""
    mail_from_validated: Annotated[bool, Doc(description="SPF passed for it.")] = False
    msg_from_validated: Annotated[
        bool, Doc(description="Verified for the From address: DMARC, or its domain's DKIM or SPF.")
    ] = False
    rcpt_to: Annotated[str, Doc(description="SMTP recipient, as the sender wrote it.")] = ""
    dkim_verified_domains: Annotated[
        tuple[str, ...], Doc(description="Domains whose signatures were good.")
    ] = ()
    remote_ip: Annotated[str, Doc(description="Of the server that delivered it.")] = ""
    received: Time
    mailbox_name: Annotated[str, Doc(description="Where it was put, such as `Inbox`.")] = ""
    automated: Annotated[
        bool,
        Doc(description="From a list, a robot or a mail system: do not reply automatically."),
    ] = False


class Incoming(Struct, frozen=True, kw_only=True, rename=json_name):
    """A message that was received over SMTP and put into a mailbox."""

    version: Annotated[int, Doc(description="Of this format: 0.")] = 0
    from_: tuple[MessageAddress, ...] = ()
    to: tuple[MessageAddress, ...] = ()
    cc: tuple[MessageAddress, ...] = ()
    bcc: tuple[MessageAddress, ...] = ()
    reply_to: tuple[MessageAddress, ...] = ()
    subject: str = ""
    message_id: Annotated[str, Doc(description="With its `<>`; empty for none.")] = ""
    in_reply_to: Annotated[str, Doc(description="With its `<>`; empty for none.")] = ""
    references: Annotated[tuple[str, ...], Doc(description="Message-IDs, each with its `<>`.")] = ()
    date: Annotated[
        Time | None, Doc(description="Of the Date header; null when absent or unreadable.")
    ] = None
    text: Annotated[str, Doc(description="Plain text body, cut at 1 MiB.")] = ""
    html: Annotated[str, Doc(description="HTML body, not sanitised, cut at 1 MiB.")] = ""
    structure: Structure
    meta: IncomingMeta


_encode: Final = msgspec.json.Encoder().encode
_decode_outgoing: Final = msgspec.json.Decoder(Outgoing).decode
_decode_incoming: Final = msgspec.json.Decoder(Incoming).decode

# Outside of strings JSON has none of these, so that each can be written as an escape.
_ESCAPES: Final = (
    (b"<", b"\\u003c"),
    (b">", b"\\u003e"),
    (b"&", b"\\u0026"),
    ("\u2028".encode(), b"\\u2028"),
    ("\u2029".encode(), b"\\u2029"),
)
# Last of all occurrences: in strings the quotes are escaped.
_NO_MSG_ID: Final = b'"Meta":{"MsgID":0,'


def encode(payload: Outgoing | Incoming) -> bytes:
    """Return the body of a request: one line of JSON that is safe to stand in HTML.

    >>> from datetime import datetime, UTC
    >>> hook = Outgoing(event="failed", message_id="<a@b>", webhook_queued=datetime.now(UTC))
    >>> b'"MessageID":"\\\\u003ca@b\\\\u003e"' in encode(hook)
    True
    """
    body = _encode(payload)
    for char, escape in _ESCAPES:
        body = body.replace(char, escape)
    return body


def with_msg_id(body: bytes, msg_id: int) -> bytes:
    """Return the body of an incoming webhook without MsgID with one.

    The number is known only when the message is stored, and then there is no time to encode.
    """
    head, mark, tail = body.rpartition(_NO_MSG_ID)
    assert mark, "has a number already"
    return b'%b"Meta":{"MsgID":%d,%b' % (head, msg_id, tail)


def decode_outgoing(body: bytes) -> Outgoing:
    """Read the body of a call about a sent message. Raises msgspec.DecodeError."""
    return _decode_outgoing(body)


def decode_incoming(body: bytes) -> Incoming:
    """Read the body of a call about a received message. Raises msgspec.DecodeError."""
    return _decode_incoming(body)
