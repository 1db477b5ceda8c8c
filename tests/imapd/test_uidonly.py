"""UIDONLY (RFC 9586) and UIDBATCHES (RFC 10022)."""

from __future__ import annotations

import pytest

from mox.imap import uidbatches
from mox.imapd import selecting
from tests.imapd.harness import Client, Literal, Site, message


def uidonly(site: Site, *, more: str = "") -> Client:
    client = site.login()
    assert client.ok(f"enable uidonly imap4rev2 {more}")[0].startswith("* ENABLED uidonly")
    client.ok("select inbox")
    return client


@pytest.mark.parametrize(
    "words",
    [
        "fetch 1 flags",
        "store 1 flags ()",
        "search all",
        "copy 1 Sent",
        "move 1 Sent",
        "uid search 1:*",
        "uid search or seen (not 2)",
        "select inbox (qresync (1 1 1:2 (1 1)))",
    ],
)
def test_sequence_numbers_are_refused(site: Site, words: str) -> None:
    site.add(message(1), message(2))
    client = uidonly(site, more="qresync")
    assert client.bad(words).startswith("[UIDREQUIRED]")


def test_replace_by_number_is_refused(site: Site) -> None:
    site.add(message(1))
    client = uidonly(site)
    answer = client.command("replace 1 inbox", Literal(message(2)))
    assert (answer.status, answer.code) == ("BAD", "UIDREQUIRED")
    client.ok("uid replace 1 inbox", Literal(message(2)))


def test_fetch_becomes_uidfetch(site: Site) -> None:
    site.add(message(1), message(2))
    client = uidonly(site)
    client.ok("uid store 1 +flags.silent (\\Deleted)")
    assert client.ok("uid expunge 1") == ["* VANISHED 1"]
    assert client.ok("uid fetch 1:* (flags)") == ["* 2 UIDFETCH (FLAGS ())"]
    assert client.ok("uid fetch 2 (uid rfc822.size)") == [
        f"* 2 UIDFETCH (UID 2 RFC822.SIZE {len(message(2))})"
    ]
    assert client.ok("uid store 2 +flags (\\Flagged)") == ["* 2 UIDFETCH (FLAGS (\\Flagged))"]
    (line,) = client.ok("uid fetch 2 body[text]")
    assert line == "* 2 UIDFETCH (BODY[TEXT] {11}\r\nsome text\r\n FLAGS (\\Flagged \\Seen))"
    assert client.ok("uid search return (save) all") == []
    assert client.ok("uid fetch $ flags") == ["* 2 UIDFETCH (FLAGS (\\Flagged \\Seen))"]


def test_news_have_uids(site: Site) -> None:
    site.add(message(1), message(2))
    client, other = uidonly(site), site.login("inbox")
    other.ok("store 1 +flags (\\Deleted)")
    other.ok("expunge")
    other.ok("store 1 +flags (\\Answered)")
    other.append("inbox", message(3))
    assert client.ok("noop") == [
        "* VANISHED 1",
        "* 2 EXISTS",
        "* 2 UIDFETCH (FLAGS (\\Answered))",
        "* 3 UIDFETCH (FLAGS ())",
    ]


def test_kept_lines_are_not_mixed_up(site: Site) -> None:
    """Sessions of one worker share lines; those of the two kinds differ."""
    first, second, other = (
        uidonly(site),
        site.login("inbox", enable="imap4rev2"),
        site.login("inbox"),
    )
    other.append("inbox", message(1))
    other.append("inbox", message(2))
    assert first.ok("noop")[-1] == "* 2 UIDFETCH (FLAGS ())"
    assert second.ok("noop")[-1] == "* 2 FETCH (UID 2 FLAGS ())"


def test_messages_removed_elsewhere(site: Site) -> None:
    site.add(message(1))
    client, other = uidonly(site), site.login("inbox")
    other.ok("store 1 +flags (\\Deleted)")
    client.ok("noop")
    other.ok("expunge")
    answer = client.command("uid fetch 1 body.peek[text]")
    assert answer.lines[0] == "* 1 UIDFETCH (BODY[TEXT] {11}\r\nsome text\r\n)"


def test_without_it_search_by_uid_still_takes_numbers(site: Site) -> None:
    site.add(message(1))
    assert site.login("inbox").ok("uid search 1") == ["* SEARCH 1"]


# ---- UIDBATCHES


def test_batches(site: Site, monkeypatch: pytest.MonkeyPatch) -> None:
    client = site.login("inbox")
    assert client.ok("uidbatches 500") == ['* UIDBATCHES (TAG "t3")']
    site.add(*[message(n) for n in range(1, 11)])
    assert client.ok("noop")[0] == "* 10 EXISTS"
    assert client.ok("uidbatches 500") == ['* UIDBATCHES (TAG "t5") 10:1']
    monkeypatch.setattr(selecting, "MIN_SIZE", 1)
    (line,) = client.ok("uidbatches 4")
    assert line.endswith(" 10:7,6:3,2:1")
    (line,) = client.ok("uidbatches 4 2:2")
    assert line.endswith(" 6:3")
    (line,) = client.ok("uidbatches 4 9:10")
    assert line.endswith('")')


def test_batches_that_cannot_be(site: Site) -> None:
    client = site.login()
    client.bad("uidbatches 500")
    client.ok("select inbox")
    assert client.no(f"uidbatches {uidbatches.MIN_SIZE - 1}").startswith("[TOOFEW]")
    assert client.bad("uidbatches 500 20:10").startswith("[CLIENTBUG]")
