"""IMAPClient and imap-tools: scripted sessions of what programs do with them."""

from __future__ import annotations

import threading
from datetime import UTC, date, datetime

import pytest
from imap_tools import AND, OR, MailBox, MailBoxStartTls, MailBoxUnencrypted, MailMessageFlags
from imapclient import DELETED, FLAGGED, SEEN, IMAPClient
from imapclient.exceptions import IMAPClientError

from tests.support.server import PASSWORD, USER, Server


def mail(number: int, *, reply_to: int = 0, subject: str = "plan", body: str = "text") -> bytes:
    fields = [
        "From: Zo\u00eb Writer <zoe@example.org>".replace("Zo\u00eb", "=?utf-8?q?Zo=C3=AB?="),
        f"To: {USER}",
        f"Subject: {subject}",
        f"Date: Mon, {number} Jun 2026 10:00:00 +0000",
        f"Message-Id: <m{number}@example.org>",
    ]
    if reply_to:
        fields.append(f"References: <m{reply_to}@example.org>")
    lines = [*fields, "Content-Type: text/plain; charset=utf-8", "", body, ""]
    return "\r\n".join(lines).encode()


# ---- IMAPClient


@pytest.fixture
def client(server: Server) -> IMAPClient:
    connection = IMAPClient("127.0.0.1", server.imap, ssl=False, timeout=60)
    connection.starttls(server.tls())
    connection.login(USER, PASSWORD)
    yield connection
    connection.logout()


def test_imapclient_finds_sorts_and_threads(client: IMAPClient) -> None:
    client.create_folder("Lists/p\u00fcython")
    for number, reply, subject in [
        (3, 0, "Zebra"),
        (1, 0, "plan"),
        (2, 1, "Re: plan"),
        (5, 2, "Re: plan"),
    ]:
        client.append("Lists/p\u00fcython", mail(number, reply_to=reply, subject=subject))
    found = client.select_folder("Lists/p\u00fcython")
    assert found[b"EXISTS"] == 4
    assert client.search(["SUBJECT", "PLAN"]) == [2, 3, 4]
    assert client.search(["FROM", "zo\u00cb"], charset="UTF-8") == [1, 2, 3, 4]
    assert client.search(["SENTSINCE", date(2026, 6, 2), "NOT", ["SUBJECT", "zebra"]]) == [3, 4]
    assert client.sort("REVERSE DATE") == [4, 1, 3, 2]
    assert client.sort(["SUBJECT", "REVERSE DATE"], "UNSEEN") == [4, 3, 2, 1]
    assert client.thread(algorithm="REFERENCES") == ((2, 3, 4), (1,))
    assert client.thread(algorithm="ORDEREDSUBJECT", criteria="SUBJECT plan") == ((2, (3,), (4,)),)


def test_imapclient_fetches_what_the_index_knows(client: IMAPClient) -> None:
    client.append("INBOX", mail(1, body="Gr\u00fc\u00dfe aus Wien"), [SEEN])
    client.select_folder("INBOX")
    data = client.fetch([1], ["ENVELOPE", "FLAGS", "PREVIEW", "EMAILID", "THREADID", "SAVEDATE"])[1]
    assert data[b"ENVELOPE"].subject == b"plan"
    assert data[b"ENVELOPE"].date == datetime(2026, 6, 1, 10, tzinfo=UTC).astimezone().replace(
        tzinfo=None
    )
    assert SEEN in data[b"FLAGS"]
    assert data[b"PREVIEW"].decode() == "Gr\u00fc\u00dfe aus Wien"
    (email_id,) = data[b"EMAILID"]
    assert client.search(["EMAILID", email_id.decode()]) == [1]
    client.copy([1], "Archive")
    client.select_folder("Archive", readonly=True)
    assert client.fetch([1], ["EMAILID"])[1][b"EMAILID"] == (email_id,)


def test_imapclient_changes(client: IMAPClient, server: Server) -> None:
    assert b"CONDSTORE" in client.enable("CONDSTORE")
    client.multiappend("INBOX", [mail(n) for n in (1, 2, 3)])
    client.select_folder("INBOX")
    client.add_flags([1, 2], [FLAGGED, "urgent"])
    assert client.search("FLAGGED KEYWORD urgent") == [1, 2]
    client.move([1], "Archive")
    client.delete_messages([2])
    assert DELETED in client.get_flags([2])[2]
    client.uid_expunge([2])
    assert client.search() == [3]
    assert client.folder_status("Archive", ["MESSAGES", "UNSEEN"])[b"UNSEEN"] == 1
    assert client.find_special_folder(b"\\Sent") == "Sent"
    assert client.namespace().personal == (("", "/"),)
    with pytest.raises(IMAPClientError, match="no such mailbox"):
        client.select_folder("nothing")
    client.select_folder("INBOX")
    client.idle()
    server.deliver(mail(9), USER)
    assert (2, b"EXISTS") in client.idle_check(timeout=30)
    client.idle_done()


# ---- imap-tools


@pytest.fixture(params=["plain", "starttls", "tls"])
def box(request: pytest.FixtureRequest, server: Server) -> MailBox:
    match request.param:
        case "plain":
            opened = MailBoxUnencrypted("127.0.0.1", server.imap, timeout=60)
        case "starttls":
            opened = MailBoxStartTls("127.0.0.1", server.imap, timeout=60, ssl_context=server.tls())
        case _:
            opened = MailBox("localhost", server.imaps, timeout=60, ssl_context=server.tls())
    with opened.login(USER, PASSWORD) as mailbox:
        yield mailbox


def test_imap_tools(box: MailBox) -> None:
    box.folder.create("Work/Done")
    box.append(mail(2, subject="beta", body="caf\u00e9"), "INBOX", flag_set=[MailMessageFlags.SEEN])
    box.append(mail(1, subject="alpha"), "INBOX")
    box.append(mail(3, subject="gamma"), "INBOX")
    box.folder.set("INBOX")
    assert box.uids(sort="REVERSE SUBJECT") == ["3", "1", "2"]
    assert box.uids(AND(seen=False), sort="DATE") == ["2", "3"]
    assert box.uids(OR(subject="BETA", sent_date=date(2026, 6, 3))) == ["1", "3"]
    assert box.numbers(AND(body="CAF\u00c9"), charset="UTF-8") == ["1"]
    (found,) = box.fetch(AND(text="beta"), mark_seen=False)
    assert (found.subject, found.from_, found.text.strip()) == (
        "beta",
        "zoe@example.org",
        "caf\u00e9",
    )
    assert found.from_values is not None and found.from_values.name == "Zo\u00eb Writer"
    newest = next(iter(box.fetch(reverse=True, limit=1, mark_seen=False, headers_only=True)))
    assert newest.subject == "gamma"
    box.flag(["2"], ["\\Flagged", "later"], True)
    assert box.uids(AND(flagged=True, keyword="later")) == ["2"]
    box.move(["2"], "Work/Done")
    box.copy(["1"], "Work/Done")
    box.delete(["3"])
    assert box.uids() == ["1"]
    status = box.folder.status("Work/Done")
    assert (status["MESSAGES"], status["UIDNEXT"]) == (2, 3)
    assert {folder.name for folder in box.folder.list("Work")} == {"Work", "Work/Done"}
    box.folder.rename("Work/Done", "Work/Old")
    box.folder.delete("Work/Old")
    assert not box.folder.exists("Work/Old")


def test_imap_tools_waits_for_mail(server: Server) -> None:
    with MailBoxUnencrypted("127.0.0.1", server.imap, timeout=60).login(USER, PASSWORD) as mailbox:
        sender = threading.Timer(0.2, server.deliver, (mail(9), USER))
        sender.start()
        answers = mailbox.idle.wait(timeout=30)
        sender.join()
        assert any(b"EXISTS" in answer for answer in answers)
