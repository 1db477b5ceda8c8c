from __future__ import annotations

from collections.abc import Callable

import pytest

from mox.store.errors import ErrorKind, StoreError
from tests.imapd.harness import MESSAGE, Literal, Site, message


def test_append_tells_the_uid(site: Site) -> None:
    client = site.login("inbox")
    validity = site.account().uidvalidity(site.account().mailbox("INBOX").id)  # type: ignore[union-attr]
    assert client.append("inbox", MESSAGE) == f"[APPENDUID {validity} 1] appended"
    assert client.append("inbox", MESSAGE) == f"[APPENDUID {validity} 2] appended"


def test_flags_and_date(site: Site) -> None:
    client = site.login("inbox", enable="imap4rev2")
    client.append("inbox", MESSAGE, '(\\Seen $Forwarded todo) " 1-Jan-2022 10:10:00 +0230"')
    assert client.ok("fetch 1 (flags internaldate)") == [
        '* 1 FETCH (FLAGS (\\Seen $Forwarded todo) INTERNALDATE " 1-Jan-2022 10:10:00 +0230")'
    ]


def test_synchronising_literal(site: Site) -> None:
    client = site.login()
    answer = client.command("append inbox", Literal(MESSAGE, sync=True))
    assert answer.status == "OK"


def test_several_messages_at_once(site: Site) -> None:
    client = site.login("inbox")
    answer = client.command(
        "append inbox (\\Seen)",
        Literal(message(1)),
        "(\\Flagged)",
        Literal(message(2), sync=True),
        Literal(message(3)),
    )
    assert answer.code.endswith(" 1:3")
    assert "* 3 EXISTS" in answer.lines
    assert client.ok("search flagged") == ["* SEARCH 2"]


def test_empty_message_cancels_all(site: Site) -> None:
    client = site.login("inbox")
    answer = client.command("append inbox", Literal(message(1)), Literal(""))
    assert answer.status == "NO"
    assert client.ok("noop") == []


def test_binary_and_utf8(site: Site) -> None:
    client = site.login("inbox", enable="imap4rev2")
    content = b"Subject: x\r\n\r\nnul \0 here\r\n"
    client.send(b"a append inbox ~{%d+}\r\n%b\r\n" % (len(content), content))
    assert client.line() == "* 1 EXISTS"
    assert client.line().startswith("a OK")
    content = "Subject: héllo\r\n\r\nx\r\n".encode()
    client.send(b"a append inbox utf8 (~{%d+}\r\n%b)\r\n" % (len(content), content))
    assert client.line() == "* 2 EXISTS"
    assert client.line().startswith("a OK")
    (line,) = client.ok("fetch 2 envelope")
    assert "héllo" in line


def test_mailbox_that_does_not_exist_is_told_before_the_upload(site: Site) -> None:
    client = site.login()
    client.send("a append Nowhere {100000}\r\n")
    assert client.line() == "a NO [TRYCREATE] no such mailbox"
    client.ok("noop")
    assert client.command("append Nowhere", Literal(MESSAGE)).code == "TRYCREATE"
    client.ok("noop")


def test_quota_is_looked_at_before_the_upload(site: Site) -> None:
    client = site.login(user="small")
    client.send("a append inbox {100000}\r\n")
    assert client.line().startswith("a NO [OVERQUOTA] ")
    assert client.command("append inbox", Literal(b"x" * 5001)).code == "OVERQUOTA"
    client.append("inbox", b"x" * 3000)
    assert client.command("append inbox", Literal(b"x" * 3000)).code == "OVERQUOTA"


def test_too_large(make_site: Callable[..., Site]) -> None:
    client = make_site(limit=1000).login()
    client.send("a append inbox {1001}\r\n")
    assert client.line() == "a NO [TOOBIG] message is larger than 1000 octets"
    assert client.command("append inbox", Literal(b"x" * 1001)).code == "TOOBIG"
    client.append("inbox", b"x" * 1000)


def test_bad_flags(site: Site) -> None:
    client = site.login()
    assert client.bad("append inbox (\\Recent)", Literal(MESSAGE))
    assert client.bad("append inbox")
    client.ok("noop")


def test_rubbish_behind_the_message(site: Site) -> None:
    client = site.login("inbox")
    assert client.bad("append inbox", Literal(MESSAGE), "rubbish")
    assert client.ok("noop") == []


def test_before_login(site: Site) -> None:
    client = site.connect()
    client.ok("noop")
    client.send("a append inbox {100}\r\n")
    assert client.line() == "a BAD command is not allowed in this state"
    client.ok("noop")


def test_disk_full_while_the_message_comes_in(site: Site, monkeypatch: pytest.MonkeyPatch) -> None:
    def full(*_: object) -> None:
        raise StoreError(ErrorKind.DISK_FULL, "no space left")

    client = site.login("inbox")
    with monkeypatch.context() as patch:
        patch.setattr("mox.store.spool.Spool.write", full)
        answer = client.command("append inbox", Literal(MESSAGE))
    assert (answer.status, answer.code) == ("NO", "UNAVAILABLE")
    client.append("inbox", MESSAGE)


def test_bare_line_feeds_become_line_ends(site: Site) -> None:
    client = site.login("inbox")
    client.append("inbox", b"Subject: x\n\nline\n")
    assert client.ok("fetch 1 (rfc822.size body.peek[text])") == [
        "* 1 FETCH (RFC822.SIZE 20 BODY[TEXT] {6}\r\nline\r\n)"
    ]


@pytest.mark.parametrize(
    "content", [b"a\r\nb\r\n", b"a\nb\n", b"a\rb\r\r\nc\n\r", b"\n", b"\r", b"\r\n\n\r\r\n"]
)
def test_all_line_ends_are_crlf_and_lone_crs_stay(site: Site, content: bytes) -> None:
    client = site.login("inbox")
    client.append("inbox", b"A: b\n\n" + content)
    whole = content.replace(b"\r\n", b"\n").replace(b"\n", b"\r\n").decode()
    (line,) = client.ok("fetch 1 (rfc822.size body.peek[text])")
    size = len("A: b\r\n\r\n") + len(whole)
    assert line == f"* 1 FETCH (RFC822.SIZE {size} BODY[TEXT] {{{len(whole)}}}\r\n{whole})"
