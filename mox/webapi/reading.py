"""A stored message as programs want it: decoded fields and texts, and the structure of its parts.

What MessageGet answers and incoming webhooks tell. Never raises on what a message contains.
"""

from __future__ import annotations

import re
from collections.abc import Iterator, Sequence
from dataclasses import dataclass, replace
from datetime import datetime, timedelta, timezone
from typing import Final

from mox.message import parse
from mox.message.charsets import guess
from mox.message.dates import parse_date
from mox.message.limits import LIMITS
from mox.message.mailboxes import Mailbox, mailboxes
from mox.message.params import MESSAGE_RFC822, TEXT_PLAIN
from mox.message.parts import Part
from mox.message.piecewise import Octets, decoded_pieces, decoded_size
from mox.message.scan import FieldMap, scan_fields
from mox.message.transfer import part_text
from mox.message.words import decode_header
from mox.webapi.types import MAX_TEXT_OCTETS, Message, MessageAddress, Structure

_FIELDS: Final = frozenset(
    b"from to cc bcc reply-to message-id references in-reply-to date subject "
    b"list-id list-unsubscribe list-unsubscribe-post precedence auto-submitted".split()
)
_EPOCH: Final = datetime(1970, 1, 1)
_ID: Final = re.compile(rb"<([^<>]+)>")
# Encoded text is at most three times as long, and some charsets take more octets than UTF-8.
_TEXT_LIMITS: Final = replace(LIMITS, text_octets=4 * MAX_TEXT_OCTETS)


class NoSuchPart(Exception):
    """The path leads to no part. The text says where it goes wrong."""


@dataclass(frozen=True, slots=True)
class Shown:
    """A message with its structure, and what else is often asked of it.

    `references` are of the References field alone, those in `message` with In-Reply-To as well.
    `fields` has unfolded raw values by lower-case name, also of list-id, list-unsubscribe,
    list-unsubscribe-post, precedence and auto-submitted.
    """

    message: Message
    structure: Structure
    in_reply_to: str  # with <>, "" when absent
    references: tuple[str, ...]  # with <>
    fields: FieldMap
    root: Part


def show(data: Octets, *, wire: bool) -> Shown:
    """Read a message. Costs about 0.2 ms for a usual one."""
    root = parse(data, wire=wire)
    head = bytes(data[: root.body_start])
    fields = scan_fields(head, _FIELDS, LIMITS, wire=wire)
    references = _ids(b" ".join(fields.get(b"references", ())))
    replied = _ids(_first(fields, b"in-reply-to"))[:1]
    text, html = _texts(root)
    message = Message(
        from_=_addresses(fields, b"from"),
        to=_addresses(fields, b"to"),
        cc=_addresses(fields, b"cc"),
        bcc=_addresses(fields, b"bcc"),
        reply_to=_addresses(fields, b"reply-to"),
        message_id=_message_id(_first(fields, b"message-id")),
        references=_joined(replied, references),
        date=_date(_first(fields, b"date")),
        subject=_clean(decode_header(_first(fields, b"subject")[: LIMITS.field_octets])),
        text=_decoded_text(data, text, wire=wire),
        html=_decoded_text(data, html, wire=wire),
    )
    structure = _structure(data, root, wire=wire)
    return Shown(message, structure, replied[0] if replied else "", references, fields, root)


def part_at(root: Part, path: Sequence[int]) -> Part:
    """Return the part at a PartPath, the message itself for an empty one. Raises NoSuchPart."""
    part = root
    for place, index in enumerate(path):
        if not 0 <= index < len(part.children):
            raise NoSuchPart(f"part {index} at index {place} not found")
        part = part.children[index]
    return part


def part_content(data: Octets, part: Part, *, wire: bool) -> Iterator[bytes]:
    """Yield the content of a part with its transfer encoding undone; text keeps its charset."""
    return decoded_pieces(data, part, wire=wire)


# ---- header fields


def _first(fields: FieldMap, name: bytes) -> bytes:
    values = fields.get(name)
    return values[0] if values else b""


def _addresses(fields: FieldMap, name: bytes) -> tuple[MessageAddress, ...]:
    found = [mailbox for value in fields.get(name, ()) for mailbox in mailboxes(value)]
    return tuple(
        MessageAddress(_clean(mailbox.name), _clean(_written(mailbox)))
        for mailbox in found[: LIMITS.addresses]
    )


def _written(mailbox: Mailbox) -> str:
    """The address in Unicode; one that is not valid as it was written."""
    if (address := mailbox.address) is not None:
        return str(address)
    return f"{mailbox.localpart}@{mailbox.domain}" if mailbox.domain else mailbox.localpart


def _ids(value: bytes) -> tuple[str, ...]:
    found = _ID.findall(value)[-LIMITS.references :]
    return tuple(_clean(guess(b"<%b>" % b"".join(raw.split()))) for raw in found)


def _message_id(value: bytes) -> str:
    if ids := _ids(value[: LIMITS.field_octets])[:1]:
        return ids[0]
    text = _clean(guess(value[: LIMITS.field_octets]))
    return f"<{text}>" if text else ""


def _joined(replied: tuple[str, ...], references: tuple[str, ...]) -> tuple[str, ...]:
    """The message that is answered belongs to the conversation, whatever References says."""
    return references if set(replied) <= set(references) else (*replied, *references)


def _date(value: bytes) -> datetime | None:
    found = parse_date(value)
    if found is None:
        return None
    seconds, minutes = found
    try:
        local = _EPOCH + timedelta(seconds=seconds, minutes=minutes)
        return local.replace(tzinfo=timezone(timedelta(minutes=minutes)))
    except (OverflowError, ValueError):
        return None  # before the year 1, after 9999, or a zone of a whole day


def _clean(text: str) -> str:
    """Without halves of surrogate pairs, which some charsets produce: no JSON can have them."""
    return text if text.isascii() else text.encode("utf-8", "replace").decode()


# ---- texts


def _texts(part: Part, *, is_root: bool = True) -> tuple[Part | None, Part | None]:
    """Find the plain text and the HTML that are the body, in order of appearance.

    RFC 2046 §5.1.4: of alternatives the last of each kind counts. Elsewhere the first text is
    the body. Attachments never are, unless there is nothing else in the message.
    """
    if part.children:
        found = (_texts(child, is_root=False) for child in part.children)
        if part.media_subtype != "ALTERNATIVE":
            return next((pair for pair in found if pair != (None, None)), (None, None))
        text = html = None
        for one, other in found:
            text, html = one or text, other or html
        return text, html
    if part.media_type != "TEXT" or (part.is_attachment and not is_root):
        return None, None
    if part.media_subtype == "HTML":
        return None, part
    return (part if part.media_subtype == "PLAIN" else None), None


def _decoded_text(data: Octets, part: Part | None, *, wire: bool) -> str:
    if part is None:
        return ""
    text = part_text(data, part, wire=wire, limits=_TEXT_LIMITS).replace("\r\n", "\n")
    if len(text) * 4 <= MAX_TEXT_OCTETS:
        return _clean(text)
    octets = text[:MAX_TEXT_OCTETS].encode("utf-8", "replace")
    return octets[:MAX_TEXT_OCTETS].decode("utf-8", "ignore")


# ---- structure


def _structure(data: Octets, part: Part, *, wire: bool) -> Structure:
    # What has no Content-Type has the default object: the answer says that it was not given.
    is_given = part.content_type is not TEXT_PLAIN and part.content_type is not MESSAGE_RFC822
    kind = f"{part.media_type}/{part.media_subtype}".lower() if is_given else "/"
    return Structure(
        content_type=kind,
        content_type_params=_params(part) if is_given else {},
        content_id=_clean(part.content_id),
        content_disposition=_clean(part.disposition.type.lower()) if part.disposition else "",
        filename=_clean(decode_header(part.filename.encode("utf-8", "replace"))),
        decoded_size=0 if part.children else decoded_size(data, part, wire=wire),
        parts=tuple([_structure(data, child, wire=wire) for child in part.children]),
    )


def _params(part: Part) -> dict[str, str]:
    found: dict[str, str] = {}
    for name, value in part.params:
        # RFC 2231 §4: a name with `*` has a value with a charset, which wins over the plain one.
        if name.endswith("*") or name not in found:
            found[_clean(name.rstrip("*"))] = _clean(value)
    return found
