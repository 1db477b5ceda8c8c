"""FETCH items that need a message's octets: BODY[…], BINARY[…], BINARY.SIZE[…] and BODY.

RFC 9051 §6.4.5 and §7.5.2, RFC 3501 §6.4.5 (RFC822.…), RFC 3516. Only items that name a part
need the message to be parsed.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from dataclasses import replace
from typing import TYPE_CHECKING, cast

from mox import message as mime
from mox.imap import fetchresponse
from mox.imap.fetchatt import BinarySection, BinarySize, BodySection, Plain, Section
from mox.message.fields import to_wire

if TYPE_CHECKING:
    from mox.imap.fetchatt import FetchAttribute, Partial
    from mox.message import Part
    from mox.message.sections import What
    from mox.store.account import Account
    from mox.store.model import MailboxId, StoredMessage


# Messages of so many octets are not held in wire form as a whole.
_LARGE = 1 << 20
_STEP = 64 << 10
_WHOLE = Section()


class Message:
    """One message's octets, and what has been found out about them."""

    __slots__ = ("_content", "_part", "_section", "stored", "uid")

    def __init__(self, uid: int, stored: StoredMessage) -> None:
        self.uid = uid
        self.stored = stored
        self._part: Part | None = None
        self._section: Section | None = None
        self._content: bytes | None = None

    @property
    def part(self) -> Part:
        """The message's structure; parsed at first use."""
        if self._part is None:
            self._part = mime.parse(self.stored.data, wire=self.stored.wire)
        return self._part

    @property
    def is_large(self) -> bool:
        return len(self.stored.data) >= _LARGE

    @property
    def size(self) -> int:
        """Octets in wire form."""
        data = self.stored.data
        return len(data) if self.stored.wire else len(data) + data.count(b"\n")

    def section(self, wanted: Section) -> bytes | None:
        """The octets of BODY[wanted]; the last answer is kept for clients that fetch slices."""
        if self._section != wanted:
            spec = mime.Section(wanted.part, cast("What", wanted.what), wanted.fields)
            root = self.part if spec.part else None
            stored = self.stored
            self._content = mime.section(stored.data, root, spec, wire=stored.wire)
            self._section = wanted
        return self._content

    def decoded(self, part: tuple[int, ...]) -> bytes | None:
        """The octets of BINARY[part]. Raises UnknownEncoding and NotALeaf."""
        return mime.decoded(self.stored.data, self.part, part, wire=self.stored.wire)


def read_message(account: Account, mailbox_id: MailboxId, uid: int) -> Message:
    """Read a message. Raises MessageGone."""
    return Message(uid, account.read(mailbox_id, uid))


def render(message: Message, item: FetchAttribute) -> Iterable[bytes]:
    """An item of a FETCH response, in pieces. Raises UnknownEncoding and NotALeaf."""
    match item:
        case BodySection(section, _, None, label) if message.is_large and section == _WHOLE:
            return _streamed(message, label)
        case BodySection(section, _, partial, label):
            content = cut(message.section(section), partial)
            if content is None:
                return [fetchresponse.body(label, None)]
            return [fetchresponse.body_start(label, len(content)), content]
        case BinarySection(part, _, partial, label):
            return [fetchresponse.binary(label, cut(message.decoded(part), partial))]
        case BinarySize(part, label):
            return [fetchresponse.binary_size(label, len(message.decoded(part) or b""))]
        case _:
            return [_structural(message, item)]


def _streamed(message: Message, label: bytes) -> Iterator[bytes]:
    """All of a large message, converted as it goes out: a client may take its time for it."""
    data, wire = message.stored.data, message.stored.wire
    yield fetchresponse.body_start(label, message.size)
    for start in range(0, len(data), _STEP):
        piece = data[start : start + _STEP]
        yield piece if wire else to_wire(piece)


def _structural(message: Message, item: Plain) -> bytes:
    """Items that the index has for messages that are still in it."""
    match item:
        case Plain.BODY:
            structure = mime.bodystructure(message.part, extensible=False)
            return fetchresponse.bodystructure(structure, extensible=False)
        case Plain.BODYSTRUCTURE:
            return fetchresponse.bodystructure(mime.bodystructure(message.part))
        case Plain.ENVELOPE:
            stored = message.stored
            return fetchresponse.envelope(
                mime.envelope(stored.data, message.part, wire=stored.wire)
            )
        case Plain.SIZE:
            return fetchresponse.size(message.size)
        case _:
            raise AssertionError(f"{item} does not follow from a message's octets")


def cut(content: bytes | None, partial: Partial | None) -> bytes | None:
    """RFC 9051 §6.4.5: <offset.count>; what begins behind the end is empty."""
    if content is None or partial is None:
        return content
    offset, count = partial
    return content[offset : offset + count]


def sets_seen(item: FetchAttribute) -> bool:
    """Whether fetching the item marks the message \\Seen."""
    return isinstance(item, BodySection | BinarySection) and not item.peek


def peeking(item: FetchAttribute) -> FetchAttribute:
    r"""The same item, without setting \Seen."""
    return replace(item, peek=True) if isinstance(item, BodySection | BinarySection) else item


def needs_octets(item: FetchAttribute) -> bool:
    """Whether the item is not answered from the index."""
    return not isinstance(item, Plain) or item is Plain.BODY


def is_slice(item: FetchAttribute) -> bool:
    """Whether the client takes a part's octets piece by piece."""
    return isinstance(item, BodySection | BinarySection) and item.partial is not None
