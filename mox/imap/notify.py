"""NOTIFY: which events a client wants to hear of, and of which mailboxes (RFC 5465)."""

from __future__ import annotations

from dataclasses import dataclass
from enum import Enum
from typing import ClassVar

from mox.imap.fetchatt import FetchAttribute
from mox.imap.mailboxfilter import OF_SELECTION, MailboxFilter, Scope, Surroundings


class Event(Enum):
    """The value is the name on the wire (RFC 5465 §5)."""

    MESSAGE_NEW = "MessageNew"
    MESSAGE_EXPUNGE = "MessageExpunge"
    FLAG_CHANGE = "FlagChange"
    MAILBOX_NAME = "MailboxName"
    SUBSCRIPTION_CHANGE = "SubscriptionChange"
    MAILBOX_METADATA_CHANGE = "MailboxMetadataChange"
    SERVER_METADATA_CHANGE = "ServerMetadataChange"


MESSAGE_EVENTS = frozenset({Event.MESSAGE_NEW, Event.MESSAGE_EXPUNGE, Event.FLAG_CHANGE})
# Scopes that NOTIFY knows.
SCOPES = frozenset(Scope) - {Scope.SUBTREE_ONE}


@dataclass(frozen=True, slots=True)
class EventGroup:
    """Events of some mailboxes; none to hear nothing of them.

    `fetch`: what to tell of each new message of the selected mailbox.
    """

    mailboxes: MailboxFilter
    events: frozenset[Event]
    fetch: tuple[FetchAttribute, ...] = ()


@dataclass(frozen=True, slots=True)
class Notify:
    """`groups` empty for NOTIFY NONE; `status`: tell the present state of the mailboxes.

    `unsupported`: events of other extensions, as written.
    """

    name: ClassVar[str] = "NOTIFY"
    tag: str
    groups: tuple[EventGroup, ...]
    status: bool = False
    unsupported: tuple[str, ...] = ()


@dataclass(frozen=True, slots=True)
class Interest:
    """What a client wants to hear, in its order of preference."""

    groups: tuple[EventGroup, ...]

    def selected(self) -> EventGroup | None:
        """The group for messages of the selected mailbox; None: nothing is wanted of it.

        RFC 5465 §3.1, §6: only SELECTED and SELECTED-DELAYED match it, whatever its name.
        """
        for group in self.groups:
            if group.mailboxes.scope in OF_SELECTION:
                return group
        return None

    def of(self, name: str, given: Surroundings) -> frozenset[Event]:
        """What is wanted of the mailbox `name`, but for messages while it is selected.

        RFC 5465 §6: several groups may apply to a mailbox. One with NONE ends the list for it.
        """
        events: frozenset[Event] = frozenset()
        for group in self.groups:
            if group.mailboxes.covers(name, given):
                if not group.events:
                    break
                events |= group.events
        return events

    def wants(self, event: Event) -> bool:
        """Whether any group asks for `event`."""
        return any(event in group.events for group in self.groups)
