"""COPY, MOVE and EXPUNGE, with their UID forms (RFC 9051 §6.4.3, §6.4.7, §6.4.8, §6.4.9).

Many messages are taken piece by piece, so that others can write in between.
"""

from __future__ import annotations

from array import array
from collections.abc import Callable, Iterator
from typing import TYPE_CHECKING

from mox.imap import codes, responses
from mox.imapd import progress
from mox.imapd.answer import Done, Refusal
from mox.imapd.progress import Progress
from mox.imapd.selected import account_of, known_uids, uids_of, view_of, writable_view
from mox.store.model import M_FLAGS, M_UID, Flag

if TYPE_CHECKING:
    from mox.imap import commands
    from mox.imapd.session import Session
    from mox.imapd.view import View
    from mox.store.model import Copied, Mailbox

_DELETED = int(Flag.DELETED)


def _destination(session: Session, name: str) -> Mailbox:
    mailbox = account_of(session).mailbox(name)
    if mailbox is None:
        # RFC 9051 §6.4.7: never created unasked; the client may do so and try again.
        raise Refusal("no such mailbox", codes.TRYCREATE)
    return mailbox


class _Transfer:
    """A COPY or MOVE under way: what has got where so far."""

    def __init__(self, session: Session, view: View, target: Mailbox) -> None:
        self._session = session
        self._view = view
        self._target = target
        self._uidvalidity = 0
        self.sources: list[int] = []
        self.copies: list[int] = []
        self.modseq = 0

    def run(
        self,
        tag: str,
        uids: array[int],
        done: Callable[[Iterator[array[int]]], Iterator[Copied]],
    ) -> None:
        """Follow what has been `done` with each piece."""
        for copied in done(Progress(self._session, tag, len(uids)).pieces(uids)):
            self.sources += copied.source_uids
            self.copies += copied.dest_uids
            self._uidvalidity = copied.uidvalidity
            self.modseq = copied.modseq or self.modseq
            self._note_own(copied)

    def _note_own(self, copied: Copied) -> None:
        # Within the mailbox, the client has to be told of flags that it did not give.
        service, account = self._session.service, account_of(self._session)
        is_marked = service.marks_what_enters(account.name, self._target)
        if copied.modseq and not (is_marked and self._target.id == self._view.mailbox_id):
            self._view.note_own(copied.modseq)

    @property
    def copyuid(self) -> bytes:
        return codes.copyuid(self._uidvalidity, self.sources, self.copies)


def cmd_copy(session: Session, command: commands.Copy) -> Done:
    view = view_of(session)
    uids = uids_of(view, command.messages, uid=command.uid)
    target = _destination(session, command.mailbox)
    if not uids:
        # RFC 9051 §6.4.9: a UID command without matching messages is not an error.
        return Done("nothing to copy")
    account = account_of(session)
    quota = session.service.quota(account.name)
    marks = session.service.marks(account.name)
    transfer = _Transfer(session, view, target)
    try:
        transfer.run(
            command.tag,
            uids,
            lambda pieces: (
                account.copy(view.mailbox_id, piece, target.id, quota, marks) for piece in pieces
            ),
        )
    except Exception:
        # RFC 9051 §6.4.7: if not all can be copied, none are.
        if transfer.copies:
            account.remove(target.id, transfer.copies)
        raise
    if not transfer.sources:
        return Done("messages are gone", codes.EXPUNGEISSUED)
    return Done("copied", transfer.copyuid)


def cmd_move(session: Session, command: commands.Move) -> Done:
    view = writable_view(session)
    uids = uids_of(view, command.messages, uid=command.uid)
    target = _destination(session, command.mailbox)
    if not uids:
        return Done("nothing to move")
    account = account_of(session)
    marks = session.service.marks(account.name)
    transfer = _Transfer(session, view, target)
    try:
        transfer.run(
            command.tag,
            uids,
            lambda pieces: account.move_pieces(view.mailbox_id, pieces, target.id, marks),
        )
    finally:
        if transfer.sources:
            # RFC 6851 §4.3: COPYUID comes before the removals, which end-of-command updates
            # tell. RFC 6851 §3.3: each message moves or stays, also where not all could.
            session.write(responses.untagged("OK", "moved", transfer.copyuid))
    if not transfer.sources:
        return Done("messages are gone", codes.EXPUNGEISSUED)
    return Done("move done", _highest_modseq(session, transfer.modseq))


def cmd_expunge(session: Session, command: commands.Expunge) -> Done:
    view = writable_view(session)
    if command.uids is None:
        modseq = expunge_deleted(session, view, command.tag)
    else:
        modseq = _expunge(session, view, command.tag, uids_of(view, command.uids, uid=True))
    return Done("expunged", _highest_modseq(session, modseq))


def expunge_deleted(session: Session, view: View, tag: str) -> int:
    """Remove all messages with \\Deleted that the client knows; the last modseq, 0 for none."""
    account = account_of(session)
    mailbox = account.mailbox_by_id(view.mailbox_id)
    known = known_uids(session, view)
    if mailbox is None or mailbox.deleted <= progress.PIECE:
        return account.expunge(view.mailbox_id, known).modseq
    deleted = array("I", [m[M_UID] for m in account.scan(view.mailbox_id) if m[M_FLAGS] & _DELETED])
    if known is not None:
        wanted = set(known)
        deleted = array("I", [uid for uid in deleted if uid in wanted])
    return _expunge(session, view, tag, deleted)


def _expunge(session: Session, view: View, tag: str, uids: array[int]) -> int:
    pieces = Progress(session, tag, len(uids)).pieces(uids)
    modseq = 0
    for expunged in account_of(session).expunge_pieces(view.mailbox_id, pieces):
        modseq = expunged.modseq or modseq
    return modseq


def _highest_modseq(session: Session, modseq: int) -> bytes:
    """RFC 7162 §3.2.7 and §3.2.9: a client that resynchronises is told where it now stands."""
    if not modseq or not session.state.qresync:
        return b""
    return codes.highestmodseq(modseq)
