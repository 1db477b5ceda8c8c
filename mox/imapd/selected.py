"""What handlers of the selected state begin with: the mailbox, and the messages that are meant."""

from __future__ import annotations

from array import array
from typing import TYPE_CHECKING

from mox.imap.sequence import SequenceSet, Slice, ranges_of, slices_in, uids_at
from mox.imapd.answer import Refusal, bad, no_such_mailbox

if TYPE_CHECKING:
    from mox.imapd.session import Session
    from mox.imapd.view import View
    from mox.store.account import Account


def account_of(session: Session) -> Account:
    """The account; the command table lets no command that needs it through before login."""
    assert session.account is not None, "checked by the command loop"
    return session.account


def view_of(session: Session) -> View:
    """The selected mailbox. Refuses when it was deleted meanwhile."""
    view = session.view
    assert view is not None, "checked by the command loop"
    if view.gone:
        raise no_such_mailbox()
    return view


def writable_view(session: Session) -> View:
    """The selected mailbox, for commands that change it."""
    view = view_of(session)
    if view.read_only:
        # RFC 9051 §6.3.3: no changes to a mailbox opened with EXAMINE.
        raise Refusal("mailbox was opened read-only")
    return view


def slices_of(view: View, messages: SequenceSet, *, uid: bool) -> list[Slice]:
    """Positions in view.uids that a command's set names, ascending."""
    if messages.saved:
        # RFC 9051 §6.4.4.1: "$" stands for messages, whatever the command numbers them by.
        return slices_in(ranges_of(view.saved), view.uids)
    if uid:
        return messages.slices_of_uids(view.uids)
    if messages.exceeds(view.exists):
        raise bad("no such message sequence number")
    return messages.slices_of_numbers(view.exists)


def uids_of(view: View, messages: SequenceSet, *, uid: bool) -> array[int]:
    """The uids that a command's set names, ascending."""
    return uids_at(slices_of(view, messages, uid=uid), view.uids)


def known_uids(session: Session, view: View) -> list[int] | None:
    """The messages that the client may remove: those it was told of. None: that is all."""
    mailbox = account_of(session).mailbox_by_id(view.mailbox_id)
    if mailbox is not None and mailbox.uidnext == view.uidnext:
        return None
    return list(view.uids)
