"""FETCH and UID FETCH (RFC 9051 §6.4.5, RFC 3501 §6.4.5, RFC 7162 §3.1.4 and §3.2.6)."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Sequence
from typing import TYPE_CHECKING

from mox.imap import codes, fetchresponse, responses
from mox.imap.fetchatt import FetchAttribute, Plain
from mox.imap.sequence import Slice, merge_ranges, slices_in, uids_at
from mox.imapd.answer import Done, Refusal, bad
from mox.imapd.blocks import Block, blocks
from mox.imapd.bodies import Message, is_slice, needs_octets, read_message, render, sets_seen
from mox.imapd.columns import Columns
from mox.imapd.pace import Pace
from mox.imapd.ranges import common, common_slices, within, without
from mox.imapd.selected import account_of, slices_of, view_of
from mox.message import NotALeaf, UnknownEncoding
from mox.store.errors import HistoryLost, MessageGone
from mox.store.model import (
    FLAG_MASK,
    M_FLAGS,
    M_KEYWORDS,
    M_MODSEQ,
    M_UID,
    Flag,
    FlagOp,
    MessageTuple,
)

if TYPE_CHECKING:
    from mox.imap import commands
    from mox.imapd.session import Session
    from mox.imapd.view import View
    from mox.logfmt import Kind
    from mox.store.account import Account

# Messages whose lines are made in one go.
_BLOCK = 1000
_OVERVIEW_BLOCK = 500
_OCTETS_BLOCK = 64
# Octets of a message that stays at hand for a client that takes it slice by slice.
_KEEP_FROM = 64 << 10

_SEEN = int(Flag.SEEN)
# Items that can still be given for a message that another session has expunged.
_LASTING = frozenset({Plain.UID, Plain.FLAGS, Plain.SIZE, Plain.ENVELOPE, Plain.BODYSTRUCTURE})


def cmd_fetch(session: Session, command: commands.Fetch) -> Done:
    if command.vanished and not session.state.qresync:
        # RFC 7162 §3.2.6
        raise bad("VANISHED needs QRESYNC to be enabled")
    if command.changed_since is not None or Plain.MODSEQ in command.attributes:
        session.use_condstore()
    return fetch_messages(session, command)


def fetch_messages(session: Session, command: commands.Fetch) -> Done:
    """Answer a FETCH, or what a SELECT that resynchronises asks for."""
    slices = slices_of(view_of(session), command.messages, uid=command.uid)
    if command.window is not None:
        # RFC 9394 §3.4: first the window, then what has changed within it.
        slices = within(slices, command.window)
    fetch = _Fetch(session, command)
    if command.changed_since is not None:
        if command.vanished:
            fetch.tell_vanished(command.changed_since)
        slices = fetch.changed(slices, command.changed_since)
    fetch.answer(slices)
    if fetch.undecodable:
        raise Refusal("a part has an encoding that is not known", codes.UNKNOWN_CTE)
    if fetch.composite:
        raise Refusal("binary content exists for parts without parts only")
    if fetch.missing:
        # RFC 9051 §7.1
        return Done("fetch done, some messages are gone", codes.EXPUNGEISSUED)
    return Done("fetch done")


class _Fetch:
    """One FETCH command being answered."""

    def __init__(self, session: Session, command: commands.Fetch) -> None:
        self._session = session
        self._account: Account = account_of(session)
        self._view: View = view_of(session)
        self._since = command.changed_since
        self._uidonly = session.state.uidonly
        self._set = command.messages
        self._items = _with_implied(session, command)
        self._octet_items = [item for item in self._items if needs_octets(item)]
        self._index_items = [
            item for item in self._items if isinstance(item, Plain) and not needs_octets(item)
        ]
        self._marks = not self._view.read_only and any(map(sets_seen, self._items))
        self.missing = 0
        self.undecodable = False
        self.composite = False

    # ---- which messages

    def tell_vanished(self, since: int) -> None:
        """RFC 7162 §3.2.6: uids of the set that were removed after the client's modseq."""
        view = self._view
        last = view.uidnext - 1
        gone = common(self._set.resolved(last), self._account.vanished(view.mailbox_id, since))
        # What this session still numbers is told when its number may go.
        gone = without(gone, uids_at(slices_in(gone, view.uids), view.uids))
        if gone:
            self._session.write(responses.vanished(gone, earlier=True))

    def changed(self, slices: list[Slice], since: int) -> list[Slice]:
        """The part of `slices` that the change log names; all where it does not reach back."""
        mailbox_id = self._view.mailbox_id
        try:
            log = self._account.changes(since)
        except HistoryLost:
            return slices
        ranges = [pair for each in log if each.mailbox_id == mailbox_id for pair in each.uids]
        named = slices_in(merge_ranges(ranges), self._view.uids)
        return common_slices(slices, named)

    # ---- answering

    def answer(self, slices: list[Slice]) -> None:
        """Write the responses, block by block, letting other connections run in between."""
        pace = Pace()
        columns = Columns(
            self._account,
            self._view.mailbox_id,
            self._index_items,
            flags=self._view.flag_texts,
            recent_from=self._recent_from,
            end=b"" if self._octet_items else b")\r\n",
            utf8=self._session.state.utf8,
            pace=pace,
            verb=b"UIDFETCH" if self._uidonly else b"FETCH",
        )
        size = _OVERVIEW_BLOCK if columns.is_large else _BLOCK
        if self._octet_items:
            size = _OCTETS_BLOCK
        for block in blocks(self._account, self._view, slices, size):
            self.missing += len(block.missing)
            if self._octet_items:
                self._write_octets(block, columns, pace)
            else:
                numbers, messages = self._after_since(block)
                self._session.write(b"".join(columns.rows(numbers, messages)[1]))
            pace()

    @property
    def _recent_from(self) -> int:
        return (1 << 32) if self._session.state.rev2 else self._view.recent_from

    def _after_since(self, block: Block) -> tuple[Sequence[int], list[MessageTuple]]:
        since = self._since
        numbers = block.numbers
        if self._uidonly:
            numbers = [message[M_UID] for message in block.messages]
        if since is None:
            return numbers, block.messages
        rows = [
            (number, message)
            for number, message in zip(numbers, block.messages, strict=True)
            if message[M_MODSEQ] > since
        ]
        return [number for number, _ in rows], [message for _, message in rows]

    def _write_octets(self, block: Block, columns: Columns, pace: Pace) -> None:
        numbers, messages = self._after_since(block)
        seen: dict[int, bytes] = {}
        if self._marks:
            messages, seen = self._mark(messages)
        present, starts = columns.rows(numbers, messages)
        self.missing += len(messages) - len(present)
        for start, message in zip(starts, present, strict=True):
            uid = message[M_UID]
            self._write_message(start, uid, seen.get(uid, b""))
            pace()
        for uid in block.missing:
            self._write_expunged(uid)

    def _write_message(self, start: bytes, uid: int, end: bytes) -> None:
        """One response: what the index gave, the items of octets, and new flags."""
        try:
            message = self._message(uid)
        except MessageGone:
            self.missing += 1
            return
        session = self._session
        session.unfinished = True
        session.write(start)
        space = b" " if self._index_items else b""
        for pieces in self._rendered(message, self._octet_items):
            session.write(space)
            kind: Kind = "line"
            for piece in pieces:
                session.write(piece, kind)
                kind = "data"
            space = b" "
        session.write(end + fetchresponse.fetch_end())
        session.unfinished = False

    def _rendered(
        self, message: Message, items: Sequence[FetchAttribute]
    ) -> Iterator[Iterable[bytes]]:
        for item in items:
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
        if len(message.stored.data) >= _KEEP_FROM and any(map(is_slice, self._octet_items)):
            session.cached = message
        return message

    def _write_expunged(self, uid: int) -> None:
        """A message that another session removed, while this client still numbers it."""
        if not _LASTING.issuperset(self._index_items):
            return
        try:
            message = self._message(uid)
        except MessageGone:
            return
        known = {
            Plain.UID: fetchresponse.uid(uid),
            Plain.FLAGS: fetchresponse.flags(("\\Deleted",)),
        }
        parts = [known.get(item) or b"".join(render(message, item)) for item in self._index_items]
        parts += [b"".join(pieces) for pieces in self._rendered(message, self._octet_items)]
        if self._uidonly:
            line = fetchresponse.uidfetch(uid, parts)
        else:
            line = fetchresponse.fetch(self._view.sequence_of(uid), parts)
        self._session.write(line, "data")

    def _mark(self, messages: list[MessageTuple]) -> tuple[list[MessageTuple], dict[int, bytes]]:
        r"""Set \Seen where it is missing; the new records, and what to add to their responses.

        RFC 9051 §6.4.5: if this changes flags, they are included in the FETCH response.
        """
        unseen = [message[M_UID] for message in messages if not message[M_FLAGS] & _SEEN]
        if not unseen:
            return messages, {}
        view = self._view
        stored = self._account.store_flags(view.mailbox_id, unseen, FlagOp.ADD, Flag.SEEN)
        view.own.append(stored.modseq)
        now = {uid: (flags, bits, modseq) for uid, flags, bits, modseq in stored.changed}
        marked = [_with_flags(message, now.get(message[M_UID])) for message in messages]
        shown = [
            item
            for item in (Plain.FLAGS, *((Plain.MODSEQ,) if self._session.state.condstore else ()))
            if item not in self._index_items
        ]
        return marked, {
            message[M_UID]: b"".join([b" " + self._flag_item(item, message) for item in shown])
            for message in marked
            if message[M_UID] in now
        }

    def _flag_item(self, item: Plain, message: MessageTuple) -> bytes:
        if item is Plain.MODSEQ:
            return fetchresponse.modseq(message[M_MODSEQ])
        return b"FLAGS " + self._view.flag_texts.column([message], self._recent_from)[0]


def _with_implied(session: Session, command: commands.Fetch) -> list[FetchAttribute]:
    """The items asked for and those that must be there without being asked for."""
    items = list(command.attributes)
    # RFC 7162 §3.1.4.1 (CHANGEDSINCE), §3.2.4 (UID FETCH under QRESYNC)
    wants_modseq = command.changed_since is not None or (command.uid and session.state.qresync)
    if wants_modseq and Plain.MODSEQ not in items:
        items.append(Plain.MODSEQ)
    # RFC 9051 §6.4.9: UID FETCH tells the uid whether asked or not.
    # RFC 9586 §3.3: UIDFETCH begins with it.
    tells_uid = (command.uid or session.state.qresync) and not session.state.uidonly
    if tells_uid and Plain.UID not in items:
        items.insert(0, Plain.UID)
    return items


def _with_flags(message: MessageTuple, now: tuple[int, int, int] | None) -> MessageTuple:
    if now is None:
        return message
    flags, bits, modseq = now
    changed = list(message)
    changed[M_FLAGS] = flags | message[M_FLAGS] & ~FLAG_MASK
    changed[M_KEYWORDS] = bits
    changed[M_MODSEQ] = modseq
    return tuple(changed)  # type: ignore[return-value]  # same length as before
