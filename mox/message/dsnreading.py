"""Reading delivery status notifications of others (RFC 3464, RFC 6533).

Strict about what decisions are taken from: a report that is not sound is no report.
"""

from __future__ import annotations

import re
from dataclasses import dataclass

from mox.address import Address, AddressError, parse_address
from mox.message.charsets import guess
from mox.message.dates import parse_date
from mox.message.dsn import Action
from mox.message.fields import Data, split_fields, unfold
from mox.message.limits import LIMITS, Limits
from mox.message.params import strip_comments
from mox.message.parts import MessageError, Part
from mox.message.transfer import part_octets

_MAX_RECIPIENTS = 1000
_GROUP_END = re.compile(rb"\r?\n(?:[ \t]*\r?\n)+")
# RFC 3463 §2: class "." subject "." detail
_STATUS = re.compile(rb"[ \t]*([245]\.[0-9]{1,3}\.[0-9]{1,3})(?![0-9.])")
_REPLY = re.compile(r"\s*([2-5][0-9]{2})[ -]?\s*([245]\.[0-9]{1,3}\.[0-9]{1,3}(?![0-9.]))?")
# RFC 6533 §3: EmbeddedUnicodeChar
_HEX = re.compile(r"\\x\{(10[0-9A-Fa-f]{4}|[0-9A-Fa-f]{2,5})\}")

_Fields = dict[bytes, bytes]


class DsnError(MessageError):
    """The message is no delivery status notification, or not a sound one."""


class NotADsn(DsnError):
    """The message is something else, such as a reply or another kind of report."""


@dataclass(frozen=True, slots=True, kw_only=True)
class ReportedRecipient:
    """What a notification says about one recipient. Texts are "" when absent."""

    final_recipient: Address
    original_recipient: str
    action: Action
    status: str  # such as "5.1.1"
    remote_mta: str
    diagnostic: str  # text of the SMTP reply
    last_attempt: int | None
    will_retry_until: int | None

    @property
    def code(self) -> int:
        """The SMTP code: of the reply, or 200, 400, 500 by the status."""
        match = _REPLY.match(self.diagnostic)
        return int(match[1]) if match else int(self.status[0]) * 100

    @property
    def enhanced_code(self) -> str:
        """The enhanced code: of the reply, else the status."""
        match = _REPLY.match(self.diagnostic)
        return match[2] if match and match[2] else self.status


@dataclass(frozen=True, slots=True, kw_only=True)
class Report:
    """A notification. Times are seconds since the epoch."""

    reporting_mta: str
    arrival: int | None
    recipients: tuple[ReportedRecipient, ...]
    envelope_id: str = ""  # RFC 3464 §2.2.1: the ENVID of the message it is about


def read_dsn(data: Data, root: Part, *, wire: bool, limits: Limits = LIMITS) -> Report:
    """Read the status part of a notification. Raises NotADsn, DsnError."""
    if not root.is_dsn or len(root.children) < 2:
        raise NotADsn("not a delivery status notification")
    part = root.children[1]
    if part.media_type != "MESSAGE" or not part.media_subtype.endswith("DELIVERY-STATUS"):
        raise NotADsn("second part is no delivery status")
    content = part_octets(data, part, wire=wire, limits=limits).strip(b"\r\n")
    groups = _GROUP_END.split(content, _MAX_RECIPIENTS + 1)
    if len(groups) < 2 or len(groups) > _MAX_RECIPIENTS + 1:
        raise DsnError("bad number of recipients in delivery status")
    fields = _read_fields(groups[0])
    return Report(
        reporting_mta=_typed(_required(fields, b"reporting-mta"), ("dns",))[1],
        arrival=_date(fields, b"arrival-date"),
        recipients=tuple([_recipient(_read_fields(group)) for group in groups[1:]]),
        envelope_id=guess(fields.get(b"original-envelope-id", b"")).strip(),
    )


def _read_fields(group: bytes) -> _Fields:
    fields: _Fields = {}
    for name, value in split_fields(group):
        name = name.lower()
        if name in fields:
            raise DsnError(f"duplicate field {guess(name[:60])} in delivery status")
        fields[name] = unfold(value)
    return fields


def _recipient(fields: _Fields) -> ReportedRecipient:
    type_, address = _typed(_required(fields, b"final-recipient"), ("rfc822", "utf-8"))
    try:
        action = Action(guess(_required(fields, b"action")).strip().lower())
    except ValueError as err:
        raise DsnError("unknown action in delivery status") from err
    status = _STATUS.match(_required(fields, b"status"))
    if status is None:
        raise DsnError("bad status in delivery status")
    return ReportedRecipient(
        final_recipient=_address(type_, address),
        original_recipient=_optional(fields, b"original-recipient"),
        action=action,
        status=status[1].decode(),
        remote_mta=_optional(fields, b"remote-mta"),
        diagnostic=_smtp_reply(fields),
        last_attempt=_date(fields, b"last-attempt-date"),
        will_retry_until=_date(fields, b"will-retry-until"),
    )


def _required(fields: _Fields, name: bytes) -> bytes:
    value = fields.get(name)
    if not value:
        raise DsnError(f"missing {name.decode()} in delivery status")
    return value


def _typed(value: bytes, types: tuple[str, ...]) -> tuple[str, str]:
    """Split `type;value` (RFC 3464 §2.1.2)."""
    type_, semicolon, rest = guess(value).partition(";")
    type_ = type_.strip().lower()
    if not semicolon or type_ not in types:
        raise DsnError(f"unknown type {type_[:40]!r} in delivery status")
    return type_, rest.strip()


def _optional(fields: _Fields, name: bytes) -> str:
    """Return a typed field's value without its type."""
    text = guess(fields.get(name, b""))
    return text.partition(";")[2].strip() or text.strip()


def _smtp_reply(fields: _Fields) -> str:
    type_, _, text = guess(fields.get(b"diagnostic-code", b"")).partition(";")
    return text.strip() if type_.strip().lower() == "smtp" else ""


def _date(fields: _Fields, name: bytes) -> int | None:
    found = parse_date(fields.get(name, b""))
    return found[0] if found else None


def _address(type_: str, text: str) -> Address:
    text = guess(strip_comments(text.encode("utf-8", "replace"))).strip()
    if text.startswith("<") and text.endswith(">"):
        text = text[1:-1]
    if type_ == "utf-8":
        text = _HEX.sub(lambda match: chr(int(match[1], 16)), text)
    try:
        return parse_address(text)
    except AddressError as err:
        raise DsnError(f"bad final recipient: {err}") from err
