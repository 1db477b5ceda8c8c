"""Results that are kept up to date (RFC 5267 §4.3)."""

from __future__ import annotations

import pytest

from mox.store.model import Flag
from tests.imapd.harness import Client, Site, message


@pytest.fixture
def client(site: Site) -> Client:
    site.add(message(1), message(2), message(3), message(4))
    return site.login("inbox")


def about(lines: list[str]) -> list[str]:
    return [line.partition(") ")[2] for line in lines if line.startswith("* ESEARCH")]


def test_flags_bring_messages_in_and_take_them_out(client: Client, site: Site) -> None:
    first = client.ok("uid search return (update count) flagged")
    assert about(first) == ["UID COUNT 0"]
    assert about(client.ok("store 2:3 +flags.silent (\\Flagged)")) == ["UID ADDTO (0 2:3)"]
    other = site.login("inbox")
    other.ok("store 3 -flags (\\Flagged)")
    lines = client.ok("noop")
    assert about(lines) == ["UID REMOVEFROM (0 3)"]
    # After the FETCH that tells of the flags.
    assert lines[0].startswith("* 3 FETCH")


def test_new_messages_come_after_exists(client: Client, site: Site) -> None:
    client.ok("search return (update) unseen")
    site.add(message(5))
    site.add(message(6), flags=Flag.SEEN)
    lines = client.ok("noop")
    assert about(lines) == ["ADDTO (0 5)"]
    assert lines.index("* 6 EXISTS") < len(lines) - 1


def test_removals_come_before_expunge(client: Client, site: Site) -> None:
    client.ok("search return (update) all")
    other = site.login("inbox")
    other.ok("store 2,3 +flags (\\Deleted)")
    other.ok("expunge")
    lines = client.ok("noop")
    assert about(lines) == ["REMOVEFROM (0 2:3)"]
    assert lines[0].startswith("* ESEARCH")
    assert [line for line in lines if "EXPUNGE" in line] == ["* 3 EXPUNGE", "* 2 EXPUNGE"]
    # Told once.
    assert client.ok("noop") == []


def test_removals_are_told_also_while_numbers_must_stay(client: Client, site: Site) -> None:
    client.ok("uid search return (update) all")
    other = site.login("inbox")
    other.ok("store 2 +flags (\\Deleted)")
    other.ok("expunge")
    lines = client.ok("fetch 1 (flags)")
    assert about(lines) == ["UID REMOVEFROM (0 2)"]
    assert not any("EXPUNGE" in line for line in lines)
    assert "* 2 EXPUNGE" in client.ok("noop")


def test_sorted_results_tell_places(client: Client, site: Site) -> None:
    first = client.ok("uid sort return (update all) (reverse arrival) utf-8 unseen")
    assert about(first) == ["UID ALL 1:4"]
    site.add(message(5), received=(1_900_000_000, 0))
    assert about(client.ok("noop")) == ["UID ADDTO (1 5)"]
    site.add(message(6), received=(1_700_000_000, 0))
    assert about(client.ok("noop")) == ["UID ADDTO (6 6)"]
    assert about(client.ok("store 1,6 +flags (\\Seen)")) == ["UID REMOVEFROM (6 6 2 1)"]
    assert about(client.ok("store 1 -flags (\\Seen)")) == ["UID ADDTO (2 1)"]


def test_a_context_ends_with_cancelupdate_and_with_the_mailbox(client: Client) -> None:
    client.send("b1 search return (update) flagged\r\n")
    while not client.line().startswith("b1 OK"):
        pass
    client.send("b1 search return (update) flagged\r\n")
    assert client.line().startswith("b1 BAD")
    client.no('cancelupdate "nosuch"')
    client.ok('cancelupdate "b1"')
    assert about(client.ok("store 1 +flags (\\Flagged)")) == []
    client.ok("uid search return (update) flagged")
    client.ok("select Archive")
    client.ok("select inbox")
    assert about(client.ok("store 2 +flags (\\Flagged)")) == []


def test_there_is_a_limit(client: Client) -> None:
    for _ in range(8):
        assert len(client.ok("search return (update count) all")) == 1
    lines = client.ok("search return (update count) all")
    assert about(lines) == ["COUNT 4"]
    assert lines[1].startswith('* NO [NOUPDATE "t')


def test_updates_while_idling(client: Client, site: Site) -> None:
    client.ok("uid search return (update) subject hello")
    client.idle()
    site.add(message(5))
    while not (line := client.line()).startswith("* ESEARCH"):
        pass
    assert line.endswith("UID ADDTO (0 5)")
    client.done()


def test_sequence_numbers_in_the_program_mean_what_they_meant(client: Client, site: Site) -> None:
    client.ok("uid search return (update) 3:* unseen")
    client.ok("store 1 +flags.silent (\\Deleted)")
    client.ok("expunge")
    # Number 2 is the message that was number 3.
    assert about(client.ok("store 2 +flags (\\Seen)")) == ["UID REMOVEFROM (0 3)"]
    site.add(message(5))
    assert about(client.ok("noop")) == []


def test_a_keyword_that_comes_later_is_noticed(client: Client) -> None:
    client.ok("uid search return (update) keyword later")
    assert about(client.ok("store 2 +flags (later)")) == ["UID ADDTO (0 2)"]


@pytest.mark.parametrize("space", ["", " "])
def test_new_messages_among_the_results_come_with_what_was_asked_for(
    client: Client, site: Site, space: str
) -> None:
    """RFC 5465 §7"""
    client.ok(f"search return (count update{space}(uid rfc822.size)) unseen")
    client.ok("uid sort return (update) (arrival) utf-8 all")
    site.add(message(5), flags=Flag.SEEN)
    site.add(message(6))
    lines = client.ok("noop")
    fetched = [line for line in lines if "RFC822.SIZE" in line]
    assert fetched == [f"* 6 FETCH (UID 6 RFC822.SIZE {len(message(6))})"]
    at = lines.index(fetched[0])
    assert lines.index("* 6 EXISTS") < at
    assert all(lines.index(line) > at for line in lines if "ESEARCH" in line)
    assert about(lines) == ["ADDTO (0 6)", "UID ADDTO (5 5 6 6)"]
    # Not what becomes a result by its flags, nor what the client put there itself.
    lines = client.ok("store 5 -flags (\\Seen)")
    assert about(lines) == ["ADDTO (0 5)"]
    assert not any("RFC822.SIZE" in line for line in lines)
    client.append("inbox", message(7))
    lines = client.ok("noop")
    assert not any("RFC822.SIZE" in line for line in lines)


def test_attributes_of_update_and_of_notify(client: Client, site: Site) -> None:
    client.ok("uid search return (update (uid body[header.fields (subject)])) unseen")
    client.ok("notify set (selected (messagenew (uid flags) messageexpunge))")
    site.add(message(5))
    lines = [client.line() for _ in range(5)]
    assert lines[0] == "* 5 EXISTS"
    assert "BODY[HEADER.FIELDS (subject)]" in lines[2]
    assert about(lines) == ["UID ADDTO (0 5)"]
    assert lines[4] == "* 5 FETCH (UID 5 FLAGS (\\Recent))"
    assert client.ok("search seen") == ["* SEARCH"]


@pytest.mark.parametrize("option", ["update ()", "update (frob)", "update(uid) (uid)", "all (uid)"])
def test_malformed_attributes_of_update(client: Client, option: str) -> None:
    client.bad(f"search return ({option}) unseen")
