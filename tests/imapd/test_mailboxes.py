from __future__ import annotations

import pytest

from mox.store.model import Flag
from tests.imapd.harness import Site, message


def names(lines: list[str]) -> list[str]:
    return [line.rpartition('"/" ')[2].strip('"') for line in lines]


def test_initial_mailboxes(site: Site) -> None:
    assert site.login().ok('list "" *') == [
        '* LIST (\\HasNoChildren) "/" INBOX',
        '* LIST (\\HasNoChildren \\Archive) "/" Archive',
        '* LIST (\\HasNoChildren \\Drafts) "/" Drafts',
        '* LIST (\\HasNoChildren \\Junk) "/" Junk',
        '* LIST (\\HasNoChildren \\Sent) "/" Sent',
        '* LIST (\\HasNoChildren \\Trash) "/" Trash',
    ]


def test_create_makes_parents_and_says_nothing_to_rev1(site: Site) -> None:
    client = site.login()
    assert client.ok("create a/b/c") == []
    assert names(client.ok('list "" a*')) == ["a", "a/b", "a/b/c"]
    assert client.no("create a/b").startswith("[ALREADYEXISTS] ")
    assert client.ok("create d/") == []
    assert names(client.ok('lsub "" d')) == ["d"]


@pytest.mark.parametrize("name", ['""', '"x//y"', '"/x"', '"#x"', '"a/../b"', '"x\ty"'])
def test_names_that_cannot_be(site: Site, name: str) -> None:
    assert site.login().no(f"create {name}").startswith("[CANNOT] ")


@pytest.mark.parametrize("command", ["create inbox", "create INBOX"])
def test_inbox_exists(site: Site, command: str) -> None:
    assert site.login().no(command).startswith("[ALREADYEXISTS] ")


def test_create_with_special_use(site: Site) -> None:
    client = site.login()
    client.ok("create Old (use (\\Archive))")
    assert '* LIST (\\HasNoChildren \\Archive) "/" Old' in client.ok('list "" *')
    assert '* LIST (\\HasNoChildren) "/" Archive' in client.ok('list "" *')
    assert client.no("create All (use (\\All))").startswith("[USEATTR] ")


def test_delete(site: Site) -> None:
    client = site.login()
    client.ok("create a/b")
    assert client.no("delete a").startswith("[HASCHILDREN] ")
    client.ok("delete a/b")
    client.ok("delete a")
    assert client.no("delete a").startswith("[NONEXISTENT] ")
    assert client.no("delete inbox").startswith("[CANNOT] ")


def test_rename(site: Site) -> None:
    client = site.login()
    client.ok("create a/b")
    site.add(message(1), mailbox="a/b")
    assert client.ok("rename a x/y") == []
    assert names(client.ok('list "" x*')) == ["x", "x/y", "x/y/b"]
    assert "* 1 EXISTS" in client.ok("select x/y/b")
    assert client.no("rename nowhere z").startswith("[NONEXISTENT] ")
    assert client.no("rename x Archive").startswith("[ALREADYEXISTS] ")


def test_rename_tells_rev2_the_old_name(site: Site) -> None:
    client = site.login(enable="imap4rev2")
    client.ok("create before")
    assert client.ok("rename before after") == [
        '* LIST (\\HasNoChildren \\Subscribed) "/" after ("OLDNAME" (before))'
    ]


def test_rename_of_inbox_moves_its_messages(site: Site) -> None:
    site.add(message(1))
    client = site.login()
    client.ok("rename inbox kept")
    assert "* 0 EXISTS" in client.ok("select inbox")
    assert "* 1 EXISTS" in client.ok("select kept")


def test_subscriptions(site: Site) -> None:
    client = site.login()
    client.ok("unsubscribe Junk")
    client.ok("subscribe ghost/x")
    assert names(client.ok('lsub "" *')) == [
        "INBOX",
        "Archive",
        "Drafts",
        "Sent",
        "Trash",
        "ghost/x",
    ]
    assert client.ok('list (subscribed) "" ghost/*') == [
        '* LIST (\\NonExistent \\HasNoChildren \\Subscribed) "/" ghost/x'
    ]
    client.ok("unsubscribe ghost/x")
    assert client.no("unsubscribe ghost/x").startswith("[NONEXISTENT] ")


def test_list_extended(site: Site) -> None:
    client = site.login()
    client.ok("create A/b")
    assert client.ok('list (special-use) "" "*" return (subscribed)') == [
        '* LIST (\\HasNoChildren \\Subscribed \\Archive) "/" Archive',
        '* LIST (\\HasNoChildren \\Subscribed \\Drafts) "/" Drafts',
        '* LIST (\\HasNoChildren \\Subscribed \\Junk) "/" Junk',
        '* LIST (\\HasNoChildren \\Subscribed \\Sent) "/" Sent',
        '* LIST (\\HasNoChildren \\Subscribed \\Trash) "/" Trash',
    ]
    assert client.ok('list "" ("A" "Se%")') == [
        '* LIST (\\HasChildren) "/" A',
        '* LIST (\\HasNoChildren \\Sent) "/" Sent',
    ]
    assert client.ok('list "" ""') == ['* LIST (\\Noselect) "/" ""']


def test_list_with_status(site: Site) -> None:
    site.add(message(1))
    client = site.login()
    assert client.ok('list "" (inbox Sent) return (status (messages unseen))') == [
        '* LIST (\\HasNoChildren) "/" INBOX',
        "* STATUS INBOX (MESSAGES 1 UNSEEN 1)",
        '* LIST (\\HasNoChildren \\Sent) "/" Sent',
        "* STATUS Sent (MESSAGES 0 UNSEEN 0)",
    ]


def test_status(site: Site) -> None:
    site.add(message(1), flags=Flag.SEEN | Flag.DELETED)
    site.add(message(2))
    size = len(message(1))
    client = site.login()
    items = "messages uidnext unseen deleted size recent deleted-storage appendlimit"
    assert client.ok(f"status inbox ({items})") == [
        f"* STATUS INBOX (MESSAGES 2 UIDNEXT 3 UNSEEN 1 DELETED 1 SIZE {2 * size} RECENT 2"
        f" DELETED-STORAGE {size} APPENDLIMIT 1048576)"
    ]
    client.ok("select inbox")
    assert client.ok("status inbox (recent)") == ["* STATUS INBOX (RECENT 0)"]
    assert client.no("status nowhere (messages)").startswith("[NONEXISTENT] ")


def test_status_of_highestmodseq_enables_condstore(site: Site) -> None:
    client = site.login("inbox")
    lines = client.ok("status Archive (highestmodseq)")
    assert lines[0].startswith("* OK [HIGHESTMODSEQ ")
    assert lines[1].startswith("* STATUS Archive (HIGHESTMODSEQ ")


def test_names_beyond_ascii(site: Site) -> None:
    client = site.login()
    client.ok('create "Entw&APw-rfe"')
    assert client.ok('list "" Entw*') == ['* LIST (\\HasNoChildren) "/" Entw&APw-rfe']
    client.ok("enable utf8=accept")
    assert client.ok('list "" Entw*') == ['* LIST (\\HasNoChildren) "/" "Entwürfe"']
    client.ok('select "Entwürfe"')


def test_namespace(site: Site) -> None:
    assert site.login().ok("namespace") == ['* NAMESPACE (("" "/")) NIL NIL']


def test_enable(site: Site) -> None:
    client = site.login("inbox")
    lines = client.ok("enable imap4rev2 qresync bogus")
    assert lines[0] == "* ENABLED imap4rev2 qresync CONDSTORE"
    assert lines[1].startswith("* OK [HIGHESTMODSEQ ")
    assert client.ok("enable IMAP4rev2") == ["* ENABLED"]


def test_quota(site: Site) -> None:
    client = site.login(user="small")
    site.add(b"x" * 1030, user="small")
    assert client.ok("getquotaroot inbox") == [
        '* QUOTAROOT INBOX ""',
        '* QUOTA "" (STORAGE 2 5 MESSAGE 1 4294967295 MAILBOX 6 4294967295)',
    ]
    assert client.ok('getquota ""') == [
        '* QUOTA "" (STORAGE 2 5 MESSAGE 1 4294967295 MAILBOX 6 4294967295)'
    ]
    assert client.no("getquota other").startswith("[NONEXISTENT] ")


def test_no_quota(site: Site) -> None:
    assert site.login().ok("getquotaroot inbox") == ['* QUOTAROOT INBOX ""']
