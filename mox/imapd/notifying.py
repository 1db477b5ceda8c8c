"""NOTIFY (RFC 5465): telling of changes without being asked, also of mailboxes not selected.

The account's change log is read from where this session has read it last. ENABLE METADATA asks
for changed annotations in the same way (RFC 5464 §4.4.2).
"""

from __future__ import annotations

from typing import TYPE_CHECKING

from mox.imap import codes, responses
from mox.imap.commands import Fetch, StatusItem
from mox.imap.mailboxfilter import MailboxFilter, Scope, Surroundings
from mox.imap.notify import MESSAGE_EVENTS, Event, EventGroup, Interest
from mox.imap.sequence import SequenceSet
from mox.imapd import contexts
from mox.imapd.answer import Done, Refusal
from mox.imapd.bodies import peeking
from mox.imapd.describe import list_line, status_line
from mox.imapd.fetch import fetch_messages
from mox.imapd.pace import Pace
from mox.imapd.selected import account_of
from mox.imapd.updates import known_updates
from mox.store.errors import HistoryLost
from mox.store.model import ChangeKind

if TYPE_CHECKING:
    from mox.imap import notify
    from mox.imapd.session import Session
    from mox.imapd.view import View
    from mox.store.model import Change, Mailbox, MailboxId

_METADATA = frozenset({Event.MAILBOX_METADATA_CHANGE, Event.SERVER_METADATA_CHANGE})
# What ENABLE METADATA asks for.
_ENABLED_METADATA = Interest((EventGroup(MailboxFilter(Scope.PERSONAL), _METADATA),))

_MESSAGE_KINDS = {
    ChangeKind.ADDED: Event.MESSAGE_NEW,
    ChangeKind.EXPUNGED: Event.MESSAGE_EXPUNGE,
    ChangeKind.FLAGS: Event.FLAG_CHANGE,
}
_COUNTS = (StatusItem.MESSAGES, StatusItem.UIDNEXT, StatusItem.UNSEEN)
# RFC 5465 §5.1 to §5.3: what STATUS tells of each event.
_ITEMS = {
    Event.MESSAGE_NEW: _COUNTS,
    Event.MESSAGE_EXPUNGE: _COUNTS,
    Event.FLAG_CHANGE: (StatusItem.UIDVALIDITY, StatusItem.UNSEEN),
}
_ORDER = (
    StatusItem.MESSAGES,
    StatusItem.UIDNEXT,
    StatusItem.UIDVALIDITY,
    StatusItem.UNSEEN,
    StatusItem.HIGHESTMODSEQ,
)


def cmd_notify(session: Session, command: notify.Notify) -> Done:
    if command.unsupported:
        # RFC 5465 §8
        supported = [event.value for event in Event]
        raise Refusal("event is not supported", codes.badevent(supported))
    assert session.feed is not None, "logged in"
    session.heard = session.feed.advance()
    session.interest = Interest(command.groups)
    if command.status:
        _tell_status(session, session.interest)
    return Done("notify done")


def _tell_status(session: Session, interest: Interest) -> None:
    """RFC 5465 §3.1: STATUS of mailboxes whose messages are asked for, but the selected one."""
    given = surroundings(session)
    for mailbox in account_of(session).mailboxes():
        if session.view is not None and session.view.mailbox_id == mailbox.id:
            continue
        group = interest.of(mailbox.name, given)
        if group is not None and group.events & MESSAGE_EVENTS:
            items = {StatusItem.MESSAGES, StatusItem.UIDNEXT, StatusItem.UIDVALIDITY}
            if Event.FLAG_CHANGE in group.events or Event.MESSAGE_NEW in group.events:
                items.add(StatusItem.UNSEEN)
            _write_status(session, mailbox, items)


def _write_status(session: Session, mailbox: Mailbox, items: set[StatusItem]) -> None:
    if session.state.condstore:
        items.add(StatusItem.HIGHESTMODSEQ)
    session.write(status_line(session, mailbox, [item for item in _ORDER if item in items]))


def surroundings(session: Session) -> Surroundings:
    """What mailbox filters depend on."""
    account = account_of(session)
    inboxes = session.service.inboxes(account.name)
    return Surroundings(inboxes, frozenset(account.subscriptions()))


# ---- telling


def tell(session: Session, *, expunge: bool, between: bool = False) -> None:
    """Write what others did. `expunge`: removals too; `between`: no command is running."""
    if session.interest is not None or session.state.metadata:
        _tell_account(session)
    if session.view is not None and session.feed is not None:
        _tell_selected(session, session.view, expunge=expunge, between=between)


def _tell_selected(session: Session, view: View, *, expunge: bool, between: bool) -> None:
    interest = session.interest
    if interest is None:
        _write_updates(session, view, expunge=expunge)
        return
    group = interest.selected(view.name, surroundings(session))
    if group is None or not group.events:
        return
    # RFC 5465 §6.2: what is delayed waits for a command, or IDLE.
    if between and group.mailboxes.scope is not Scope.SELECTED:
        return
    known = view.uidnext
    _write_updates(
        session,
        view,
        expunge=expunge,
        flags=Event.FLAG_CHANGE in group.events,
        new=not group.fetch,
    )
    if group.fetch and view.uidnext > known:
        # RFC 5465 §5.2: new messages come with what the client wants to know of them.
        uids = SequenceSet(((known, view.uidnext - 1),))
        items = tuple(peeking(item) for item in group.fetch)
        try:
            fetch_messages(session, Fetch("", uids, items, uid=True))
        except Refusal as e:
            # An item that cannot be had of a message is left out, the others are told.
            session.log.debug("telling of new messages", err=e)


def _write_updates(
    session: Session, view: View, *, expunge: bool, flags: bool = True, new: bool = True
) -> None:
    feed = session.feed
    assert feed is not None, "logged in"
    feed.advance()
    lines = contexts.removals(session, view)
    lines += known_updates(view, feed, session.state, expunge=expunge, flags=flags, new=new)
    lines += contexts.changes(session, view)
    pace = Pace()
    for line in lines:
        session.write(line)
        pace()


def _tell_account(session: Session) -> None:
    """What happened to mailboxes that are not selected, and to the account."""
    feed, interest = session.feed, session.interest or _ENABLED_METADATA
    assert feed is not None, "logged in"
    reached = feed.advance()
    if reached == session.heard:
        return
    since, session.heard = session.heard, reached
    if not interest.groups:
        return
    try:
        changes = feed.since(since)
    except HistoryLost:
        # RFC 5465 §5.8: the client has to ask anew.
        session.interest = Interest(())
        text = "too much has changed, no further notifications"
        session.write(responses.untagged("OK", text, codes.NOTIFICATIONOVERFLOW))
        return
    _News(session, interest).tell(changes)


class _News:
    """Changes on their way to the client."""

    def __init__(self, session: Session, interest: Interest) -> None:
        self._session = session
        self._interest = interest
        self._given = surroundings(session)
        self._account = account_of(session)
        self._selected = None if session.view is None else session.view.mailbox_id
        self._status: dict[MailboxId, set[StatusItem]] = {}

    def tell(self, changes: list[Change]) -> None:
        for change in changes:
            event = _MESSAGE_KINDS.get(change.kind)
            if event is None:
                self._mailbox_change(change)
            elif change.mailbox_id != self._selected:
                self._message_change(event, change.mailbox_id)
        for mailbox_id, items in self._status.items():
            mailbox = self._account.mailbox_by_id(mailbox_id)
            if mailbox is not None:
                _write_status(self._session, mailbox, items)

    def _wants(self, event: Event, name: str) -> bool:
        group = self._interest.of(name, self._given)
        return group is not None and event in group.events

    def _message_change(self, event: Event, mailbox_id: MailboxId) -> None:
        mailbox = self._account.mailbox_by_id(mailbox_id)
        if mailbox is not None and self._wants(event, mailbox.name):
            self._status.setdefault(mailbox_id, set()).update(_ITEMS[event])

    def _mailbox_change(self, change: Change) -> None:
        match change.kind:
            case ChangeKind.MAILBOX_CREATED | ChangeKind.MAILBOX_DELETED:
                self._name(change)
            case ChangeKind.MAILBOX_RENAMED:
                self._name(change, change.old_name)
            case ChangeKind.SUBSCRIBED | ChangeKind.UNSUBSCRIBED:
                if self._wants(Event.SUBSCRIPTION_CHANGE, change.name):
                    self._write_list(change.name)
            case ChangeKind.ANNOTATED:
                self._annotated(change)

    def _name(self, change: Change, old_name: str = "") -> None:
        """RFC 5465 §5.4"""
        wanted = self._wants(Event.MAILBOX_NAME, change.name)
        if wanted or (old_name and self._wants(Event.MAILBOX_NAME, old_name)):
            self._write_list(change.name, old_name)

    def _write_list(self, name: str, old_name: str = "") -> None:
        """The mailbox as it is now; it may have gone since."""
        session = self._session
        mailbox = self._account.mailbox(name)
        if mailbox is not None:
            session.write(list_line(session, mailbox, oldname=old_name or None))
            return
        attributes = ["\\NonExistent"]
        if name in self._given.subscribed:
            attributes.append("\\Subscribed")
        session.write(responses.list_line(name, attributes, utf8=session.state.utf8))

    def _annotated(self, change: Change) -> None:
        """RFC 5465 §5.6, §5.7: the names of entries, without values."""
        if change.mailbox_id:
            wanted = self._wants(Event.MAILBOX_METADATA_CHANGE, change.name)
        else:
            wanted = self._interest.wants(Event.SERVER_METADATA_CHANGE)
        if wanted:
            utf8 = self._session.state.utf8
            line = responses.metadata_changed(change.name, change.entries, utf8=utf8)
            self._session.write(line)
