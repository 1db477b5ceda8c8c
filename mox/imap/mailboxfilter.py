"""Which mailboxes a client means: the filters of NOTIFY (RFC 5465 §6) and ESEARCH (RFC 7377 §2.2).

>>> MailboxFilter(Scope.SUBTREE, ("Lists",)).covers("Lists/python", Surroundings())
True
"""

from __future__ import annotations

from collections.abc import Collection
from dataclasses import dataclass, field
from enum import Enum


class Scope(Enum):
    """The value is the name on the wire."""

    SELECTED = "SELECTED"
    SELECTED_DELAYED = "SELECTED-DELAYED"  # NOTIFY only
    INBOXES = "INBOXES"
    PERSONAL = "PERSONAL"
    SUBSCRIBED = "SUBSCRIBED"
    SUBTREE = "SUBTREE"
    SUBTREE_ONE = "SUBTREE-ONE"  # RFC 7377 only
    MAILBOXES = "MAILBOXES"


# These are followed by names.
WITH_NAMES = frozenset({Scope.SUBTREE, Scope.SUBTREE_ONE, Scope.MAILBOXES})
OF_SELECTION = frozenset({Scope.SELECTED, Scope.SELECTED_DELAYED})


@dataclass(frozen=True, slots=True)
class Surroundings:
    """What filters depend on: the mailboxes that new mail may come to, and those subscribed."""

    inboxes: Collection[str] = field(default_factory=frozenset)
    subscribed: Collection[str] = field(default_factory=frozenset)


@dataclass(frozen=True, slots=True)
class MailboxFilter:
    """One filter; `names` for those of WITH_NAMES."""

    scope: Scope
    names: tuple[str, ...] = ()

    def covers(self, name: str, given: Surroundings) -> bool:
        """Whether the mailbox `name` is meant; the selected one is the caller's to know."""
        match self.scope:
            case Scope.PERSONAL:
                return True
            case Scope.INBOXES:
                return name in given.inboxes or name.startswith("INBOX/")
            case Scope.SUBSCRIBED:
                return name in given.subscribed
            case Scope.MAILBOXES:
                return name in self.names
            case Scope.SUBTREE:
                return any(name == top or name.startswith(top + "/") for top in self.names)
            case Scope.SUBTREE_ONE:
                parent = name.rpartition("/")[0]
                return any(name == top or parent == top for top in self.names)
            case _:
                return False
