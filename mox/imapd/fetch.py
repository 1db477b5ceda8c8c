"""FETCH and UID FETCH (RFC 9051 §6.4.5, RFC 3501 §6.4.5, RFC 7162 §3.1.4 and §3.2.6)."""

from __future__ import annotations

from collections.abc import Sequence
from typing import TYPE_CHECKING

from mox.imap import codes, fetchresponse, responses
from mox.imap.fetchatt import FetchAttribute, Plain
from mox.imap.sequence import Slice, merge_ranges, slices_in, uids_at
from mox.imapd.answer import Done, Refusal, bad
from mox.imapd.blocks import Block, blocks
from mox.imapd.bodies import needs_octets, sets_seen
from mox.imapd.columns import Columns
from mox.imapd.flatfetch import flat_lines, is_flat
from mox.imapd.octets import OctetItems
from mox.imapd.pace import Pace
from mox.imapd.ranges import common, common_slices, within, without
from mox.imapd.selected import account_of, slices_of, view_of
from mox.store.errors import HistoryLost
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
    from mox.store.account import Account

# Messages whose lines are made in one go.
_BLOCK = 1000
_OVERVIEW_BLOCK = 500
_OCTETS_BLOCK = 64

_SEEN = int(Flag.SEEN)


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
    return fetch.complete()


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
        octet_items = [item for item in self._items if needs_octets(item)]
        self._index_items = [
            item for item in self._items if isinstance(item, Plain) and not needs_octets(item)
        ]
        self._octets: OctetItems | None = None
        if octet_items:
            self._octets = OctetItems(
                session, self._account, self._view, octet_items, self._index_items
            )
        self._marks = not self._view.read_only and any(map(sets_seen, self._items))
        self._missing = 0

    def complete(self) -> Done:
        """How the command ends."""
        missing, octets = self._missing, self._octets
        if octets is not None:
            if octets.undecodable:
                raise Refusal("a part has an encoding that is not known", codes.UNKNOWN_CTE)
            if octets.composite:
                raise Refusal("binary content exists for parts without parts only")
            missing += octets.missing
        if missing:
            # RFC 9051 §7.1
            return Done("fetch done, some messages are gone", codes.EXPUNGEISSUED)
        return Done("fetch done")

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
        if self._octets is None and self._since is None and self._answer_flat(slices, pace):
            return
        columns = Columns(
            self._account,
            self._view.mailbox_id,
            self._index_items,
            flags=self._view.flag_texts,
            recent_from=self._recent_from,
            end=b")\r\n" if self._octets is None else b"",
            utf8=self._session.state.utf8,
            pace=pace,
            verb=b"UIDFETCH" if self._uidonly else b"FETCH",
        )
        size = _OVERVIEW_BLOCK if columns.is_large else _BLOCK
        if self._octets is not None:
            size = _OCTETS_BLOCK
        for block in blocks(self._account, self._view, slices, size):
            self._missing += len(block.missing)
            if self._octets is not None:
                self._write_octets(block, columns, self._octets, pace)
            else:
                numbers, messages = self._after_since(block)
                self._session.write(b"".join(columns.rows(numbers, messages)[1]))
            pace()

    def _answer_flat(self, slices: list[Slice], pace: Pace) -> bool:
        """The same for items of fixed size of many messages; false when it is not that."""
        view = self._view
        wanted = sum(stop - start for start, stop in slices)
        if not is_flat(self._index_items, wanted, view.exists):
            return False
        columns = self._account.columns(view.mailbox_id)
        if columns.uids != view.uids:
            return False
        lines = flat_lines(
            columns,
            self._index_items,
            slices,
            view.flag_texts,
            recent_from=self._recent_from,
            uidonly=self._uidonly,
        )
        for some in lines:
            self._session.write(some)
            pace()
        return True

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

    def _write_octets(self, block: Block, columns: Columns, octets: OctetItems, pace: Pace) -> None:
        numbers, messages = self._after_since(block)
        seen: dict[int, bytes] = {}
        if self._marks:
            messages, seen = self._mark(messages)
        present, starts = columns.rows(numbers, messages)
        self._missing += len(messages) - len(present)
        octets.write(starts, present, seen, pace)
        octets.write_expunged(block.missing)

    def _mark(self, messages: list[MessageTuple]) -> tuple[list[MessageTuple], dict[int, bytes]]:
        r"""Set \Seen where it is missing; the new records, and what to add to their responses.

        RFC 9051 §6.4.5: if this changes flags, they are included in the FETCH response.
        """
        unseen = [message[M_UID] for message in messages if not message[M_FLAGS] & _SEEN]
        if not unseen:
            return messages, {}
        view = self._view
        stored = self._account.store_flags(view.mailbox_id, unseen, FlagOp.ADD, Flag.SEEN)
        view.note_own(stored.modseq)
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
