from __future__ import annotations

import pytest

from mox.imap import codes
from mox.imap.events import BadCommand
from mox.imap.mailboxfilter import MailboxFilter, Scope, Surroundings
from mox.imap.notify import Event, Interest, Notify
from tests.imap.drive import command, outcome

NEW, GONE, FLAGS = Event.MESSAGE_NEW, Event.MESSAGE_EXPUNGE, Event.FLAG_CHANGE


def parsed(line: str) -> Notify:
    found = command(line)
    assert isinstance(found, Notify)
    return found


def test_rfc_5465_examples() -> None:
    # RFC 5465 §3.1
    one = parsed(
        "notify set status (selected MessageNew (uid body.peek[header.fields (from to subject)])"
        " all MessageExpunge)".replace(" all ", " ").replace("selected ", "selected (")
        + ")"
    )
    (group,) = one.groups
    assert one.status
    assert group.mailboxes == MailboxFilter(Scope.SELECTED)
    assert group.events == {NEW, GONE}
    assert len(group.fetch) == 2
    # RFC 5465 §6
    line = (
        "NOTIFY SET (selected-delayed (MessageNew (uid body.peek[header.fields (from to subject)])"
        " MessageExpunge FlagChange)) (inboxes (MessageNew MessageExpunge)) (subtree Lists"
        ' (MessageNew MessageExpunge)) (mailboxes (a "b c") NONE) (personal (MailboxName'
        " SubscriptionChange)) (subscribed (MailboxMetadataChange ServerMetadataChange))"
    )
    groups = parsed(line).groups
    assert [group.mailboxes.scope.value for group in groups] == [
        *("SELECTED-DELAYED", "INBOXES", "SUBTREE", "MAILBOXES", "PERSONAL", "SUBSCRIBED"),
    ]
    assert groups[0].events == {NEW, GONE, FLAGS}
    assert groups[2].mailboxes.names == ("Lists",)
    assert groups[3].mailboxes.names == ("a", "b c")
    assert not groups[3].events
    assert not parsed("notify none").groups


def test_unknown_events_are_told_apart_from_errors() -> None:
    found = parsed("notify set (selected (MessageNew MessageExpunge AnnotationChange FrobChange))")
    assert found.unsupported == ("AnnotationChange", "FrobChange")
    assert codes.badevent(["MessageNew", "FlagChange"]) == b"BADEVENT (MessageNew FlagChange)"


@pytest.mark.parametrize(
    "line",
    [
        "notify",
        "notify set",
        "notify all",
        "notify set status",
        "notify set (selected)",
        "notify set (selected ())",
        "notify set (selected (MessageNew))",
        "notify set (selected (MessageExpunge))",
        "notify set (personal (FlagChange))",
        "notify set (selected (MailboxName))",
        "notify set (selected NONE) (selected-delayed NONE)",
        "notify set (subtree (MessageNew MessageExpunge))",
        "notify set (subtree-one a (MessageNew MessageExpunge))",
        "notify set (frob (MessageNew MessageExpunge))",
        "notify set (mailboxes () NONE)",
        "notify set (selected (MessageExpunge (uid) MessageNew))",
        "notify set (personal (MessageNew (uid) MessageExpunge))",
        "notify set " + " ".join(["(personal NONE)"] * 102),
    ],
)
def test_malformed(line: str) -> None:
    assert isinstance(outcome(line), BadCommand)


GIVEN = Surroundings(frozenset({"INBOX", "Work"}), frozenset({"Sent"}))


@pytest.mark.parametrize(
    ("words", "covered"),
    [
        ("personal", "INBOX INBOX/a Work Sent Lists Lists/a Lists/a/b"),
        ("inboxes", "INBOX INBOX/a Work"),
        ("subscribed", "Sent"),
        ("subtree Lists", "Lists Lists/a Lists/a/b"),
        ("mailboxes (Sent Lists)", "Sent Lists"),
    ],
)
def test_which_mailboxes_a_filter_covers(words: str, covered: str) -> None:
    (group,) = parsed(f"notify set ({words} NONE)").groups
    names = ("INBOX", "INBOX/a", "Work", "Sent", "Lists", "Lists/a", "Lists/a/b")
    assert [name for name in names if group.mailboxes.covers(name, GIVEN)] == covered.split()


def test_subtree_one() -> None:
    found = MailboxFilter(Scope.SUBTREE_ONE, ("Lists",))
    names = ("Lists", "Lists/a", "Lists/a/b", "Listserv")
    assert [name for name in names if found.covers(name, GIVEN)] == ["Lists", "Lists/a"]


def test_groups_add_up_but_selected_stands_alone() -> None:
    line = (
        "notify set (mailboxes a NONE) (personal (MessageNew MessageExpunge))"
        " (selected (MessageNew MessageExpunge FlagChange))"
    )
    interest = Interest(parsed(line).groups)
    assert interest.of("a", GIVEN) == frozenset()
    assert interest.of("b", GIVEN) == {NEW, GONE}
    assert interest.selected().events == {NEW, GONE, FLAGS}  # type: ignore[union-attr]
    assert Interest(()).selected() is None
    assert Interest(parsed("notify set (personal (MailboxName))").groups).selected() is None


def test_several_groups_for_one_mailbox() -> None:
    """The example of RFC 5465 §6."""
    line = (
        "notify set (mailboxes INBOX (Messagenew messageExpunge)) (personal (SubscriptionChange))"
    )
    interest = Interest(parsed(line).groups)
    assert interest.of("INBOX", GIVEN) == {NEW, GONE, Event.SUBSCRIPTION_CHANGE}
    assert interest.of("Sent", GIVEN) == {Event.SUBSCRIPTION_CHANGE}
