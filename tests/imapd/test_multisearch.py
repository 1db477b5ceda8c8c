"""ESEARCH in several mailboxes (RFC 7377)."""

from __future__ import annotations

import pytest

from tests.imapd.harness import Client, Site, message


@pytest.fixture
def client(site: Site) -> Client:
    client = site.login()
    for name in ("folder1", "folder1/salmon", "folder1/salmon/deep", "folder2", "INBOX/sub"):
        client.ok(f"create {name}")
    site.add(message(1, "salmon"), message(2), message(3, "salmon"), mailbox="folder1")
    site.add(message(4, "salmon"), mailbox="folder1/salmon")
    site.add(message(5, "salmon"), mailbox="folder1/salmon/deep")
    site.add(message(6), mailbox="folder2")
    site.add(message(7, "salmon"), mailbox="INBOX/sub")
    site.add(message(8, "salmon"))
    return client


def found(client: Client, command: str) -> dict[str, str]:
    """Results by mailbox."""
    result: dict[str, str] = {}
    for line in client.ok(command):
        correlator, _, rest = line.removeprefix("* ESEARCH (").partition(") UID ")
        words = correlator.split()
        assert words[0] == "TAG" and words[2] == "MAILBOX" and words[4] == "UIDVALIDITY"
        result[words[3]] = rest
    return result


SOURCES = [
    ("mailboxes folder1", {"folder1": "ALL 1,3"}),
    ("mailboxes (folder1 folder2 nosuch)", {"folder1": "ALL 1,3"}),
    ("mailboxes folder1 mailboxes folder1", {"folder1": "ALL 1,3"}),
    (
        "subtree folder1",
        {"folder1": "ALL 1,3", "folder1/salmon": "ALL 1", "folder1/salmon/deep": "ALL 1"},
    ),
    ("subtree-one folder1", {"folder1": "ALL 1,3", "folder1/salmon": "ALL 1"}),
    ("inboxes", {"INBOX": "ALL 1", "INBOX/sub": "ALL 1"}),
    ("mailboxes folder2", {}),
]


def test_sources(client: Client) -> None:
    for source, expected in SOURCES:
        assert found(client, f"esearch in ({source}) body salmon") == expected, source
    everything = {
        "INBOX",
        "INBOX/sub",
        "folder1",
        "folder1/salmon",
        "folder1/salmon/deep",
    }
    assert set(found(client, "esearch in (personal) body salmon")) == everything
    client.ok("unsubscribe folder1")
    assert set(found(client, "esearch in (subscribed) body salmon")) == everything - {"folder1"}


def test_result_options_are_of_each_mailbox(client: Client) -> None:
    command = "esearch in (subtree folder1) return (min max count) subject hello"
    assert found(client, command) == {
        "folder1": "MIN 1 MAX 3 COUNT 3",
        "folder1/salmon": "MIN 1 MAX 1 COUNT 1",
        "folder1/salmon/deep": "MIN 1 MAX 1 COUNT 1",
    }
    command = "esearch in (mailboxes folder1) return (partial -1:-2) 1:100"
    assert found(client, command) == {"folder1": "PARTIAL (-1:-2 2:3)"}


def test_the_selected_mailbox(client: Client) -> None:
    client.bad("esearch body salmon")
    client.bad("esearch in (selected) body salmon")
    client.bad("esearch in (mailboxes folder1) return (update) all")
    client.ok("select folder1")
    assert found(client, "esearch body salmon") == {"folder1": "ALL 1,3"}
    assert found(client, "esearch in (selected inboxes) body salmon") == {
        "folder1": "ALL 1,3",
        "INBOX": "ALL 1",
        "INBOX/sub": "ALL 1",
    }
    # RFC 7377 §2.2: SAVE for the selected mailbox alone.
    assert client.ok("esearch return (save) body salmon") == []
    assert client.ok("search $") == ["* SEARCH 1 3"]
    client.bad("esearch in (selected inboxes) return (save) all")
    client.bad("esearch in (mailboxes folder1) return (save) all")


def test_the_selected_mailbox_is_kept_up_to_date(client: Client) -> None:
    client.ok("select folder1")
    client.ok("esearch in (selected mailboxes folder2) return (update) flagged")
    lines = client.ok("store 2 +flags.silent (\\Flagged)")
    assert lines[-1].endswith("UID ADDTO (0 2)")


def test_names_are_written_as_the_client_reads_them(client: Client, site: Site) -> None:
    client.ok("create &AOk-")
    site.add(message(1), mailbox="é")
    (line,) = client.ok("esearch in (mailboxes &AOk-) all")
    assert " MAILBOX &AOk- UIDVALIDITY " in line
    client.ok("enable utf8=accept")
    (line,) = client.ok('esearch in (mailboxes "é") all')
    assert ' MAILBOX "é" UIDVALIDITY ' in line


@pytest.mark.parametrize(
    "command",
    [
        "esearch in () all",
        "esearch in (selected-delayed) all",
        "esearch in (mailboxes) all",
        "esearch in (nowhere) all",
        "esearch in (personal)",
        "esearch",
    ],
)
def test_what_makes_no_sense(client: Client, command: str) -> None:
    client.bad(command)
