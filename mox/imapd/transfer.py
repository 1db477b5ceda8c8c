"""COPY, MOVE and EXPUNGE, with their UID forms (RFC 9051 §6.4.3, §6.4.7, §6.4.8, §6.4.9)."""

from __future__ import annotations

from typing import TYPE_CHECKING

from mox.imap import codes, responses
from mox.imapd.answer import Done, Refusal
from mox.imapd.selected import account_of, known_uids, uids_of, view_of, writable_view

if TYPE_CHECKING:
    from array import array

    from mox.imap import commands
    from mox.imapd.session import Session
    from mox.imapd.view import View
    from mox.store.model import Copied, Mailbox


def _destination(session: Session, name: str) -> Mailbox:
    mailbox = account_of(session).mailbox(name)
    if mailbox is None:
        # RFC 9051 §6.4.7: never created unasked; the client may do so and try again.
        raise Refusal("no such mailbox", codes.TRYCREATE)
    return mailbox


def _copyuid(copied: Copied) -> bytes:
    return codes.copyuid(copied.uidvalidity, copied.source_uids, copied.dest_uids)


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
    copied = account.copy(view.mailbox_id, uids, target.id, quota, marks)
    _note_own(session, view, copied, target)
    if not copied.source_uids:
        return Done("messages are gone", codes.EXPUNGEISSUED)
    return Done("copied", _copyuid(copied))


def cmd_move(session: Session, command: commands.Move) -> Done:
    view = writable_view(session)
    uids: array[int] = uids_of(view, command.messages, uid=command.uid)
    target = _destination(session, command.mailbox)
    if not uids:
        return Done("nothing to move")
    account = account_of(session)
    moved = account.move(view.mailbox_id, uids, target.id, session.service.marks(account.name))
    _note_own(session, view, moved, target)
    if not moved.source_uids:
        return Done("messages are gone", codes.EXPUNGEISSUED)
    # RFC 6851 §4.3: COPYUID comes before the removals, which end-of-command updates tell.
    session.write(responses.untagged("OK", "moved", _copyuid(moved)))
    return Done("move done", _highest_modseq(session, moved.modseq))


def _note_own(session: Session, view: View, copied: Copied, target: Mailbox) -> None:
    # Within the mailbox, the client has to be told of flags that it did not give.
    is_marked = session.service.marks_what_enters(account_of(session).name, target)
    if copied.modseq and not (is_marked and target.id == view.mailbox_id):
        view.own.append(copied.modseq)


def cmd_expunge(session: Session, command: commands.Expunge) -> Done:
    view = writable_view(session)
    account = account_of(session)
    if command.uids is None:
        expunged = account.expunge(view.mailbox_id, known_uids(session, view))
    else:
        expunged = account.expunge(view.mailbox_id, uids_of(view, command.uids, uid=True))
    return Done("expunged", _highest_modseq(session, expunged.modseq))


def _highest_modseq(session: Session, modseq: int) -> bytes:
    """RFC 7162 §3.2.7 and §3.2.9: a client that resynchronises is told where it now stands."""
    if not modseq or not session.state.qresync:
        return b""
    return codes.highestmodseq(modseq)
