from __future__ import annotations

import re

import pytest

from mox.store.model import Flag
from tests.imapd.harness import Client, Site, message


@pytest.fixture
def client(site: Site) -> Client:
    site.add(message(1), message(2), message(3), flags=Flag.SEEN, keywords=("todo",))
    return site.login("inbox", enable="imap4rev2")


def validity(client: Client, mailbox: str) -> str:
    (line,) = client.ok(f"status {mailbox} (uidvalidity)")
    match = re.search(r"UIDVALIDITY (\d+)", line)
    assert match is not None
    return match.group(1)


def test_copy_keeps_flags_and_date(client: Client) -> None:
    dates = client.ok("fetch 2 (internaldate)")
    answer = client.command("copy 2:3 Archive")
    assert answer.code == f"COPYUID {validity(client, 'Archive')} 2:3 1:2"
    assert answer.lines == []
    client.ok("select Archive")
    assert client.ok("fetch 1 (flags)") == ["* 1 FETCH (FLAGS (\\Seen todo))"]
    assert client.ok("fetch 1 (internaldate)")[0][9:] == dates[0][9:]


def test_copy_into_the_same_mailbox(client: Client) -> None:
    answer = client.command("copy 1 inbox")
    assert answer.code.startswith("COPYUID ")
    assert answer.lines == ["* 4 EXISTS"]
    assert client.ok("fetch 4 (uid flags)") == ["* 4 FETCH (UID 4 FLAGS (\\Seen todo))"]


@pytest.mark.parametrize("command", ["copy", "move"])
def test_destination_that_does_not_exist(client: Client, command: str) -> None:
    assert client.no(f"{command} 1 Nowhere").startswith("[TRYCREATE] ")


@pytest.mark.parametrize("command", ["uid copy 99", "uid move 99"])
def test_no_messages_is_fine_by_uid(client: Client, command: str) -> None:
    answer = client.command(f"{command} Archive")
    assert (answer.status, answer.code) == ("OK", "")


@pytest.mark.parametrize("command", ["copy 9", "move 1:9"])
def test_numbers_beyond_the_end(client: Client, command: str) -> None:
    assert client.bad(f"{command} Archive")


def test_copy_over_quota(site: Site) -> None:
    site.add(message(1, "x" * 3000), user="small")
    client = site.login("inbox", user="small")
    assert client.no("copy 1 Archive").startswith("[OVERQUOTA] ")


def test_move(client: Client) -> None:
    answer = client.command("move 1,3 Archive")
    assert answer.text == "move done"
    assert answer.lines == [
        f"* OK [COPYUID {validity(client, 'Archive')} 1,3 1:2] moved",
        "* 3 EXPUNGE",
        "* 1 EXPUNGE",
    ]
    assert client.ok("fetch 1:* uid") == ["* 1 FETCH (UID 2)"]


def test_moved_message_vanishes_for_others_when_they_are_told(site: Site, client: Client) -> None:
    other = site.login("inbox", enable="imap4rev2")
    client.ok("uid move 1 Archive")
    answer = other.command("fetch 1 (uid body.peek[header.fields (subject)])")
    assert answer.code == "EXPUNGEISSUED"
    assert "hello 1" in answer.lines[0]
    assert other.ok("noop") == ["* 1 EXPUNGE"]


def test_expunge(client: Client) -> None:
    client.ok("store 1,3 +flags.silent (\\Deleted)")
    assert client.ok("expunge") == ["* 3 EXPUNGE", "* 1 EXPUNGE"]
    assert client.ok("expunge") == []


def test_uid_expunge_only_takes_what_is_named(client: Client) -> None:
    client.ok("store 1:3 +flags.silent (\\Deleted)")
    assert client.ok("uid expunge 2:2,77") == ["* 2 EXPUNGE"]
    assert client.ok("fetch 1:* uid") == ["* 1 FETCH (UID 1)", "* 2 FETCH (UID 3)"]


def test_expunge_leaves_messages_that_the_client_has_not_heard_of(
    site: Site, client: Client
) -> None:
    client.ok("store 1 +flags.silent (\\Deleted)")
    site.add(message(4), flags=Flag.DELETED)
    assert client.ok("expunge") == [
        "* 1 EXPUNGE",
        "* 3 EXISTS",
        "* 3 FETCH (UID 4 FLAGS (\\Deleted))",
    ]


def test_copied_files_are_links(site: Site, client: Client) -> None:
    client.ok("copy 1 Archive")
    account = site.account()
    archive = account.mailbox("Archive")
    assert archive is not None
    assert account.read(archive.id, 1).data.startswith(b"From: Alice")
