"""Computing LIST and LSUB answers from what mailboxes and subscriptions there are.

RFC 9051 §6.3.9, RFC 5258 (LIST-EXTENDED), RFC 6154 (SPECIAL-USE), RFC 3501 §6.3.9 (LSUB). Every
existing mailbox has its parents, so \\Noselect mailboxes do not occur; \\HasChildren and the
special-use attributes are always told. Pure functions; sorting is by name, the inbox first.
"""

from __future__ import annotations

from collections.abc import Collection, Iterable, Mapping, Sequence
from dataclasses import dataclass

from mox.imap.commands import List, ListReturn, ListSelect, Lsub
from mox.imap.grammar.mailbox import INBOX
from mox.imap.listpattern import DELIMITER, Matcher


@dataclass(frozen=True, slots=True)
class MailboxInfo:
    """An existing mailbox."""

    name: str
    special_use: tuple[str, ...] = ()


@dataclass(frozen=True, slots=True)
class ListEntry:
    """One line of the answer; `exists` is false for a mere subscription or parent of one."""

    name: str
    attributes: tuple[str, ...]
    childinfo: tuple[str, ...] = ()
    exists: bool = True


def list_entries(
    command: List, mailboxes: Iterable[MailboxInfo], subscribed: Collection[str]
) -> list[ListEntry]:
    """Give the lines that answer `command`; STATUS lines are the shell's to add."""
    # RFC 9051 §6.3.9: an empty pattern asks for the delimiter and the root of the reference.
    if not command.extended and command.patterns[0].text == "":
        return [ListEntry("", ("\\Noselect",))]
    existing = {each.name: each for each in mailboxes}
    return _Listing(command, existing, frozenset(subscribed)).entries()


class _Listing:
    def __init__(
        self, command: List, existing: Mapping[str, MailboxInfo], subscribed: frozenset[str]
    ) -> None:
        self._existing = existing
        self._subscribed = subscribed
        self._matcher = Matcher(command.reference, command.patterns)
        self._selection = command.selection
        self._tell_subscribed = (
            ListReturn.SUBSCRIBED in command.returns or ListSelect.SUBSCRIBED in command.selection
        )
        self._parents = {parent for name in existing for parent in parents(name)}

    def entries(self) -> list[ListEntry]:
        selected = self._selected()
        matching = {name for name in selected if self._matcher.matches(name)}
        recursive: set[str] = set()
        if ListSelect.RECURSIVEMATCH in self._selection:
            # Every name with a selected name below it says so.
            recursive = {parent for name in selected for parent in parents(name)}
            # RFC 5258 §3.5: names that are not selected themselves are told only when a
            # selected child is not.
            hidden = {parent for name in selected - matching for parent in parents(name)}
            matching |= {name for name in hidden - selected if self._matcher.matches(name)}
        return [self._entry(name, name in recursive) for name in ordered(matching)]

    def _selected(self) -> set[str]:
        """Names that the selection options choose, before looking at patterns.

        RFC 5258 §3.1: options are combined with "and"; without any, existing mailboxes.
        """
        names = set(self._existing)
        if ListSelect.SUBSCRIBED in self._selection:
            names = set(self._subscribed)
        if ListSelect.SPECIAL_USE in self._selection:
            names = {name for name in names if self._special_use(name)}
        return names

    def _special_use(self, name: str) -> tuple[str, ...]:
        info = self._existing.get(name)
        return info.special_use if info else ()

    def _entry(self, name: str, has_selected_children: bool) -> ListEntry:
        exists = name in self._existing
        attributes = [] if exists else ["\\NonExistent"]
        attributes.append("\\HasChildren" if name in self._parents else "\\HasNoChildren")
        if self._tell_subscribed and name in self._subscribed:
            attributes.append("\\Subscribed")
        attributes += self._special_use(name)
        childinfo = self._childinfo() if has_selected_children else ()
        return ListEntry(name, tuple(attributes), childinfo, exists)

    def _childinfo(self) -> tuple[str, ...]:
        told = (ListSelect.SUBSCRIBED, ListSelect.SPECIAL_USE)
        return tuple(option.value for option in told if option in self._selection)


def lsub_entries(command: Lsub, subscribed: Iterable[str]) -> list[ListEntry]:
    """Give the lines that answer LSUB.

    RFC 3501 §6.3.9: with "%", a name that is not subscribed but has subscribed names below it,
    which the pattern does not reach, is told with \\Noselect.
    """
    names = set(subscribed)
    matcher = Matcher(command.reference, [command.pattern])
    matching = {name for name in names if matcher.matches(name)}
    above: set[str] = set()
    if "%" in command.pattern.text:
        unreached = {parent for name in names - matching for parent in parents(name)}
        above = {name for name in unreached - names if matcher.matches(name)}
    return [
        ListEntry(name, () if name in matching else ("\\Noselect",), exists=name in matching)
        for name in ordered(matching | above)
    ]


def parents(name: str) -> Iterable[str]:
    """Give the names of all levels above `name`, nearest first."""
    at = name.rfind(DELIMITER)
    while at > 0:
        yield name[:at]
        at = name.rfind(DELIMITER, 0, at)


def ordered(names: Iterable[str]) -> Sequence[str]:
    """Sort level by level, the inbox and what is below it first."""
    return sorted(
        names, key=lambda name: (name.split(DELIMITER)[0] != INBOX, name.split(DELIMITER))
    )
