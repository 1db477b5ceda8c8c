"""CONDSTORE and QRESYNC (RFC 7162)."""

from __future__ import annotations

import re

import pytest

from mox.store.errors import HistoryLost
from tests.imapd.harness import Client, Site, message


@pytest.fixture
def client(site: Site) -> Client:
    site.add(*[message(n) for n in range(1, 6)])
    return site.login("inbox", enable="imap4rev2 qresync")


def modseq(client: Client, mailbox: str = "inbox") -> int:
    line = client.ok(f"status {mailbox} (highestmodseq)")[-1]
    match = re.search(r"HIGHESTMODSEQ (\d+)", line)
    assert match is not None
    return int(match.group(1))


def validity(client: Client) -> int:
    line = client.ok("status inbox (uidvalidity)")[-1]
    return int(line.split()[-1].rstrip(")"))


def without_modseq(lines: list[str]) -> list[str]:
    return [re.sub(r" MODSEQ \(\d+\)", " MODSEQ", line) for line in lines]


def test_every_flag_change_tells_its_modseq(site: Site) -> None:
    site.add(message(1))
    client = site.login("inbox", enable="imap4rev2 condstore")
    before = modseq(client)
    (line,) = client.ok("store 1 +flags (\\Seen)")
    assert line == f"* 1 FETCH (UID 1 FLAGS (\\Seen) MODSEQ ({before + 1}))"
    (line,) = client.ok("store 1 +flags.silent (\\Draft)")
    assert line == f"* 1 FETCH (UID 1 MODSEQ ({before + 2}))"
    assert client.ok("store 1 +flags.silent (\\Draft)") == []
    site.login("inbox").ok("store 1 -flags.silent (\\Draft)")
    assert client.ok("noop") == [f"* 1 FETCH (UID 1 FLAGS (\\Seen) MODSEQ ({before + 3}))"]
    (line,) = client.ok("uid fetch 1 (body[text]<0.1> modseq)")
    assert line.endswith(f"MODSEQ ({before + 3}) BODY[TEXT]<0> {{1}}\r\ns)")


def test_unchangedsince(client: Client, site: Site) -> None:
    now = modseq(client)
    site.login("inbox").ok("store 2 +flags.silent (\\Flagged)")
    answer = client.command(f"store 1:3 (unchangedsince {now}) +flags.silent (\\Seen)")
    assert answer.code == "MODIFIED 2"
    assert without_modseq(answer.lines)[:3] == [
        "* 1 FETCH (UID 1 MODSEQ)",
        "* 3 FETCH (UID 3 MODSEQ)",
        "* 2 FETCH (UID 2 FLAGS (\\Flagged) MODSEQ)",
    ]
    answer = client.command("uid store 1:2 (unchangedsince 0) +flags (\\Seen)")
    assert answer.code == "MODIFIED 1:2"
    answer = client.command(f"store 4 (unchangedsince {now}) +flags (\\Seen)")
    assert answer.code == ""


def test_fetch_changedsince(client: Client, site: Site) -> None:
    now = modseq(client)
    assert client.ok(f"fetch 1:* (flags) (changedsince {now})") == []
    site.login("inbox").ok("store 2,4 +flags.silent (\\Flagged)")
    site.add(message(6))
    client.ok("noop")
    assert without_modseq(client.ok(f"uid fetch 1:* (flags) (changedsince {now})")) == [
        "* 2 FETCH (UID 2 FLAGS (\\Flagged) MODSEQ)",
        "* 4 FETCH (UID 4 FLAGS (\\Flagged) MODSEQ)",
        "* 6 FETCH (UID 6 FLAGS () MODSEQ)",
    ]
    assert len(client.ok(f"fetch 3:5 (flags) (changedsince {now})")) == 1
    assert len(client.ok("fetch 1:* (flags) (changedsince 0)")) == 6


def test_fetch_changedsince_when_the_log_is_too_short(
    client: Client, site: Site, monkeypatch: pytest.MonkeyPatch
) -> None:
    now = modseq(client)
    client.ok("store 3 +flags.silent (\\Flagged)")

    def lost(*_: object) -> None:
        raise HistoryLost

    monkeypatch.setattr("mox.store.account.Account.changes", lost)
    assert without_modseq(client.ok(f"uid fetch 1:* (flags) (changedsince {now})")) == [
        "* 3 FETCH (UID 3 FLAGS (\\Flagged) MODSEQ)"
    ]


def test_vanished_instead_of_expunge(client: Client, site: Site) -> None:
    other = site.login("inbox", enable="imap4rev2")
    before = modseq(client)
    client.ok("store 1:3 +flags.silent (\\Deleted)")
    answer = client.command("expunge")
    assert answer.lines == ["* VANISHED 1:3"]
    assert answer.code == f"HIGHESTMODSEQ {before + 2}"
    assert [line for line in other.ok("noop") if "EXPUNGE" in line] == [
        "* 3 EXPUNGE",
        "* 2 EXPUNGE",
        "* 1 EXPUNGE",
    ]
    assert client.command("expunge").code == ""


def test_close_tells_the_modseq(client: Client) -> None:
    client.ok("store 1 +flags.silent (\\Deleted)")
    assert client.command("close").code.startswith("HIGHESTMODSEQ ")


def test_fetch_of_vanished(client: Client, site: Site) -> None:
    now = modseq(client)
    other = site.login("inbox")
    other.ok("store 2:3,5 +flags.silent (\\Deleted)")
    other.ok("expunge")
    client.ok("noop")
    answer = client.ok(f"uid fetch 1:* (flags) (changedsince {now} vanished)")
    assert answer[0] == "* VANISHED (EARLIER) 2:3,5"
    assert len(answer) == 1
    answer = client.ok(f"uid fetch 3:5 (flags) (changedsince {now} vanished)")
    assert answer == ["* VANISHED (EARLIER) 3,5"]


def test_vanished_but_not_told_yet_is_left_for_later(client: Client, site: Site) -> None:
    now = modseq(client)
    other = site.login("inbox")
    other.ok("store 1 +flags.silent (\\Deleted)")
    other.ok("expunge")
    answer = client.ok(f"uid fetch 1:* (flags) (changedsince {now} vanished)")
    assert [line for line in answer if "VANISHED" in line] == ["* VANISHED 1"]


def test_resynchronise(client: Client, site: Site) -> None:
    now, valid = modseq(client), validity(client)
    other = site.login("inbox")
    other.ok("store 2 +flags.silent (\\Flagged)")
    other.ok("store 3,4 +flags.silent (\\Deleted)")
    other.ok("expunge")
    site.add(message(6))
    again = site.login(enable="qresync")
    lines = again.ok(f"select inbox (qresync ({valid} {now}))")
    told = [line for line in lines if "VANISHED" in line or "FETCH" in line]
    assert without_modseq(told) == [
        "* VANISHED (EARLIER) 3:4",
        "* 2 FETCH (UID 2 FLAGS (\\Flagged \\Recent) MODSEQ)".replace(" \\Recent", ""),
        "* 4 FETCH (UID 6 FLAGS (\\Recent) MODSEQ)",
    ]


def test_resynchronise_known_uids_only(client: Client, site: Site) -> None:
    now, valid = modseq(client), validity(client)
    other = site.login("inbox")
    other.ok("store 1:5 +flags.silent (\\Flagged)")
    other.ok("store 3,4 +flags.silent (\\Deleted)")
    other.ok("expunge")
    again = site.login(enable="qresync imap4rev2")
    lines = again.ok(f"select inbox (qresync ({valid} {now} 4:5 (1:2 1:2)))")
    told = [line for line in lines if "VANISHED" in line or "FETCH" in line]
    assert without_modseq(told) == [
        "* VANISHED (EARLIER) 4",
        "* 3 FETCH (UID 5 FLAGS (\\Flagged) MODSEQ)",
    ]


def test_resynchronise_another_uidvalidity(client: Client, site: Site) -> None:
    again = site.login(enable="qresync")
    lines = again.ok(f"select inbox (qresync ({validity(client) + 1} 1))")
    assert not [line for line in lines if "VANISHED" in line or "FETCH" in line]


def test_resynchronise_needs_enable(site: Site) -> None:
    assert site.login().bad("select inbox (qresync (1 1))")


def test_select_with_condstore(site: Site) -> None:
    site.add(message(1))
    client = site.login()
    client.ok("select inbox (condstore)")
    assert "MODSEQ" in client.ok("store 1 +flags (\\Seen)")[0]
