"""REPLACE (RFC 8508) and CATENATE (RFC 4469)."""

from __future__ import annotations

from collections.abc import Callable

import pytest

from mox.store.errors import ErrorKind, StoreError
from tests.imapd.harness import MESSAGE, Literal, Site, message


def validity(site: Site, name: str = "INBOX") -> int:
    mailbox = site.account().mailbox(name)
    assert mailbox is not None
    return mailbox.uidvalidity


# ---- REPLACE


def test_replace_in_the_same_mailbox(site: Site) -> None:
    site.add(message(1), message(2), message(3))
    client = site.login("inbox")
    answer = client.command("replace 2 inbox (\\Seen \\Draft)", Literal(message(4)))
    # RFC 8508 §3.3: the uid of the new message is told before the old one goes.
    assert answer.lines == [
        f"* OK [APPENDUID {validity(site)} 4] replacement is stored",
        "* 2 EXPUNGE",
        "* 3 EXISTS",
        "* 3 RECENT",
    ]
    assert (answer.status, answer.text) == ("OK", "replaced")
    assert client.ok("uid search all") == ["* SEARCH 1 3 4"]
    assert client.ok("fetch 3 (uid flags)") == ["* 3 FETCH (UID 4 FLAGS (\\Seen \\Draft \\Recent))"]


def test_uid_replace_into_another_mailbox(site: Site) -> None:
    site.add(message(1), message(2))
    client = site.login("inbox", enable="qresync")
    answer = client.command("uid replace 2 Sent", Literal(message(3), sync=True))
    assert answer.lines == [
        f"* OK [APPENDUID {validity(site, 'Sent')} 1] replacement is stored",
        "* VANISHED 2",
    ]
    assert answer.code.startswith("HIGHESTMODSEQ ")
    assert client.ok("status Sent (messages)") == ["* STATUS Sent (MESSAGES 1)"]


def test_replace_the_last_message(site: Site) -> None:
    site.add(message(1), message(2))
    client = site.login("inbox")
    client.ok("uid replace * inbox", Literal(message(3)))
    assert client.ok("uid search all") == ["* SEARCH 1 3"]
    client.ok("replace * inbox", Literal(message(4)))
    assert client.ok("uid search all") == ["* SEARCH 1 4"]


@pytest.mark.parametrize(
    ("words", "status", "code"),
    [
        ("replace 3 inbox", "BAD", ""),
        ("uid replace 3 inbox", "NO", "NONEXISTENT"),
        ("replace 1 nosuch", "NO", "TRYCREATE"),
    ],
)
@pytest.mark.parametrize("sync", [True, False])
def test_replace_that_cannot_be(site: Site, words: str, status: str, code: str, sync: bool) -> None:
    site.add(message(1), message(2))
    client = site.login("inbox")
    answer = client.command(words, Literal(message(3), sync=sync))
    assert (answer.status, answer.code) == (status, code)
    assert client.ok("uid search all") == ["* SEARCH 1 2"]


def test_replace_needs_a_mailbox_that_can_be_written(site: Site) -> None:
    site.add(message(1))
    client = site.login()
    assert client.command("replace 1 inbox", Literal(message(2))).status == "BAD"
    client.ok("examine inbox")
    assert client.command("replace 1 inbox", Literal(message(2))).status == "NO"
    assert client.ok("uid search all") == ["* SEARCH 1"]


def test_a_failure_leaves_the_old_message(site: Site, monkeypatch: pytest.MonkeyPatch) -> None:
    site.add(message(1))
    client = site.login("inbox")

    def full(*_: object) -> None:
        raise StoreError(ErrorKind.DISK_FULL, "disk is full")

    with monkeypatch.context() as patch:
        patch.setattr("mox.store.messages.add", full)
        assert client.command("replace 1 inbox", Literal(message(2))).code == "UNAVAILABLE"
    assert client.ok("uid search all") == ["* SEARCH 1"]


def test_a_message_that_another_session_removed(site: Site) -> None:
    site.add(message(1))
    client, other = site.login("inbox"), site.login("inbox")
    other.ok("store 1 +flags.silent (\\Deleted)")
    other.ok("expunge")
    answer = client.command("replace 1 inbox", Literal(message(2)))
    assert (answer.status, answer.code) == ("NO", "NONEXISTENT")
    assert client.ok("noop") == ["* 1 EXPUNGE"]
    assert client.ok("uid search all") == ["* SEARCH"]


def test_replacing_counts_what_goes_against_the_quota(site: Site) -> None:
    big = MESSAGE + b"x" * 4000 + b"\r\n"
    site.add(big, user="small")
    client = site.login("inbox", user="small")
    assert client.command("append inbox", Literal(big)).code == "OVERQUOTA"
    client.ok("replace 1 inbox", Literal(big))
    assert client.command("replace 1 inbox", Literal(big + b"x" * 1000)).code == "OVERQUOTA"


# ---- CATENATE


def url(site: Site, uid: int, section: str = "", mailbox: str = "INBOX") -> str:
    part = f"/;section={section}" if section else ""
    return f'"/{mailbox};UIDVALIDITY={validity(site, mailbox)}/;UID={uid}{part}"'


def test_text_and_parts_of_other_messages(site: Site) -> None:
    site.add(message(1, "the text of one"), message(2, "the text of two"))
    client = site.login("inbox")
    head = b"Subject: both\r\n\r\n"
    client.send(
        b"a append Drafts (\\Draft) catenate (text {%d+}\r\n%b url %b url %b)\r\n"
        % (len(head), head, url(site, 1, "TEXT").encode(), url(site, 2, "1").encode())
    )
    assert client.line() == f"a OK [APPENDUID {validity(site, 'Drafts')} 1] appended"
    client.ok("select Drafts")
    (line,) = client.ok("fetch 1 (flags body.peek[])")
    assert line.endswith("Subject: both\r\n\r\nthe text of one\r\nthe text of two\r\n)")
    assert "\\Draft" in line


def test_a_part_of_a_part(site: Site) -> None:
    site.add(message(1, "0123456789"))
    client = site.login("inbox")
    path = url(site, 1, "TEXT")[:-1] + '/;PARTIAL=2.3"'
    client.ok(f"append inbox catenate (url {url(site, 1, 'HEADER')} url {path})")
    (line,) = client.ok("fetch 2 body.peek[text]")
    assert line.endswith("{3}\r\n234)")


def test_urls_relative_to_the_selected_mailbox(site: Site) -> None:
    site.add(message(1, "the text"))
    client = site.login()
    client.ok("create Lists/a")
    client.ok("select inbox")
    client.ok("copy 1 Lists/a")
    client.ok('append Lists/a catenate (url "Lists/a/;UID=1")')
    client.ok("create Lists/b")
    client.ok("select Lists/b")
    client.ok('append inbox catenate (url "a/;UID=2/;SECTION=TEXT")')
    client.ok("select inbox")
    (line,) = client.ok("fetch 2 body.peek[]")
    assert line.endswith("the text\r\n)")


def test_line_ends_across_parts(site: Site) -> None:
    client = site.login("inbox")
    client.send(
        b"a append inbox catenate (text {7+}\r\nA: b\r\n\r text {3+}\r\n\nx\r text {1+}\r\n\n)\r\n"
    )
    assert client.line().startswith("* 1 EXISTS")
    while not client.line().startswith("a OK"):
        pass
    assert client.ok("fetch 1 rfc822.size") == ["* 1 FETCH (RFC822.SIZE 11)"]


@pytest.mark.parametrize(
    "path",
    [
        '"/INBOX;UIDVALIDITY=1/;UID=1"',
        '"/INBOX/;UID=9"',
        '"/nosuch/;UID=1"',
        '"/INBOX/;UID=1/;SECTION=2"',
        '"imap://localhost/INBOX/;UID=1"',
        '"x]y"',
        '"é"',
    ],
)
def test_bad_urls(site: Site, path: str) -> None:
    site.add(message(1))
    client = site.login("inbox")
    # RFC 4469 §4.1
    answer = client.command(f"append inbox catenate (url {path})")
    assert answer.status == "NO"
    assert answer.text.startswith('[BADURL "')
    assert client.ok("uid search all") == ["* SEARCH 1"]


def test_a_bad_url_is_told_before_a_literal_is_sent(site: Site) -> None:
    client = site.login("inbox")
    client.send(b'a append inbox catenate (url "/INBOX/;UID=9" text {1000}\r\n')
    assert client.line().startswith('a NO [BADURL "/INBOX/;UID=9"]')
    client.ok("noop")


def test_urls_as_literals(site: Site) -> None:
    site.add(message(1))
    client = site.login("inbox")
    path = url(site, 1)[1:-1].encode()
    client.send(b"a append inbox catenate (url {%d}\r\n" % len(path))
    assert client.line().startswith("+ ")
    client.send(path + b" url {%d+}\r\n%b)\r\n" % (len(path), path))
    lines = [client.line()]
    while not lines[-1].startswith("a "):
        lines.append(client.line())
    assert lines[-1].startswith("a OK [APPENDUID ")
    assert client.ok("fetch 2 rfc822.size") == [f"* 2 FETCH (RFC822.SIZE {2 * len(message(1))})"]


def test_catenated_messages_are_bounded(make_site: Callable[..., Site]) -> None:
    site = make_site(limit=5000)
    site.add(message(1, "x" * 3000))
    client = site.login("inbox")
    path = url(site, 1)
    answer = client.command(f"append inbox catenate (url {path} url {path})")
    assert (answer.status, answer.code) == ("NO", "TOOBIG")


def test_quota_counts_all_parts(site: Site) -> None:
    site.add(message(1, "x" * 2000), user="small")
    client = site.login("inbox", user="small")
    answer = client.command('append inbox catenate (url "/INBOX/;UID=1" url "/INBOX/;UID=1")')
    assert (answer.status, answer.code) == ("NO", "OVERQUOTA")


def test_nothing_catenated_is_an_empty_message(site: Site) -> None:
    site.add(message(1))
    client = site.login("inbox")
    assert client.no('append inbox catenate (url "/INBOX/;UID=1/;SECTION=1/;PARTIAL=9999.1")')


def test_replace_with_catenate(site: Site) -> None:
    """A draft that is saved again without sending its attachment."""
    site.add(message(1, "attachment"))
    client = site.login("inbox")
    answer = client.command(
        f"uid replace 1 inbox (\\Draft) catenate (url {url(site, 1, 'HEADER')}"
        f" url {url(site, 1, 'TEXT')})"
    )
    assert answer.status == "OK"
    (line,) = client.ok("fetch 1 (uid body.peek[text])")
    assert line == "* 1 FETCH (UID 2 BODY[TEXT] {12}\r\nattachment\r\n)"
