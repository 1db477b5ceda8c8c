from __future__ import annotations

import pytest

from mox.store.model import Flag
from tests.imapd.harness import Client, Site, message


@pytest.fixture
def client(site: Site) -> Client:
    site.add(message(1), message(2), message(3))
    return site.login("inbox", enable="imap4rev2")


def test_store_tells_the_new_flags(client: Client) -> None:
    assert client.ok("store 1:2 +flags (\\Seen \\Flagged)") == [
        "* 1 FETCH (FLAGS (\\Flagged \\Seen))",
        "* 2 FETCH (FLAGS (\\Flagged \\Seen))",
    ]
    assert client.ok("store 2 -flags \\Seen") == ["* 2 FETCH (FLAGS (\\Flagged))"]
    assert client.ok("store 2 flags (\\Draft $Forwarded)") == [
        "* 2 FETCH (FLAGS (\\Draft $Forwarded))"
    ]
    assert client.ok("store 2 flags ()") == ["* 2 FETCH (FLAGS ())"]


def test_silent_store_tells_nothing(client: Client) -> None:
    assert client.ok("store 1:* +flags.silent (\\Seen)") == []
    assert client.ok("fetch 3 flags") == ["* 3 FETCH (FLAGS (\\Seen))"]


def test_uid_store_tells_uids(client: Client) -> None:
    assert client.ok("uid store 2 +flags \\Seen") == ["* 2 FETCH (UID 2 FLAGS (\\Seen))"]
    assert client.ok("uid store 77 +flags \\Seen") == []


def test_new_keyword_is_announced_before_it_is_shown(client: Client) -> None:
    lines = client.ok("store 1 +flags (Todo)")
    assert lines[0].startswith("* FLAGS (")
    assert lines[0].endswith(" Todo)")
    assert lines[1].startswith("* OK [PERMANENTFLAGS (")
    assert lines[2] == "* 1 FETCH (FLAGS (Todo))"
    assert client.ok("store 2 +flags (todo)") == ["* 2 FETCH (FLAGS (Todo))"]


def test_new_keyword_of_another_session_is_announced(site: Site, client: Client) -> None:
    site.login("inbox").ok("store 1 +flags.silent (later)")
    lines = client.ok("noop")
    assert lines[0].startswith("* FLAGS (")
    assert lines[2] == "* 1 FETCH (UID 1 FLAGS (later))"
    assert client.ok("noop") == []


def test_too_many_keywords(site: Site) -> None:
    site.add(message(1))
    client = site.login("inbox")
    words = " ".join(f"k{n}" for n in range(64))
    client.ok(f"store 1 flags.silent ({words})")
    assert client.no("store 1 +flags (one-more)").startswith("[LIMIT] ")


@pytest.mark.parametrize("flags", ["\\Recent", "\\Unknown", "(\\Seen \\*)", "a{b"])
def test_flags_that_cannot_be_set(client: Client, flags: str) -> None:
    assert client.bad(f"store 1 +flags {flags}")


def test_store_of_a_message_that_is_gone(site: Site, client: Client) -> None:
    other = site.login("inbox")
    other.ok("store 2 +flags.silent (\\Deleted)")
    other.ok("expunge")
    answer = client.command("store 1:3 +flags.silent (\\Seen)")
    assert (answer.status, answer.code, answer.lines) == ("OK", "EXPUNGEISSUED", [])
    assert client.ok("noop") == ["* 2 EXPUNGE"]
    assert client.ok("fetch 1:2 (uid flags)") == [
        "* 1 FETCH (UID 1 FLAGS (\\Seen))",
        "* 2 FETCH (UID 3 FLAGS (\\Seen))",
    ]


def test_own_change_is_not_told_again_but_anothers_is(site: Site, client: Client) -> None:
    client.ok("store 1 +flags.silent (\\Seen)")
    site.login("inbox").ok("store 2 +flags.silent (\\Seen)")
    client.ok("store 3 +flags.silent (\\Seen)")
    assert client.ok("noop") == []
    other = site.login("inbox", enable="imap4rev2")
    assert other.ok("noop") == []


def test_changes_of_others_are_told_after_store(site: Site, client: Client) -> None:
    site.login("inbox").ok("store 2 +flags.silent (\\Draft)")
    assert client.ok("store 3 +flags.silent (\\Seen)") == ["* 2 FETCH (UID 2 FLAGS (\\Draft))"]


def test_flags_reach_the_store(site: Site, client: Client) -> None:
    client.ok("store 1 flags.silent (\\Answered $forwarded)")
    box = site.account().mailbox("INBOX")
    assert box is not None
    record = site.account().message(box.id, 1)
    assert record is not None
    assert record[8] & 0x7FFF == Flag.ANSWERED | Flag.FORWARDED


def test_recent_is_shown_to_rev1_clients(site: Site) -> None:
    site.add(message(1))
    client = site.login("inbox")
    assert client.ok("store 1 +flags (\\Seen)") == ["* 1 FETCH (FLAGS (\\Seen \\Recent))"]
