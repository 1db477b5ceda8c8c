"""The part of a FETCH that needs the messages' octets: reads them and writes the responses.

The items of the index come rendered (mox.imapd.columns); here a response gets its other items and
its end.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Sequence
from typing import TYPE_CHECKING, NamedTuple, cast

from mox.imap import fetchresponse
from mox.imap.fetchatt import BodySection, Plain
from mox.imapd.bodies import Message, cut, is_slice, read_message, render
from mox.message import NotALeaf, Section, UnknownEncoding, section
from mox.store.errors import MessageGone
from mox.store.model import M_UID

if TYPE_CHECKING:
    from mox.imap.fetchatt import FetchAttribute, Partial
    from mox.imapd.pace import Pace
    from mox.imapd.session import Session
    from mox.imapd.view import View
    from mox.logfmt import Kind
    from mox.message.sections import What
    from mox.store.account import Account
    from mox.store.model import MessageTuple, StoredMessage

# Octets of a message that stays at hand for a client that takes it slice by slice.
_KEEP_FROM = 64 << 10
# Items that can still be given for a message that another session has expunged.
_LASTING = frozenset({Plain.UID, Plain.FLAGS, Plain.SIZE, Plain.ENVELOPE, Plain.BODYSTRUCTURE})


class _Cut(NamedTuple):
    """A section of the message as a whole, for which it need not be parsed."""

    spec: Section
    partial: Partial | None
    label: bytes


class OctetItems:
    """Writes responses; counts messages that are `missing`, notes parts that cannot be given."""

    def __init__(
        self,
        session: Session,
        account: Account,
        view: View,
        items: Sequence[FetchAttribute],
        index_items: Sequence[Plain],
    ) -> None:
        self._session = session
        self._account = account
        self._view = view
        self._items = items
        self._index_items = index_items
        self._space = b" " if index_items else b""
        self._cuts = _cuts(items)
        self._head = bool(self._cuts) and all(
            each.spec.what.startswith("HEADER") for each in self._cuts
        )
        self.missing = 0
        self.undecodable = False
        self.composite = False

    def write(
        self,
        starts: Sequence[bytes],
        messages: Sequence[MessageTuple],
        ends: dict[int, bytes],
        pace: Pace,
    ) -> None:
        """Write a response for each message: its start, the octets, and what `ends` has for it."""
        if len(messages) == 1:
            uid = messages[0][M_UID]
            self._write_read(starts[0], uid, ends.get(uid, b""))
            return
        octets = self._account.read_many(self._view.mailbox_id, messages, head=self._head)
        for start, message, stored in zip(starts, messages, octets, strict=True):
            uid = message[M_UID]
            end = ends.get(uid, b"") if ends else b""
            if stored is None:
                self._write_read(start, uid, end)
            elif self._cuts:
                self._write_cuts(start, stored, end)
            else:
                self._write_rendered(start, Message(uid, stored), end)
            pace()

    def write_expunged(self, uids: Iterable[int]) -> None:
        """Messages that another session removed, while this client still numbers them."""
        if not _LASTING.issuperset(self._index_items):
            return
        for uid in uids:
            try:
                message = self._message(uid)
            except MessageGone:
                continue
            parts = list(self._lasting(uid, message))
            parts += [b"".join(pieces) for pieces in self._rendered(message)]
            if self._session.state.uidonly:
                line = fetchresponse.uidfetch(uid, parts)
            else:
                line = fetchresponse.fetch(self._view.sequence_of(uid), parts)
            self._session.write(line, "data")

    def _lasting(self, uid: int, message: Message) -> Iterator[bytes]:
        for item in self._index_items:
            if item is Plain.UID:
                yield fetchresponse.uid(uid)
            elif item is Plain.FLAGS:
                yield fetchresponse.flags(("\\Deleted",))
            else:
                yield b"".join(render(message, item))

    def _write_cuts(self, text: bytes, stored: StoredMessage, end: bytes) -> None:
        pieces: list[bytes] = []
        space, wire = self._space, stored.wire
        for spec, partial, label in self._cuts:
            content: bytes | None = stored.data
            if spec.what or not wire:
                content = section(stored.data, None, spec, wire=wire)
            if partial is not None:
                content = cut(content, partial)
            if content is None:
                text += space + fetchresponse.body(label, None)
            else:
                pieces += (text + space + fetchresponse.body_start(label, len(content)), content)
                text = b""
            space = b" "
        pieces.append(text + end + fetchresponse.fetch_end())
        self._session.write_in_turn(pieces)

    def _write_read(self, start: bytes, uid: int, end: bytes) -> None:
        try:
            message = self._message(uid)
        except MessageGone:
            self.missing += 1
            return
        self._write_rendered(start, message, end)

    def _write_rendered(self, start: bytes, message: Message, end: bytes) -> None:
        session = self._session
        session.unfinished = True
        session.write(start)
        space = self._space
        for pieces in self._rendered(message):
            session.write(space)
            kind: Kind = "line"
            for piece in pieces:
                session.write(piece, kind)
                kind = "data"
            space = b" "
        session.write(end + fetchresponse.fetch_end())
        session.unfinished = False

    def _rendered(self, message: Message) -> Iterator[Iterable[bytes]]:
        for item in self._items:
            try:
                yield render(message, item)
            except UnknownEncoding:
                self.undecodable = True
            except NotALeaf:
                self.composite = True

    def _message(self, uid: int) -> Message:
        session = self._session
        if session.cached is not None and session.cached.uid == uid:
            return session.cached
        session.cached = None
        message = read_message(self._account, self._view.mailbox_id, uid)
        if len(message.stored.data) >= _KEEP_FROM and any(map(is_slice, self._items)):
            session.cached = message
        return message


def _cuts(items: Sequence[FetchAttribute]) -> tuple[_Cut, ...]:
    """The items when all are of that kind."""
    found: list[_Cut] = []
    for item in items:
        if not isinstance(item, BodySection) or item.section.part:
            return ()
        wanted = item.section
        spec = Section((), cast("What", wanted.what), wanted.fields)
        found.append(_Cut(spec, item.partial, item.label))
    return tuple(found)
