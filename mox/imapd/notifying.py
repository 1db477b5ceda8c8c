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
from mox.imap.sequence import SequenceSet, ranges_of
from mox.imapd import contexts
from mox.imapd.answer import Done, Refusal
from mox.imapd.bodies import peeking
from mox.imapd.describe import list_line, status_line
from mox.imapd.fetch import fetch_messages
from mox.imapd.pace import Pace
from mox.imapd.selected import account_of
from mox.imapd.updates import known_updates
from mox.store.errors import HistoryLost
from mox.store.model import M_MODSEQ, M_UID, ChangeKind

if TYPE_CHECKING:
    from collections.abc import Sequence

    from mox.imap import notify
    from mox.imap.fetchatt import FetchAttribute
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
    if command.groups and session.view is not None:
        # RFC 5465 §3.1: what has come together so far is told, whatever is asked for from now on.
        _write_updates(session, session.view, expunge=True)
    session.interest = Interest(command.groups)
    session.attend()
    session.heard = session.feed.advance()
    if command.status:
        _tell_status(session, session.interest)
    return Done("notify done")


def _tell_status(session: Session, interest: Interest) -> None:
    """RFC 5465 §3.1: STATUS of mailboxes whose messages are asked for, but the selected one."""
    given = surroundings(session)
    for mailbox in account_of(session).mailboxes():
        if session.view is not None and session.view.mailbox_id == mailbox.id:
            continue
        events = interest.of(mailbox.name, given) & MESSAGE_EVENTS
        if events:
            items = {StatusItem.MESSAGES, StatusItem.UIDNEXT, StatusItem.UIDVALIDITY}
            items.add(StatusItem.UNSEEN)
            if Event.FLAG_CHANGE in events:
                items.add(StatusItem.HIGHESTMODSEQ)
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
    group = interest.selected()
    if group is None or not group.events:
        return
    # RFC 5465 §6.1.2: what is delayed waits for a command, or IDLE.
    if between and group.mailboxes.scope is not Scope.SELECTED:
        return
    flags = Event.FLAG_CHANGE in group.events
    _write_updates(session, view, expunge=expunge, flags=flags, fetch=group.fetch)


def _write_updates(
    session: Session,
    view: View,
    *,
    expunge: bool,
    flags: bool = True,
    fetch: Sequence[FetchAttribute] = (),
) -> None:
    """Tell of the selected mailbox; `fetch`: what of new messages, their flags by default."""
    feed = session.feed
    assert feed is not None, "logged in"
    feed.advance()
    known, own = view.uidnext, set(view.own)
    lines = contexts.removals(session, view)
    lines += known_updates(view, feed, session.state, expunge=expunge, flags=flags, new=not fetch)
    _write_paced(session, lines)
    arrived: list[int] = []
    if view.uidnext > known and (fetch or any(context.fetch for context in view.contexts)):
        # RFC 5465 §5.2: but not those that the client itself put there.
        messages = feed.messages_from(view.mailbox_id, known)
        arrived = [message[M_UID] for message in messages if message[M_MODSEQ] not in own]
    changed, matching = contexts.changes(session, view, arrived)
    for context, uids in matching:
        # RFC 5465 §7: these come before the results are told.
        _tell_new(session, context.fetch, uids)
    _write_paced(session, changed)
    # RFC 5465 §5.2: new messages come with what the client wants to know of them.
    _tell_new(session, fetch, arrived)


def _write_paced(session: Session, lines: list[bytes]) -> None:
    pace = Pace()
    for line in lines:
        session.write(line)
        pace()


def _tell_new(session: Session, attributes: Sequence[FetchAttribute], uids: list[int]) -> None:
    if not attributes or not uids:
        return
    items = tuple(peeking(item) for item in attributes)
    try:
        wanted = SequenceSet(tuple(ranges_of(uids)))
        fetch_messages(session, Fetch("", wanted, items, uid=True))
    except Refusal as e:
        # An item that cannot be had of a message is left out, the others are told.
        session.log.debug("telling of new messages", err=e)


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
        self._renamed: set[tuple[int, str]] = set()  # modseqs and old names

    def tell(self, changes: list[Change]) -> None:
        self._renamed = {
            (change.modseq, change.old_name)
            for change in changes
            if change.kind is ChangeKind.MAILBOX_RENAMED
        }
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
        return event in self._interest.of(name, self._given)

    def _message_change(self, event: Event, mailbox_id: MailboxId) -> None:
        mailbox = self._account.mailbox_by_id(mailbox_id)
        if mailbox is not None and self._wants(event, mailbox.name):
            self._status.setdefault(mailbox_id, set()).update(_ITEMS[event])

    def _mailbox_change(self, change: Change) -> None:
        match change.kind:
            case ChangeKind.MAILBOX_CREATED | ChangeKind.MAILBOX_DELETED:
                self._name(change)
                parent = change.name.rpartition("/")[0]
                # RFC 5465 §5.4: the parent is affected too, whether it exists or not.
                if parent and self._wants(Event.MAILBOX_NAME, parent):
                    self._write_list(parent)
            case ChangeKind.MAILBOX_RENAMED:
                above = change.old_name.rpartition("/")[0]
                # RFC 5465 §5.4: children are renamed along without a word.
                if (change.modseq, above) not in self._renamed:
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
