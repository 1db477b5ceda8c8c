"""LIST and STATUS responses for a mailbox of the store."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import TYPE_CHECKING

from mox.imap import responses
from mox.imap.commands import StatusItem
from mox.imapd.objectids import mailbox_id
from mox.imapd.selected import account_of

if TYPE_CHECKING:
    from mox.imapd.session import Session
    from mox.store.model import Mailbox


def list_line(session: Session, mailbox: Mailbox, *, oldname: str | None = None) -> bytes:
    """The LIST line that describes a mailbox to a client that did not ask."""
    attributes = ["\\HasChildren" if mailbox.has_children else "\\HasNoChildren"]
    if mailbox.subscribed:
        attributes.append("\\Subscribed")
    attributes += mailbox.special_use
    return responses.list_line(mailbox.name, attributes, oldname=oldname, utf8=session.state.utf8)


def status_line(session: Session, mailbox: Mailbox, items: Sequence[StatusItem]) -> bytes:
    """The STATUS response for a mailbox."""
    values = [(item, _status_value(session, mailbox, item)) for item in items]
    return responses.status(mailbox.name, values, utf8=session.state.utf8)


def _status_value(session: Session, mailbox: Mailbox, item: StatusItem) -> int | str:
    match item:
        case StatusItem.MAILBOXID:
            return f"({mailbox_id(mailbox)})"
        case StatusItem.RECENT:
            # RFC 3501 §6.3.10; nothing is recent to a client of IMAP4rev2.
            if session.state.rev2 or mailbox.recent_from >= mailbox.uidnext:
                return 0
            found = account_of(session).scan(mailbox.id, mailbox.recent_from)
            return sum(1 for _ in found)
        case StatusItem.APPENDLIMIT:
            return session.service.append_limit(session.conn.listen.listener)
        case StatusItem.HIGHESTMODSEQ:
            return max(mailbox.modseq, 1)
        case _:
            return _COUNTERS[item](mailbox)


_COUNTERS: dict[StatusItem, Callable[[Mailbox], int]] = {
    StatusItem.MESSAGES: lambda mailbox: mailbox.messages,
    StatusItem.UIDNEXT: lambda mailbox: mailbox.uidnext,
    StatusItem.UIDVALIDITY: lambda mailbox: mailbox.uidvalidity,
    StatusItem.UNSEEN: lambda mailbox: mailbox.unseen,
    StatusItem.DELETED: lambda mailbox: mailbox.deleted,
    StatusItem.SIZE: lambda mailbox: mailbox.size,
    StatusItem.DELETED_STORAGE: lambda mailbox: mailbox.deleted_size,
}
