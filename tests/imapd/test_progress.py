"""Commands on many messages: in pieces, with word of their progress (RFC 9585)."""

from __future__ import annotations

import gevent
import pytest

from mox.imapd import progress
from mox.store import copying
from mox.store.account import Account
from mox.store.errors import ErrorKind, StoreError
from tests.imapd.harness import Site, message


@pytest.fixture
def small_pieces(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(progress, "PIECE", 4)
    monkeypatch.setattr(progress, "INTERVAL_S", 0.0)


def told(lines: list[str]) -> list[str]:
    return [line for line in lines if "INPROGRESS" in line]


@pytest.mark.usefixtures("small_pieces")
def test_copy_tells_how_far_it_is(site: Site) -> None:
    site.add(*[message(n) for n in range(10)])
    client = site.login("inbox")
    answer = client.command("copy 1:* Sent")
    assert told(answer.lines) == [
        f'* OK [INPROGRESS ("t3" {done} 10)] still at it' for done in (4, 8, 10)
    ]
    assert answer.code.endswith(" 1:10 1:10")


@pytest.mark.usefixtures("small_pieces")
def test_move_store_and_expunge_do(site: Site) -> None:
    site.add(*[message(n) for n in range(20)])
    client = site.login("inbox", enable="qresync")
    lines = client.ok("uid move 1:10 Sent")
    assert len(told(lines)) == 3
    assert [line.split(" ", 2)[1] for line in lines[-2:]] == ["OK", "VANISHED"]
    assert lines[-2].endswith(" 1:10 1:10] moved")
    assert lines[-1] == "* VANISHED 1:10"
    assert len(told(client.ok("uid store 11:* +flags (\\Deleted)"))) == 3
    lines = client.ok("expunge")
    assert len(told(lines)) == 3
    assert lines[-1] == "* VANISHED 11:20"


@pytest.mark.usefixtures("small_pieces")
def test_close_removes_in_pieces_too(site: Site) -> None:
    site.add(*[message(n) for n in range(10)])
    client = site.login("inbox")
    client.ok("store 1:* +flags.silent (\\Deleted)")
    client.ok("close")
    assert client.ok("status inbox (messages)") == ["* STATUS INBOX (MESSAGES 0)"]


@pytest.mark.usefixtures("small_pieces")
def test_expunge_leaves_what_the_client_does_not_know(site: Site) -> None:
    site.add(*[message(n) for n in range(10)])
    client, other = site.login("inbox"), site.login("inbox")
    client.ok("store 1:9 +flags.silent (\\Deleted)")
    other.append("inbox", message(11), "(\\Deleted)")
    client.ok("expunge")
    assert "* SEARCH 10 11" in other.ok("uid search all")


@pytest.mark.usefixtures("small_pieces")
def test_store_that_is_held_back_in_pieces(site: Site) -> None:
    site.add(*[message(n) for n in range(10)])
    client = site.login("inbox")
    client.ok("store 2,9 +flags (\\Flagged)")
    (line,) = client.ok("status inbox (highestmodseq)")[-1:]
    before = int(line.split()[-1].rstrip(")")) - 1
    answer = client.command(f"uid store 1:* (unchangedsince {before}) +flags (\\Seen)")
    assert answer.code == "MODIFIED 2,9"


@pytest.mark.usefixtures("small_pieces")
def test_a_copy_that_fails_leaves_nothing(site: Site, monkeypatch: pytest.MonkeyPatch) -> None:
    site.add(*[message(n) for n in range(10)])
    client = site.login("inbox")
    copy, calls = copying.copy, []

    def full(*words: object) -> list[int]:
        calls.append(1)
        if len(calls) > 2:
            raise StoreError(ErrorKind.OVER_QUOTA, "over quota")
        return copy(*words)  # type: ignore[arg-type]

    with monkeypatch.context() as patch:
        patch.setattr(copying, "copy", full)
        assert client.command("copy 1:* Sent").code == "OVERQUOTA"
    assert client.ok("status Sent (messages)") == ["* STATUS Sent (MESSAGES 0)"]


@pytest.mark.usefixtures("small_pieces")
def test_others_are_served_between_pieces(site: Site, monkeypatch: pytest.MonkeyPatch) -> None:
    site.add(*[message(n) for n in range(12)])
    client, other = site.login("inbox"), site.login("Sent")
    copy = Account.copy
    seen: list[str] = []

    def slowly(account: Account, *words: object) -> object:
        gevent.sleep(0.01)
        seen.extend(other.ok("noop"))
        return copy(account, *words)  # type: ignore[arg-type]

    monkeypatch.setattr(Account, "copy", slowly)
    client.ok("copy 1:* Sent")
    assert "* 4 EXISTS" in seen


def test_search_tells_that_it_goes_on(site: Site, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(progress, "INTERVAL_S", 0.0)
    monkeypatch.setattr("mox.imapd.pace._TURN_S", 0.0)
    site.add(*[message(n) for n in range(5)])
    lines = site.login("inbox").ok("search body nothing")
    assert told(lines)[0] == '* OK [INPROGRESS ("t3" NIL NIL)] still at it'


def test_quick_commands_say_nothing(site: Site) -> None:
    site.add(*[message(n) for n in range(10)])
    client = site.login("inbox")
    assert not told(client.ok("copy 1:* Sent"))
