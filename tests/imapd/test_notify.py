"""NOTIFY (RFC 5465), and annotations that are told of (RFC 5464 §4.4.2)."""

from __future__ import annotations

import re

import pytest

from mox.imapd import idling
from mox.store import account_txn
from tests.imapd.harness import Client, Site, message

MESSAGES = "messagenew messageexpunge flagchange"


def told(client: Client) -> str:
    """The next line that comes unasked, UIDVALIDITY left out."""
    return re.sub(r"UIDVALIDITY \d+", "UIDVALIDITY n", client.line())


def status(client: Client) -> list[str]:
    """What a NOOP tells."""
    return [re.sub(r"UIDVALIDITY \d+", "UIDVALIDITY n", line) for line in client.ok("noop")]


def test_present_state_is_told_once(site: Site) -> None:
    site.add(message(1), mailbox="Sent")
    client = site.login("inbox")
    lines = client.ok("notify set status (mailboxes (inbox Sent) (messagenew messageexpunge))")
    # RFC 5465 §3.1: not of the selected mailbox
    assert [re.sub(r"UIDVALIDITY \d+", "UIDVALIDITY n", line) for line in lines] == [
        "* STATUS Sent (MESSAGES 1 UIDNEXT 2 UIDVALIDITY n UNSEEN 1)"
    ]
    assert client.ok(f"notify set (mailboxes Sent ({MESSAGES}))") == []


def test_present_state_for_flags_has_the_modseq(site: Site) -> None:
    """RFC 5465 §3.1: also when the client has not enabled CONDSTORE."""
    client = site.login("inbox")
    (line,) = client.ok(f"notify set status (mailboxes Sent ({MESSAGES}))")
    assert re.fullmatch(r"\* STATUS Sent \(.*UIDVALIDITY \d+ UNSEEN 0 HIGHESTMODSEQ \d+\)", line)


def test_what_has_come_together_is_told_with_the_new_wishes(site: Site) -> None:
    """RFC 5465 §3.1: NOTIFY SET implies a NOOP, whatever is asked for."""
    client, other = site.login("inbox", enable="imap4rev2"), site.login("inbox")
    other.append("inbox", message(1))
    assert client.ok(f"notify set (mailboxes Sent ({MESSAGES}))") == [
        "* 1 EXISTS",
        "* 1 FETCH (UID 1 FLAGS ())",
    ]
    client.ok(f"notify set (mailboxes (inbox Sent) ({MESSAGES}))")
    other.append("inbox", message(2))
    # The selected mailbox is no other one, whatever its name.
    assert client.ok("noop") == []


def test_own_new_messages_are_not_shown(site: Site) -> None:
    client, other = site.login("inbox", enable="imap4rev2"), site.login("inbox")
    client.ok("notify set (selected (messagenew (uid rfc822.size) messageexpunge))")
    client.send(f"a append inbox {{{len(message(1))}+}}\r\n")
    client.send(message(1) + b"\r\n")
    lines = [client.line(), client.line()]
    assert lines[0] == "* 1 EXISTS"
    assert lines[1].startswith("a OK [APPENDUID ")
    other.append("inbox", message(2))
    assert client.line() == "* 2 EXISTS"
    assert client.line() == f"* 2 FETCH (UID 2 RFC822.SIZE {len(message(2))})"


def test_several_groups_for_one_mailbox(site: Site) -> None:
    client, other = site.login(), site.login()
    client.ok(f"notify set (mailboxes Sent ({MESSAGES})) (personal (subscriptionchange))")
    site.add(message(1), mailbox="Sent")
    assert told(client) == "* STATUS Sent (MESSAGES 1 UIDNEXT 2 UNSEEN 1)"
    other.ok("unsubscribe Sent")
    assert client.line() == '* LIST (\\HasNoChildren \\Sent) "/" Sent'


def test_parents_and_children_of_mailboxes(site: Site) -> None:
    """RFC 5465 §5.4"""
    client, other = site.login(), site.login()
    client.ok("notify set (mailboxes a (mailboxname)) (subtree b (mailboxname))")
    other.ok("create a")
    assert client.line() == '* LIST (\\HasNoChildren \\Subscribed) "/" a'
    other.ok("create a/x")
    assert client.line() == '* LIST (\\HasChildren \\Subscribed) "/" a'
    other.ok("create a/x/y")
    other.ok("rename a b")
    assert client.line() == '* LIST (\\HasChildren \\Subscribed) "/" b ("OLDNAME" (a))'
    other.ok("delete b/x/y")
    # Nothing of the children that were renamed along.
    assert client.line() == '* LIST (\\NonExistent \\Subscribed) "/" b/x/y'
    assert client.line() == '* LIST (\\HasNoChildren \\Subscribed) "/" b/x'


def test_other_mailboxes_between_commands(site: Site) -> None:
    client, other = site.login("inbox"), site.login("Sent")
    client.ok(f"notify set (personal ({MESSAGES}))")
    other.append("Sent", message(1))
    assert told(client) == "* STATUS Sent (MESSAGES 1 UIDNEXT 2 UNSEEN 1)"
    other.ok("store 1 +flags (\\Seen)")
    assert told(client) == "* STATUS Sent (UIDVALIDITY n UNSEEN 0)"
    other.ok("store 1 +flags (\\Deleted)")
    assert told(client) == "* STATUS Sent (UIDVALIDITY n UNSEEN 0)"
    other.ok("expunge")
    assert told(client) == "* STATUS Sent (MESSAGES 0 UIDNEXT 2 UNSEEN 0)"


def test_counts_after_a_move_are_those_of_each_mailbox(site: Site) -> None:
    site.add(message(1), message(2), mailbox="Sent")
    client, other = site.login("inbox"), site.login("Sent")
    client.ok(f"notify set (personal ({MESSAGES}))")
    other.ok("move 1 Trash")
    assert sorted([told(client), told(client)]) == [
        "* STATUS Sent (MESSAGES 1 UIDNEXT 3 UNSEEN 1)",
        "* STATUS Trash (MESSAGES 1 UIDNEXT 2 UNSEEN 1)",
    ]


def test_condstore_adds_the_modseq(site: Site) -> None:
    client = site.login("inbox", enable="condstore")
    client.ok(f"notify set (personal ({MESSAGES}))")
    site.add(message(1), mailbox="Sent")
    assert re.fullmatch(r".* UNSEEN 1 HIGHESTMODSEQ \d+\)", told(client))


def test_selected_is_told_at_once(site: Site) -> None:
    client, other = site.login("inbox", enable="imap4rev2"), site.login("inbox")
    client.ok(f"notify set (selected ({MESSAGES}))")
    other.append("inbox", message(1))
    assert client.line() == "* 1 EXISTS"
    assert client.line() == "* 1 FETCH (UID 1 FLAGS ())"
    other.ok("store 1 +flags (\\Deleted)")
    assert client.line() == "* 1 FETCH (UID 1 FLAGS (\\Deleted))"
    other.ok("expunge")
    assert client.line() == "* 1 EXPUNGE"


def test_selected_delayed_waits_for_a_command(site: Site) -> None:
    client, other = site.login("inbox"), site.login("Sent")
    client.ok(f"notify set (selected-delayed ({MESSAGES})) (personal ({MESSAGES}))")
    other.append("inbox", message(1))
    other.append("Sent", message(1))
    # Of the mailbox that is not selected only.
    assert told(client) == "* STATUS Sent (MESSAGES 1 UIDNEXT 2 UNSEEN 1)"
    assert client.ok("noop")[0] == "* 1 EXISTS"
    other.append("inbox", message(2))
    client.idle()
    assert client.line() == "* 2 EXISTS"
    client.done()


def test_new_messages_come_with_what_was_asked_for(site: Site) -> None:
    client = site.login("inbox")
    client.ok(
        "notify set (selected (messagenew (uid flags body.peek[header.fields (subject)])"
        " messageexpunge flagchange))"
    )
    site.add(message(7))
    assert client.line() == "* 1 EXISTS"
    assert client.line() == "* 1 RECENT"
    line = client.line()
    assert line.startswith("* 1 FETCH (UID 1 FLAGS (\\Recent) BODY[HEADER.FIELDS (subject)] {")
    assert "Subject: hello 7" in line
    # Without PEEK it is not marked as read either.
    client.ok("notify set (selected (messagenew (body[text]) messageexpunge))")
    site.add(message(8))
    assert "some text" in [client.line() for _ in range(3)][-1]
    assert client.ok("search seen") == ["* SEARCH"]


def test_events_that_were_not_asked_for(site: Site) -> None:
    client, other = site.login("inbox", enable="imap4rev2"), site.login("inbox")
    client.ok("notify set (selected (messagenew messageexpunge))")
    other.append("inbox", message(1))
    assert client.line() == "* 1 EXISTS"
    assert client.line() == "* 1 FETCH (UID 1 FLAGS ())"
    other.ok("store 1 +flags (\\Flagged)")
    assert client.ok("noop") == []
    # RFC 5465 §3.1: without a group for the selected mailbox nothing of it is told.
    client.ok(f"notify set (mailboxes Sent ({MESSAGES}))")
    other.append("inbox", message(2))
    assert client.ok("noop") == []
    assert client.ok(f"notify set (selected ({MESSAGES}))")[0] == "* 2 EXISTS"


def test_notify_none(site: Site) -> None:
    client, other = site.login("inbox"), site.login("inbox")
    client.ok("notify none")
    other.append("inbox", message(1))
    other.ok("create x")
    assert client.ok("noop") == []
    client.idle()
    assert client.done() == []
    # What the client has not been told of it cannot name.
    client.bad("fetch 1 uid")


def test_mailboxes_come_and_go(site: Site) -> None:
    client, other = site.login(), site.login()
    client.ok("notify set (personal (mailboxname))")
    other.ok("create a")
    assert client.line() == '* LIST (\\HasNoChildren \\Subscribed) "/" a'
    other.ok("rename a b")
    assert client.line() == '* LIST (\\HasNoChildren \\Subscribed) "/" b ("OLDNAME" (a))'
    other.ok("unsubscribe b")
    other.ok("delete b")
    assert client.line() == '* LIST (\\NonExistent) "/" b'


def test_subscriptions(site: Site) -> None:
    client, other = site.login(), site.login()
    client.ok("notify set (personal (subscriptionchange))")
    other.ok("unsubscribe Sent")
    assert client.line() == '* LIST (\\HasNoChildren \\Sent) "/" Sent'
    other.ok("subscribe ghost")
    assert client.line() == '* LIST (\\NonExistent \\Subscribed) "/" ghost'


def test_annotations(site: Site) -> None:
    client, other = site.login(), site.login()
    client.ok("notify set (personal (mailboxmetadatachange servermetadatachange))")
    other.ok('setmetadata inbox (/shared/comment "x" /private/comment "y")')
    assert client.line() == "* METADATA INBOX /shared/comment /private/comment"
    other.ok('setmetadata "" (/shared/comment "x")')
    assert client.line() == '* METADATA "" /shared/comment'


def test_enable_metadata_tells_of_annotations(site: Site) -> None:
    client, plain, other = site.login("inbox"), site.login("inbox"), site.login()
    assert client.ok("enable metadata") == ["* ENABLED metadata"]
    other.ok('setmetadata inbox (/shared/comment "x")')
    assert client.ok("noop") == ["* METADATA INBOX /shared/comment"]
    client.idle()
    other.ok('setmetadata "" (/shared/comment "x")')
    assert client.line() == '* METADATA "" /shared/comment'
    client.done()
    assert plain.ok("noop") == []


def test_filters_follow_the_account(site: Site) -> None:
    client = site.login("Trash")
    client.ok(f"notify set (inboxes ({MESSAGES})) (subtree Sent ({MESSAGES}))")
    site.add(message(1), mailbox="Archive")
    site.add(message(1), mailbox="INBOX")
    assert told(client) == "* STATUS INBOX (MESSAGES 1 UIDNEXT 2 UNSEEN 1)"
    client.ok("create Sent/2026")
    site.add(message(1), mailbox="Sent/2026")
    assert told(client) == "* STATUS Sent/2026 (MESSAGES 1 UIDNEXT 2 UNSEEN 1)"


def test_unsupported_events(site: Site) -> None:
    client = site.login()
    text = client.no("notify set (personal (messagenew messageexpunge annotationchange))")
    assert text.startswith("[BADEVENT (MessageNew MessageExpunge FlagChange MailboxName ")


def test_too_many_changes(site: Site, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(account_txn, "KEEP_LOG", 10)
    client = site.login()
    client.ok(f"notify set (personal ({MESSAGES}))")
    feed = next(iter(site.ctx.store.notifier._watchers))
    assert feed
    # The session does not look while a command comes in.
    client.send("a no")
    other = site.login("inbox")
    monkeypatch.setattr("mox.imapd.feed._KEEP_CHANGES", 5)
    for number in range(300):
        other.ok(f'setmetadata inbox (/shared/x "{number}")')
    client.send("op\r\n")
    assert client.line().startswith("* OK [NOTIFICATIONOVERFLOW]")
    assert client.line().startswith("a OK")
    site.add(message(1))
    assert client.ok("noop") == []


def test_a_session_that_listens_times_out(site: Site, monkeypatch: pytest.MonkeyPatch) -> None:
    client = site.login()
    monkeypatch.setattr("mox.imapd.session.COMMAND_TIMEOUT_S", 0.2)
    monkeypatch.setattr(idling, "_SHRINK_AFTER_S", 0.05)
    client.ok(f"notify set (personal ({MESSAGES}))")
    site.add(message(1))
    assert told(client).startswith("* STATUS INBOX")
    assert client.line() == "* BYE inactive for too long"


def test_pipelined_commands_of_a_session_that_listens(site: Site) -> None:
    client = site.login("inbox")
    client.send(f"a notify set (selected ({MESSAGES}))\r\nb noop\r\nc noop\r\n")
    assert [client.line()[:4] for _ in range(3)] == ["a OK", "b OK", "c OK"]
    client.send("d no")
    site.add(message(1))
    client.send("op\r\n")
    lines = [client.line()]
    while not lines[-1].startswith("d "):
        lines.append(client.line())
    assert "* 1 EXISTS" in lines


def test_draining(site: Site) -> None:
    client = site.login("inbox")
    client.ok(f"notify set (selected ({MESSAGES}))")
    site.ctx.stopping.set()
    assert client.line() == "* BYE [UNAVAILABLE] shutting down"
