"""STORE and UID STORE (RFC 9051 §6.4.6, RFC 7162 §3.1.3)."""

from __future__ import annotations

from array import array
from typing import TYPE_CHECKING

from mox.imap import codes, fetchresponse
from mox.imap.commands import StoreMode
from mox.imapd.answer import Done
from mox.imapd.flagtext import KEYWORD_SHIFT, RECENT, split_flags
from mox.imapd.pace import Pace
from mox.imapd.progress import Progress
from mox.imapd.selected import account_of, uids_of, writable_view
from mox.imapd.updates import flags_lines
from mox.store.model import FLAG_MASK, M_FLAGS, M_KEYWORDS, M_MODSEQ, M_UID, FlagOp

if TYPE_CHECKING:
    from mox.imap import commands
    from mox.imapd.session import Session
    from mox.imapd.view import View
    from mox.store.model import Stored

_OPS = {
    StoreMode.REPLACE: FlagOp.REPLACE,
    StoreMode.ADD: FlagOp.ADD,
    StoreMode.REMOVE: FlagOp.REMOVE,
}


def cmd_store(session: Session, command: commands.Store) -> Done:
    view = writable_view(session)
    uids = uids_of(view, command.messages, uid=command.uid)
    if command.unchanged_since is not None:
        session.use_condstore()
    shown = _Shown(session, view, with_flags=not command.silent, with_uid=command.uid)
    modified: list[int] = []
    found = 0
    for piece in Progress(session, command.tag, len(uids)).pieces(uids):
        stored = _store(session, view, piece, command)
        _tell(session, view, command, stored, shown)
        modified += stored.modified
        found += len(stored.changed)
    if modified:
        return _modified(session, view, command, modified, shown)
    if found < len(uids):
        return Done("store done, some messages are gone", codes.EXPUNGEISSUED)
    return Done("store done")


def _tell(
    session: Session, view: View, command: commands.Store, stored: Stored, shown: _Shown
) -> None:
    if stored.keywords != view.keywords:
        # RFC 9051 §7.3.5: the client hears of a new keyword before it sees it.
        view.keywords = stored.keywords
        for line in flags_lines(view):
            session.write(line)
    if not command.silent:
        shown.write(stored.changed)
    elif session.state.condstore:
        # RFC 7162 §3.1.3: .SILENT still tells the new modseq.
        shown.write([each for each in stored.changed if each[3] == stored.modseq])


def _store(session: Session, view: View, uids: array[int], command: commands.Store) -> Stored:
    flags, keywords = split_flags(command.flags)
    stored = account_of(session).store_flags(
        view.mailbox_id, uids, _OPS[command.mode], flags, keywords, command.unchanged_since
    )
    if stored.modseq:
        view.note_own(stored.modseq)
    return stored


def _modified(
    session: Session, view: View, command: commands.Store, modified: list[int], shown: _Shown
) -> Done:
    """RFC 7162 §3.1.3: tell which messages were left alone, and how they are now."""
    messages = account_of(session).select(view.mailbox_id, modified)
    shown.with_flags = True
    shown.write([(m[M_UID], m[M_FLAGS] & FLAG_MASK, m[M_KEYWORDS], m[M_MODSEQ]) for m in messages])
    numbers = modified if command.uid else [view.sequence_of(uid) for uid in modified]
    return Done("some messages had changed", codes.modified(numbers))


class _Shown:
    """FETCH responses that tell the result of a STORE."""

    __slots__ = ("_session", "_view", "_with_uid", "with_flags")

    def __init__(self, session: Session, view: View, *, with_flags: bool, with_uid: bool) -> None:
        self._session = session
        self._view = view
        state = session.state
        self._with_uid = (with_uid or state.qresync or state.condstore) and not state.uidonly
        self.with_flags = with_flags

    def write(self, messages: list[tuple[int, int, int, int]]) -> None:
        """Tell of (uid, flags, keyword bits, modseq) each."""
        session, view = self._session, self._view
        recent_from = (1 << 32) if session.state.rev2 else view.recent_from
        pace = Pace()
        for uid, flags, bits, modseq in messages:
            items = [fetchresponse.uid(uid)] if self._with_uid else []
            if self.with_flags:
                recent = RECENT if uid >= recent_from else 0
                items.append(b"FLAGS " + view.flag_texts[flags | recent | bits << KEYWORD_SHIFT])
            if session.state.condstore:
                items.append(fetchresponse.modseq(modseq))
            if session.state.uidonly:
                session.write(fetchresponse.uidfetch(uid, items))
            else:
                session.write(fetchresponse.fetch(view.sequence_of(uid), items))
            pace()
