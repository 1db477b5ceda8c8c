"""NOTIFY (RFC 5465 §8)."""

from __future__ import annotations

from mox.imap.fetchatt import FetchAttribute
from mox.imap.grammar.cursor import Cursor
from mox.imap.grammar.fetch_att import fetch_attributes
from mox.imap.grammar.mailboxfilter import mailbox_filter
from mox.imap.mailboxfilter import OF_SELECTION
from mox.imap.notify import MESSAGE_EVENTS, SCOPES, Event, EventGroup, Notify

MAX_GROUPS = 100

_EVENTS = {event.value.upper(): event for event in Event}
_PAIR = frozenset({Event.MESSAGE_NEW, Event.MESSAGE_EXPUNGE})


# notify = "NOTIFY" SP (notify-add / notify-none)
def notify(cursor: Cursor, tag: str) -> Notify:
    cursor.space()
    if cursor.word("SET or NONE") == "NONE":
        return Notify(tag, ())
    cursor.space()
    status = False
    if cursor.peek() != b"(":
        if cursor.word("STATUS") != "STATUS":
            cursor.fail("expected STATUS")
        status = True
        cursor.space()
    groups, unsupported = _groups(cursor)
    return Notify(tag, groups, status, unsupported)


def _groups(cursor: Cursor) -> tuple[tuple[EventGroup, ...], tuple[str, ...]]:
    unsupported: list[str] = []
    groups = [_group(cursor, unsupported)]
    while cursor.more():
        groups.append(_group(cursor, unsupported))
        if len(groups) > MAX_GROUPS:
            cursor.fail("too many event groups")
    # RFC 5465 §6.1, §6.2: the selected mailbox is named once.
    if sum(group.mailboxes.scope in OF_SELECTION for group in groups) > 1:
        cursor.fail("the selected mailbox is named twice")
    return tuple(groups), tuple(dict.fromkeys(unsupported))


# event-group = "(" filter-mailboxes SP events ")"
def _group(cursor: Cursor, unsupported: list[str]) -> EventGroup:
    cursor.take(b"(")
    mailboxes = mailbox_filter(cursor, SCOPES)
    cursor.space()
    events: set[Event] = set()
    fetch: tuple[FetchAttribute, ...] = ()
    if cursor.peek() == b"(":
        for event, attributes in cursor.parenthesised(lambda: _event(cursor, unsupported)):
            fetch = attributes or fetch
            if event is not None:
                events.add(event)
    elif cursor.word("events or NONE") != "NONE":
        cursor.fail("expected events or NONE")
    cursor.take(b")")
    # RFC 5465 §5: these two go together, and flags need both.
    if events & _PAIR and not events >= _PAIR:
        cursor.fail("MessageNew and MessageExpunge must be specified together")
    if Event.FLAG_CHANGE in events and not events >= _PAIR:
        cursor.fail("FlagChange needs MessageNew and MessageExpunge")
    # RFC 5465 §6.1: only message events make sense for the selected mailbox.
    if mailboxes.scope in OF_SELECTION and not events <= MESSAGE_EVENTS:
        cursor.fail("the selected mailbox has message events only")
    # RFC 5465 §8: what to tell of new messages is for the selected mailbox only.
    if fetch and mailboxes.scope not in OF_SELECTION:
        cursor.fail("attributes are for the selected mailbox only")
    return EventGroup(mailboxes, frozenset(events), fetch)


# message-event = ("MessageNew" [SP "(" fetch-att *(SP fetch-att) ")"]) / "MessageExpunge" / …
def _event(
    cursor: Cursor, unsupported: list[str]
) -> tuple[Event | None, tuple[FetchAttribute, ...]]:
    name = cursor.atom("an event")
    event = _EVENTS.get(name.upper())
    if event is None:
        unsupported.append(name)
        return None, ()
    start = cursor.at
    if event is Event.MESSAGE_NEW and cursor.maybe(b" ") and cursor.peek() == b"(":
        return event, fetch_attributes(cursor)
    cursor.at = start
    return event, ()
