"""Mistakes that other servers make and clients suffer from, one test each."""

from __future__ import annotations

import re

import pytest

from mox.imapd import progress
from tests.imapd.harness import MESSAGE, Literal, Site, message

UNTYPED = b"From: a@remote.example\r\nSubject: plain\r\n\r\nhello\r\n"


def test_untyped_messages_are_text(site: Site) -> None:
    site.add(UNTYPED)
    (line,) = site.login("inbox").ok("fetch 1 bodystructure")
    assert '("TEXT" "PLAIN" ("CHARSET" "US-ASCII") NIL NIL "7BIT" 7 1' in line


def test_disposition_without_parameters_is_kept(site: Site) -> None:
    site.add(b"Content-Type: text/plain\r\nContent-Disposition: attachment\r\n\r\nx\r\n")
    (line,) = site.login("inbox").ok("fetch 1 bodystructure")
    assert '("ATTACHMENT" NIL)' in line


def test_envelope_is_the_raw_header(site: Site) -> None:
    site.add(
        b"Date: Mon,  23 Nov 2026 12:46:03 +0100 (CET)\r\n"
        b"Subject: =?utf-8?q?h=C3=A9llo?=\r\nFrom: a@remote.example\r\n"
        b"To: friends: b@remote.example, c@remote.example;\r\n\r\nx\r\n"
    )
    (line,) = site.login("inbox").ok("fetch 1 envelope")
    assert '"Mon,  23 Nov 2026 12:46:03 +0100 (CET)" "=?utf-8?q?h=C3=A9llo?="' in line
    # RFC 9051 §7.5.2: the group begins and ends with marks.
    assert '((NIL NIL "friends" NIL)(NIL NIL "b" "remote.example")' in line
    assert '(NIL NIL "c" "remote.example")(NIL NIL NIL NIL))' in line


@pytest.mark.parametrize(
    ("key", "found"),
    [
        ('subject "héllo"', "1"),
        ('subject "HÉL"', "1"),
        ("sentsince 23-Nov-2026", "1"),
        ("sentsince 24-Nov-2026", ""),
        ("senton 23-Nov-2026", "1"),
        ("body hello", "2"),
        ("text hello", "2"),
    ],
)
def test_search_finds_what_people_see(site: Site, key: str, found: str) -> None:
    site.add(MESSAGE.replace(b"hello", b"=?utf-8?q?h=C3=A9llo?="), UNTYPED)
    client = site.login("inbox")
    words = key.split(" ", 1)
    if '"' in key:
        answer = client.ok(f"search charset utf-8 {words[0]}", Literal(words[1].strip('"')))
    else:
        answer = client.ok(f"search {key}")
    assert answer == [f"* SEARCH {found}".rstrip()]


def test_search_for_a_number_that_is_not_there(site: Site) -> None:
    site.add(message(1), message(2))
    # It matches nothing, above all not the last message.
    assert site.login("inbox").ok("search 5") == ["* SEARCH"]


def test_backslashes_in_quoted_strings(site: Site) -> None:
    client = site.login()
    client.ok('create "back\\\\slash"')
    assert client.ok('list "" "back*"') == ['* LIST (\\HasNoChildren) "/" "back\\\\slash"']


def test_setmetadata_takes_plain_literals(site: Site) -> None:
    client = site.login()
    client.send(b"a setmetadata inbox (/private/comment {2+}\r\nhi)\r\n")
    assert client.line().startswith("a OK")


def test_list_by_special_use_with_children(site: Site) -> None:
    client = site.login()
    client.ok("create Sent/2026")
    lines = client.ok('list (special-use) "" "*"')
    assert '* LIST (\\HasChildren \\Sent) "/" Sent' in lines
    assert all(re.search(r"\\Has(No)?Children", line) for line in lines)
    client.ok("create &ANw-ber")
    assert client.ok('list "" "&ANw*"') == ['* LIST (\\HasNoChildren) "/" &ANw-ber']


def test_vanished_is_sorted(site: Site) -> None:
    site.add(*[message(n) for n in range(1, 5)])
    client = site.login("inbox", enable="qresync")
    (line,) = client.ok("status inbox (highestmodseq)")[-1:]
    before = line.split()[-1].rstrip(")")
    for uid in (1, 3, 2):
        client.ok(f"uid store {uid} +flags.silent (\\Deleted)")
        client.ok("expunge")
    lines = client.ok(f"uid fetch 1:* (flags) (changedsince {before} vanished)")
    assert lines[0] == "* VANISHED (EARLIER) 1:3"


def test_esearch_quotes_the_mailbox(site: Site) -> None:
    client = site.login()
    client.ok('create "a b"')
    site.add(message(1), mailbox="a b")
    (line,) = client.ok('esearch in (mailboxes "a b") return (all) all')
    assert 'MAILBOX "a b" ' in line


def test_copy_and_move_of_nothing_and_to_the_same_mailbox(site: Site) -> None:
    site.add(message(1))
    client = site.login("inbox")
    for command in ("copy", "move"):
        answer = client.command(f"uid {command} 9 Sent")
        assert (answer.status, answer.code) == ("OK", "")
    answer = client.command("copy 1 inbox")
    assert answer.code.endswith(" 1 2")
    answer = client.command("uid move 2 inbox")
    assert answer.status == "OK"
    assert any(line.endswith(" 2 3] moved") for line in answer.lines)


def test_binary_with_nul_is_a_literal8(site: Site) -> None:
    site.add(
        b"Content-Type: application/octet-stream\r\nContent-Transfer-Encoding: base64\r\n\r\n"
        b"YQBi\r\n"
    )
    assert site.login("inbox").ok("fetch 1 binary.peek[1]") == [
        "* 1 FETCH (BINARY[1] ~{3}\r\na\0b)"
    ]


def test_new_keywords_are_told_before_they_are_shown(site: Site) -> None:
    site.add(message(1))
    client, other = site.login("inbox"), site.login("inbox")
    lines = client.ok("store 1 +flags (newword)")
    assert [line.split()[1] for line in lines] == ["FLAGS", "OK", "1"]
    assert "newword" in lines[0]
    assert "newword" in lines[1]
    assert [line.split()[1] for line in other.ok("noop")] == ["FLAGS", "OK", "1"]
    assert "newword" in site.login().ok("select inbox")[1]


def test_highestmodseq_on_every_select(site: Site) -> None:
    assert any("[HIGHESTMODSEQ " in line for line in site.login().ok("select inbox"))


def test_an_overlong_line_is_answered(site: Site) -> None:
    client = site.login()
    client.send(b"a noop " + b"x" * 70_000)
    assert client.line() == "* BYE [ALERT] line too long"


def test_replace_tells_the_uid_in_another_mailbox_too(site: Site) -> None:
    site.add(message(1))
    client = site.login("inbox")
    assert any("[APPENDUID " in line for line in client.ok("replace 1 Sent", Literal(message(2))))


def test_deleted_storage_is_counted(site: Site) -> None:
    site.add(message(1))
    client = site.login("inbox")
    client.ok("store 1 +flags (\\Deleted)")
    (line,) = client.ok("status inbox (deleted-storage)")
    assert line == f"* STATUS INBOX (DELETED-STORAGE {len(message(1))})"


def test_a_part_that_is_not_there_fails_no_other(site: Site) -> None:
    site.add(UNTYPED)
    answer = site.login("inbox").command("fetch 1 (body.peek[7] rfc822.size)")
    assert answer.status == "OK"
    assert answer.lines == [f"* 1 FETCH (RFC822.SIZE {len(UNTYPED)} BODY[7] NIL)"]


def test_progress_is_told_of_other_commands_than_search(
    site: Site, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(progress, "INTERVAL_S", 0.0)
    site.add(message(1))
    assert any("INPROGRESS" in line for line in site.login("inbox").ok("copy 1 Sent"))
