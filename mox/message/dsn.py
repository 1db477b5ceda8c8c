"""Composing delivery status notifications: RFC 3464, RFC 3461 §6, RFC 6522, RFC 6533.

A DSN has three parts: a text for people, the fields for programs, and the header section of the
message that it is about (never its body). It can be composed in ASCII, and in UTF-8 for senders
that used SMTPUTF8.
"""

from __future__ import annotations

import base64
import hashlib
import re
from collections.abc import Iterator
from dataclasses import dataclass
from enum import StrEnum
from ipaddress import IPv4Address, IPv6Address

from mox.address import Address, Domain, Path, format_domain, format_localpart
from mox.message.dates import format_date
from mox.message.trace import FoldedField, clean

MAX_HEADER_OCTETS = 1 << 16
_MAX_TEXT_CHARS = 900
# RFC 6533 §3: QUCHAR stays as it is in utf-8-addr-xtext; the rest becomes \x{HEX}.
_NOT_QUCHAR = re.compile(r"[^!-*,-<>-\[\]-~]")
_NOT_ASCII = re.compile(r"[^\t -~]")
_LONG_LINE = re.compile(rb"[^\n]{999}")


class Action(StrEnum):
    """What happened to a recipient (RFC 3464 §2.3.3)."""

    FAILED = "failed"
    DELAYED = "delayed"
    DELIVERED = "delivered"
    RELAYED = "relayed"
    EXPANDED = "expanded"


_SENTENCES = {
    Action.FAILED: ("Your email could not be delivered to the recipients below.",),
    Action.DELAYED: (
        "Delivery of your email to the recipients below is delayed.",
        "You do not have to do anything: further attempts will be made.",
    ),
    Action.DELIVERED: ("Your email was delivered to the mailboxes of the recipients below.",),
    Action.RELAYED: (
        "Your email was passed on to the mail server of the recipients below.",
        "That server does not tell what becomes of it.",
    ),
    Action.EXPANDED: ("Your email was passed on to the members of the lists below.",),
}


@dataclass(frozen=True, slots=True, kw_only=True)
class Recipient:
    """One recipient's fields. Times are seconds since the epoch."""

    address: Path | Address
    action: Action
    status: str  # enhanced code with all three numbers, such as "5.1.1"
    error: str = ""  # for people
    status_comment: str = ""
    remote_mta: Domain | IPv4Address | IPv6Address | None = None  # only with an SMTP reply
    remote_ip: IPv4Address | IPv6Address | None = None
    original: str = ""  # RFC 3461 §4.2: ORCPT as "rfc822;you@example.org", decoded
    reply: tuple[str, ...] = ()  # lines of the SMTP reply, codes included
    last_attempt: int | None = None
    will_retry_until: int | None = None  # for delays: when the last attempt will be
    next_attempts: tuple[int, ...] = ()  # for delays: when further attempts will be


@dataclass(frozen=True, slots=True, kw_only=True)
class Dsn:
    """A notification about one message."""

    mail_from: Address  # for the From field: postmaster at some domain of ours
    mail_to: Path | Address  # the envelope sender of the message
    subject: str  # "mail delivery failed", "mail delivery delayed"
    message_id: str  # of this notification, without brackets; random
    date: int
    references: str = ""  # Message-ID of the message it is about, without brackets
    reporting_mta: Domain
    received_from: Domain | IPv4Address | IPv6Address | None = None
    received_from_ip: IPv4Address | IPv6Address | None = None
    arrival: int | None = None
    future_release: str = ""  # RFC 4865 §10: "for;3600"
    recipients: tuple[Recipient, ...]
    original_header: bytes = b""  # wire form
    original: bytes = b""  # the whole message instead, wire form
    envelope_id: str = ""  # RFC 3461 §4.4: ENVID, decoded
    copy_for: Path | Address | None = None  # whom it is about, when somebody else gets a copy


def compose(dsn: Dsn, *, utf8: bool = False) -> bytes:
    """Compose a notification in wire form; `utf8` as RFC 6533 wants it for SMTPUTF8 senders."""
    # The boundary comes from the random id, so nobody can put it into the original's header.
    boundary = "=_" + hashlib.sha256(dsn.message_id.encode("utf-8", "replace")).hexdigest()[:32]
    parts = [_text_part(dsn, utf8), _status_part(dsn, utf8)]
    if dsn.original:
        parts.append(_message_part(dsn.original, utf8))
    elif dsn.original_header:
        parts.append(_header_part(dsn.original_header, utf8))
    delimiter = f"--{boundary}\r\n".encode()
    pieces = [_header(dsn, utf8, boundary)]
    for part in parts:
        pieces += [delimiter, part, b"\r\n"]
    return b"".join([*pieces, f"--{boundary}--\r\n".encode()])


def _header(dsn: Dsn, utf8: bool, boundary: str) -> bytes:
    lines = [
        f"From: <{_address(dsn.mail_from, utf8)}>",
        f"To: <{_header_address(dsn.mail_to, utf8)}>",
        f"Subject: {_ascii(dsn.subject)}",
        f"Message-Id: <{clean(dsn.message_id)}>",
    ]
    if dsn.references:
        references = clean(dsn.references) if utf8 else _ascii(dsn.references)
        lines.append(f"References: <{references[:_MAX_TEXT_CHARS]}>")
    lines += [
        f"Date: {format_date(dsn.date)}",
        # RFC 3834 §5: keeps vacation replies away.
        "Auto-Submitted: auto-replied",
        "MIME-Version: 1.0",
        'Content-Type: multipart/report; report-type="delivery-status";',
        f'\tboundary="{boundary}"',
    ]
    return ("\r\n".join(lines) + "\r\n\r\n").encode("utf-8", "replace")


def _text_part(dsn: Dsn, utf8: bool) -> bytes:
    text = "\n".join(_explanation(dsn, utf8))
    if utf8:
        head = "Content-Type: text/plain; charset=utf-8\nContent-Transfer-Encoding: 8BIT\n\n"
    else:
        text = "\n".join([_ascii(line)[:_MAX_TEXT_CHARS] for line in text.split("\n")])
        head = "Content-Type: text/plain; charset=us-ascii\nContent-Transfer-Encoding: 7BIT\n\n"
    return (head + text).replace("\n", "\r\n").encode("utf-8", "replace")


def _explanation(dsn: Dsn, utf8: bool) -> Iterator[str]:
    """Yield the lines of the text for people."""
    if dsn.copy_for is not None:
        yield f"This is a copy of a notification to {_header_address(dsn.copy_for, utf8)}:"
        yield ""
    for action, sentences in _SENTENCES.items():
        recipients = [one for one in dsn.recipients if one.action is action]
        if recipients:
            yield from sentences
        for recipient in recipients:
            yield from _of_recipient(recipient, utf8)
        if recipients:
            yield ""


def _of_recipient(recipient: Recipient, utf8: bool) -> Iterator[str]:
    yield ""
    yield f"Recipient: {_address(recipient.address, utf8)}"
    if recipient.error:
        yield f"Error: {clean(recipient.error)[:_MAX_TEXT_CHARS]}"
    if recipient.reply:
        yield "Reply of the remote mail server:"
        for line in recipient.reply:
            yield f"    {clean(line)[:_MAX_TEXT_CHARS]}"
    if recipient.next_attempts:
        yield "Next attempts:"
        for when in recipient.next_attempts:
            yield f"    {format_date(when)}"


def _status_part(dsn: Dsn, utf8: bool) -> bytes:
    if utf8:
        # RFC 6533 §4.
        head = "Content-Type: message/global-delivery-status\r\nContent-Transfer-Encoding: 8BIT\r\n"
    else:
        head = "Content-Type: message/delivery-status\r\nContent-Transfer-Encoding: 7BIT\r\n"
    groups = [_message_fields(dsn, utf8)]
    groups += [_recipient_fields(recipient, utf8) for recipient in dsn.recipients]
    return b"\r\n".join([head.encode(), *groups])


def _message_fields(dsn: Dsn, utf8: bool) -> bytes:
    """RFC 3464 §2.2."""
    fields = []
    if dsn.envelope_id:
        fields.append(_field("Original-Envelope-Id", dsn.envelope_id, utf8))
    fields.append(_field("Reporting-MTA", f"dns; {dsn.reporting_mta.pack(utf8)}", utf8))
    if dsn.received_from is not None:
        mta = _mta(dsn.received_from, dsn.received_from_ip, utf8)
        fields.append(_field("Received-From-MTA", mta, utf8))
    if dsn.arrival is not None:
        fields.append(_field("Arrival-Date", format_date(dsn.arrival), utf8))
    if dsn.future_release:
        fields.append(_field("Future-Release-Request", dsn.future_release, utf8))
    return b"".join(fields)


def _recipient_fields(recipient: Recipient, utf8: bool) -> bytes:
    """RFC 3464 §2.3."""
    comment = f" ({_comment(recipient.status_comment)})" if recipient.status_comment else ""
    # RFC 6533 §3: type "utf-8" for an address that has no ASCII form.
    address_type = "utf-8" if utf8 or recipient.address.needs_smtputf8 else "rfc822"
    fields = []
    if recipient.original:
        fields.append(_field("Original-Recipient", recipient.original, utf8))
    fields += [
        _field("Final-Recipient", f"{address_type};{_address(recipient.address, utf8)}", utf8),
        _field("Action", recipient.action, utf8),
        _field("Status", f"{recipient.status}{comment}", utf8),
    ]
    if recipient.remote_mta is not None:
        mta = _mta(recipient.remote_mta, recipient.remote_ip, utf8)
        fields.append(_field("Remote-MTA", mta, utf8))
    if recipient.reply:
        fields.append(_field("Diagnostic-Code", f"smtp; {' '.join(recipient.reply)}", utf8))
    if recipient.last_attempt is not None:
        fields.append(_field("Last-Attempt-Date", format_date(recipient.last_attempt), utf8))
    if recipient.will_retry_until is not None and recipient.action == Action.DELAYED:
        # RFC 3464 §2.3.9: only for delays.
        until = format_date(recipient.will_retry_until)
        fields.append(_field("Will-Retry-Until", until, utf8))
    return b"".join(fields)


def _message_part(message: bytes, utf8: bool) -> bytes:
    # RFC 6533 §5, RFC 2046 §5.2.1: not encoded, so that what it has decides.
    if message.isascii():
        head = "Content-Type: message/rfc822\r\nContent-Transfer-Encoding: 7BIT\r\n\r\n"
    elif utf8:
        head = "Content-Type: message/global\r\nContent-Transfer-Encoding: 8BIT\r\n\r\n"
    else:
        head = "Content-Type: message/rfc822\r\nContent-Transfer-Encoding: 8BIT\r\n\r\n"
    return head.encode() + message


def _header_part(header: bytes, utf8: bool) -> bytes:
    header = _bounded(header)
    if utf8:
        # RFC 6533 §5.
        head = "Content-Type: message/global-headers\r\nContent-Transfer-Encoding: 8BIT\r\n\r\n"
        return head.encode() + header
    if header.isascii() and b"\0" not in header and not _LONG_LINE.search(header):
        head = "Content-Type: text/rfc822-headers\r\nContent-Transfer-Encoding: 7BIT\r\n\r\n"
        return head.encode() + header
    head = "Content-Type: text/rfc822-headers; charset=utf-8\r\n"
    head += "Content-Transfer-Encoding: BASE64\r\n\r\n"
    encoded = base64.b64encode(header)
    lines = [encoded[pos : pos + 76] for pos in range(0, len(encoded), 76)]
    return head.encode() + b"\r\n".join(lines) + b"\r\n"


def _bounded(header: bytes) -> bytes:
    if len(header) <= MAX_HEADER_OCTETS:
        return header
    return header[: header.rfind(b"\n", 0, MAX_HEADER_OCTETS) + 1]


def _field(name: str, value: str, utf8: bool) -> bytes:
    value = value if utf8 else _ascii(value)
    return bytes(FoldedField(name).add(*value[:_MAX_TEXT_CHARS].split()))


def _mta(
    name: Domain | IPv4Address | IPv6Address, ip: IPv4Address | IPv6Address | None, utf8: bool
) -> str:
    comment = f" ({format_domain(ip, utf8)})" if ip is not None else ""
    return f"dns;{format_domain(name, utf8)}{comment}"


def _address(address: Path | Address, utf8: bool) -> str:
    if utf8 or not address.needs_smtputf8:
        return clean(address.pack(utf8))
    # RFC 6533 §3: utf-8-addr-xtext, for notifications that must be ASCII.
    localpart = _NOT_QUCHAR.sub(_hex, format_localpart(address.localpart))
    if address.domain is None:
        return localpart
    return f"{localpart}@{format_domain(address.domain, False)}"


def _header_address(address: Path | Address, utf8: bool) -> str:
    """Return an address for the To field, which has no form for other scripts in ASCII."""
    if utf8 or not address.needs_smtputf8:
        return _address(address, utf8)
    # The escapes are no atoms: they need a quoted string.
    escaped = format_localpart(_ascii(address.localpart))
    if address.domain is None:
        return escaped
    return f"{escaped}@{format_domain(address.domain, False)}"


def _comment(text: str) -> str:
    """Make text fit in an RFC 5322 comment."""
    text = text.replace("\\", "/").replace("(", "[").replace(")", "]")
    return clean(text)[:_MAX_TEXT_CHARS]


def _ascii(text: str) -> str:
    """Show characters outside of ASCII as RFC 6533 does in addresses."""
    return _NOT_ASCII.sub(_hex, text)


def _hex(match: re.Match[str]) -> str:
    return f"\\x{{{ord(match[0]):X}}}"
