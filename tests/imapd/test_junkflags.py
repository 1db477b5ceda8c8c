"""Mailboxes that mark what enters them; Junk does, by its special use."""

from __future__ import annotations

import pytest

from tests.imapd.harness import Client, Site, message


@pytest.fixture
def client(site: Site) -> Client:
    site.add(message(1), message(2), keywords=("$NotJunk", "todo"))
    return site.login("inbox", enable="imap4rev2")


@pytest.mark.parametrize("command", ["copy", "move"])
def test_message_that_comes_into_junk_is_marked(client: Client, command: str) -> None:
    client.ok(f"{command} 1 Junk")
    client.ok("select Junk")
    assert client.ok("fetch 1 (flags)") == ["* 1 FETCH (FLAGS (todo $Junk))"]


def test_mark_stays_where_no_mailbox_decides(client: Client) -> None:
    client.ok("copy 1 Archive")
    client.ok("select Archive")
    assert client.ok("fetch 1 (flags)") == ["* 1 FETCH (FLAGS ($NotJunk todo))"]


def test_append_to_the_selected_mailbox_tells_the_mark(client: Client) -> None:
    client.ok("select Junk")
    lines = client.ok("append Junk (\\Seen) {3+}\r\nx: ")
    assert "* 1 EXISTS" in lines
    assert "* 1 FETCH (UID 1 FLAGS (\\Seen $Junk))" in lines


def test_copy_within_the_mailbox_tells_the_mark(client: Client) -> None:
    client.ok("copy 1 Junk")
    client.ok("select Junk")
    client.ok("store 1 -flags.silent ($Junk)")
    lines = client.ok("copy 1 Junk")
    assert lines == ["* 2 EXISTS", "* 2 FETCH (UID 2 FLAGS (todo $Junk))"]


def test_flags_of_the_client_stay_its_own(client: Client) -> None:
    """A mark is given on entering only: it can be taken back."""
    client.ok("copy 1 Junk")
    client.ok("select Junk")
    client.ok("store 1 flags ()")
    assert client.ok("fetch 1 (flags)") == ["* 1 FETCH (FLAGS ())"]
