"""Python's own imaplib and smtplib: a whole round through a mailbox, and IDLE by hand."""

from __future__ import annotations

import imaplib
import smtplib
import socket
import ssl
from email.message import EmailMessage

import pytest

from tests.support.mailboxes import body_of, flags_of, numbers, select
from tests.support.server import PASSWORD, USER, Server, eventually

MESSAGE = b"From: a@example.org\r\nTo: mox@localhost\r\nSubject: %s\r\n\r\nbody of %s\r\n"


def ok(answer: tuple[str, list[bytes]]) -> list[bytes]:
    status, data = answer
    assert status == "OK", data
    return data


@pytest.mark.parametrize("tls", [False, True])
def test_a_whole_round(server: Server, tls: bool) -> None:
    imap = server.imap_client(tls=tls)
    assert "IMAP4REV1" in imap.capabilities
    ok(imap.create("Work/Projects"))
    ok(imap.subscribe("Work/Projects"))
    names = b"\n".join(ok(imap.list()))
    assert b"Work/Projects" in names
    assert b"INBOX" in names.upper()
    assert b"Work/Projects" in b"\n".join(ok(imap.lsub()))
    for subject in (b"one", b"two", b"three", b"four"):
        ok(imap.append("Work/Projects", "", None, MESSAGE % (subject, subject)))
    assert select(imap, "Work/Projects") == 4
    assert numbers(imap, "SUBJECT", "two") == [b"2"]
    assert numbers(imap, "BODY", '"body of three"') == [b"3"]
    assert numbers(imap, "UNSEEN") == [b"1", b"2", b"3", b"4"]

    ok(imap.store("1:2", "+FLAGS", "(\\Seen $Important)"))
    assert flags_of(imap, "1") >= {"\\Seen", "$Important"}
    ok(imap.store("2", "-FLAGS", "(\\Seen)"))
    assert numbers(imap, "UNSEEN") == [b"2", b"3", b"4"]
    assert numbers(imap, "KEYWORD", "$Important") == [b"1", b"2"]

    ok(imap.copy("1", "Archive"))
    ok(imap.uid("MOVE", "3", "Archive"))
    assert numbers(imap) == [b"1", b"2", b"3"]
    ok(imap.store("1", "+FLAGS", "(\\Deleted)"))
    assert ok(imap.expunge())[-1:] == [b"1"]
    assert body_of(imap, "1") == MESSAGE % (b"two", b"two")
    assert body_of(imap, "2") == MESSAGE % (b"four", b"four")

    assert select(imap, "Archive") == 2
    assert flags_of(imap, "1") >= {"\\Seen", "$Important"}
    status = ok(imap.status("Work/Projects", "(MESSAGES UNSEEN UIDNEXT)"))
    assert status == [b"Work/Projects (MESSAGES 2 UNSEEN 2 UIDNEXT 5)"]
    ok(imap.rename("Work/Projects", "Work/Done"))
    ok(imap.unsubscribe("Work/Projects"))
    ok(imap.delete("Work/Done"))
    assert b"Work/Done" not in b"\n".join(ok(imap.list()))
    ok(imap.close())
    assert imap.logout()[0] == "BYE"


def test_smtplib_sends_and_imaplib_reads(shared: Server) -> None:
    message = EmailMessage()
    message["From"] = USER
    message["To"] = "friend@example.org"
    message["Subject"] = "grüße"
    message.set_content("Guten Tag\n")
    message.add_attachment(b"\x00\x01\x02" * 1000, maintype="application", subtype="octet-stream")
    with smtplib.SMTP("localhost", shared.submission, timeout=60) as smtp:
        smtp.starttls(context=shared.tls())
        smtp.login(USER, PASSWORD)
        assert smtp.send_message(message) == {}
    with smtplib.SMTP_SSL(
        "localhost", shared.submissions, timeout=60, context=shared.tls()
    ) as smtp:
        smtp.login("MOX+tag@LocalHost", PASSWORD)
        assert smtp.send_message(message) == {}
    eventually(lambda: shared.count() == 2)
    imap = shared.imap_client(tls=True)
    select(imap)
    imap.literal = "GRÜSSE".encode()
    assert ok(imap.search("UTF-8", "SUBJECT")) == [b"1 2"]
    structure = ok(imap.fetch("1", "(BODYSTRUCTURE)"))[0]
    assert b'"APPLICATION" "OCTET-STREAM"' in structure.upper()
    imap.logout()


def test_wrong_logins(server: Server) -> None:
    for name, password in ((USER, "moxmoxmoy"), ("postmaster@localhost", PASSWORD)):
        imap = imaplib.IMAP4("127.0.0.1", server.imap)
        with pytest.raises(imaplib.IMAP4.error, match="AUTHENTICATIONFAILED"):
            imap.login(name, password)
        imap.login(USER, PASSWORD)
        imap.logout()
    with smtplib.SMTP("127.0.0.1", server.submission, timeout=60) as smtp:
        # It tries three mechanisms.
        with pytest.raises(smtplib.SMTPAuthenticationError):
            smtp.login(USER, "moxmoxmoy")
        smtp.login(USER, PASSWORD)


class Idler:
    """A connection that idles in a mailbox."""

    def __init__(self, server: Server, *, tls: bool) -> None:
        self.sock: socket.socket = socket.create_connection(
            ("127.0.0.1", server.imaps if tls else server.imap), timeout=30
        )
        if tls:
            self.sock = server.tls().wrap_socket(self.sock, server_hostname="localhost")
        self.file = self.sock.makefile("rb")
        self.until(b"* OK")
        self.command(b"a", b"LOGIN mox@localhost moxmoxmox")
        self.command(b"b", b"SELECT INBOX")

    def command(self, tag: bytes, text: bytes) -> list[bytes]:
        self.sock.sendall(tag + b" " + text + b"\r\n")
        return self.until(tag + b" OK")

    def until(self, start: bytes) -> list[bytes]:
        lines = []
        while not (line := self.file.readline()).startswith(start):
            assert line, f"closed; so far {lines}"
            lines.append(line)
        return lines

    def until_with(self, word: bytes) -> None:
        while word not in (line := self.file.readline()):
            assert line, "closed"

    def idle(self) -> None:
        self.sock.sendall(b"c IDLE\r\n")
        self.until(b"+")

    def done(self) -> list[bytes]:
        self.sock.sendall(b"DONE\r\n")
        return self.until(b"c OK")

    def close(self) -> None:
        self.file.close()
        self.sock.close()


@pytest.mark.parametrize("tls", [False, True])
def test_idle_hears_what_happens(shared: Server, tls: bool) -> None:
    idlers = [Idler(shared, tls=tls) for _ in range(4)]
    for idler in idlers:
        idler.idle()
    shared.deliver(b"From: <a@localhost>\r\nSubject: new\r\n\r\n\r\n")
    for idler in idlers:
        idler.until(b"* 1 EXISTS")
    imap = shared.imap_client()
    select(imap)
    ok(imap.store("1", "+FLAGS", "(\\Flagged)"))
    for idler in idlers:
        idler.until_with(b"\\Flagged")
    shared.drop(f"new/180000000{int(tls)}.dropped", "Subject: dropped in\n\n")
    for idler in idlers:
        idler.until(b"* 2 EXISTS")
    ok(imap.store("1", "+FLAGS", "(\\Deleted)"))
    ok(imap.expunge())
    for idler in idlers:
        idler.until(b"* 1 EXPUNGE")
        idler.done()
        idler.close()
    imap.logout()


def test_certificate_is_for_localhost(shared: Server) -> None:
    with (
        socket.create_connection(("127.0.0.1", shared.imaps)) as sock,
        shared.tls().wrap_socket(sock, server_hostname="localhost") as tls,
    ):
        assert tls.version() == "TLSv1.3"
    context = ssl.create_default_context()
    with (
        socket.create_connection(("127.0.0.1", shared.imaps)) as sock,
        pytest.raises(ssl.SSLCertVerificationError),
    ):
        context.wrap_socket(sock, server_hostname="localhost")
