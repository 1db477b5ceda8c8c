"""What is submitted to localserve comes back, whomever it is for; special addresses fail."""

from __future__ import annotations

import re
import time

import pytest

from tests.support.mailboxes import fetch_all
from tests.support.rawsmtp import RawSMTP
from tests.support.server import USER, Server, eventually

MESSAGE = b"From: <mox@localhost>\r\nTo: <someone@example.org>\r\nSubject: %s\r\n\r\ntext\r\n"


def logged_in(server: Server, *, tls: bool) -> RawSMTP:
    smtp = RawSMTP(server.submission)
    assert smtp.command("EHLO client.example") == 250
    if tls:
        smtp.start_tls(server.tls())
        assert smtp.command("EHLO client.example") == 250
    smtp.login()
    return smtp


def inbox(server: Server, count: int) -> list[bytes]:
    eventually(lambda: server.count() >= count, 30)
    client = server.imap_client()
    try:
        return fetch_all(client)
    finally:
        client.logout()


@pytest.mark.parametrize("tls", [False, True])
def test_mail_for_anybody_comes_back(shared: Server, tls: bool) -> None:
    recipients = ["someone@example.org", "other@example.net", "any+tag@localhost"]
    with logged_in(shared, tls=tls) as smtp:
        assert smtp.command(f"MAIL FROM:<{USER}>") == 250
        for recipient in recipients:
            assert smtp.command(f"RCPT TO:<{recipient}>") == 250
        code, text = smtp.data(MESSAGE % b"to many")
        assert code == 250, text
    found = inbox(shared, 3)
    pattern = re.compile(rb"^Delivered-To: (.*?)\r$", re.MULTILINE)
    delivered = {pattern.findall(message)[0].decode() for message in found}
    assert delivered == set(recipients)
    for message in found:
        assert b"Return-Path: <mox@localhost>\r\n" in message
        assert re.search(rb"\bwith\s+ESMTPSA\b" if tls else rb"\bwith\s+ESMTPA\b", message)
        assert re.search(rb"\bdkim=pass\b[^;]*\bheader\.d=localhost\b", message)
        # Who submitted from where is nobody's business.
        assert b"client.example" not in message


def test_own_addresses_only(shared: Server) -> None:
    with logged_in(shared, tls=True) as smtp:
        code, text = smtp.ask("MAIL FROM:<other@localhost>")
        assert (code, text[:5]) == (550, "5.7.1")
        smtp.envelope("mox+anything@localhost")
        forged = MESSAGE.replace(b"mox@localhost", b"other@localhost") % b"forged"
        code, text = smtp.data(forged)
        assert (code, text[:5]) == (550, "5.7.1")
    assert shared.count() == 0


@pytest.mark.parametrize(
    ("recipient", "code"),
    [
        ("rcpttotemperror@localhost", 451),
        ("rcpttopermerror@example.org", 550),
        ("rcptto571@example.org", 571),
        ("rcptto599@localhost", 599),
    ],
)
def test_special_recipients_fail_at_rcpt(shared: Server, recipient: str, code: int) -> None:
    with logged_in(shared, tls=False) as smtp:
        assert smtp.command(f"MAIL FROM:<{USER}>") == 250
        found, text = smtp.ask(f"RCPT TO:<{recipient}>")
        assert found == code
        assert f"{code // 100}.0.0 failure with code {code} due to special localpart" in text


@pytest.mark.parametrize("service", ["smtp", "submission"])
@pytest.mark.parametrize(
    ("recipient", "code"),
    [
        ("temperror@localhost", 451),
        ("user-permerror@example.org", 550),
        ("x-404@localhost", 404),
        ("mox+552@localhost", 552),
    ],
)
def test_special_recipients_fail_at_the_end_of_data(
    shared: Server, service: str, recipient: str, code: int
) -> None:
    if service == "smtp":
        smtp = RawSMTP(shared.smtp)
        assert smtp.command("EHLO client.example") == 250
    else:
        smtp = logged_in(shared, tls=False)
    with smtp:
        smtp.envelope(USER, recipient)
        assert smtp.data(MESSAGE % b"fails")[0] == code
    assert shared.count() == 0


def test_some_recipients_fail(shared: Server) -> None:
    """Incoming mail is accepted for those for whom it works."""
    with RawSMTP(shared.smtp) as smtp:
        assert smtp.command("EHLO client.example") == 250
        smtp.envelope("a@localhost", "permerror@localhost")
        assert smtp.command(f"RCPT TO:<{USER}>") == 250
        assert smtp.data(MESSAGE % b"partly")[0] == 250
    assert len(inbox(shared, 1)) == 1


def test_what_only_looks_special_is_delivered(shared: Server) -> None:
    ordinary = ["TEMPERROR@localhost", "temperrors@localhost", "x399@localhost", "x600@localhost"]
    with RawSMTP(shared.smtp) as smtp:
        assert smtp.command("EHLO client.example") == 250
        for recipient in ordinary:
            smtp.envelope("a@localhost", recipient)
            assert smtp.data(MESSAGE % b"fine")[0] == 250
    assert len(inbox(shared, 4)) == 4


@pytest.mark.parametrize("recipient", ["queuepermerror@example.org", "queue571@localhost"])
def test_a_failure_in_the_queue_comes_back_as_dsn(shared: Server, recipient: str) -> None:
    with logged_in(shared, tls=False) as smtp:
        smtp.envelope(USER, recipient)
        assert smtp.data(MESSAGE % b"fails later")[0] == 250
    (report,) = inbox(shared, 1)
    assert b"Return-Path: <>\r\n" in report
    assert b"multipart/report" in report
    assert b"report-type=delivery-status" in report.replace(b'"', b"")
    assert f"Final-Recipient: rfc822;{recipient}\r\n".encode() in report
    assert re.search(rb"^Action: failed\r$", report, re.MULTILINE)
    assert re.search(rb"^Status: 5\.", report, re.MULTILINE)
    assert b"Subject: fails later" in report


def test_a_temporary_failure_stays_in_the_queue(server: Server) -> None:
    with logged_in(server, tls=False) as smtp:
        smtp.envelope(USER, "queuetemperror@example.org")
        assert smtp.data(MESSAGE % b"later")[0] == 250
        smtp.envelope(USER, "friend@example.org")
        assert smtp.data(MESSAGE % b"now")[0] == 250
    (message,) = inbox(server, 1)
    assert b"Subject: now" in message
    eventually(lambda: "due to special localpart" in server.log)
    assert not server.queue_is_empty
    # Still there after a restart.
    server.stop()
    server.start()
    assert not server.queue_is_empty


def test_many_submissions_at_once_all_arrive(shared: Server) -> None:
    sessions = [logged_in(shared, tls=number % 2 == 0) for number in range(10)]
    for round_ in range(20):
        for number, smtp in enumerate(sessions):
            smtp.send(
                b"MAIL FROM:<mox@localhost>\r\nRCPT TO:<r%dr@example%d.org>\r\nDATA\r\n"
                % (round_, number % 7)
            )
        for number, smtp in enumerate(sessions):
            assert smtp.replies(3) == [250, 250, 354]
            smtp.send(MESSAGE % (b"%d of %d" % (round_, number)) + b".\r\n")
        for smtp in sessions:
            assert smtp.reply()[0] == 250
    for smtp in sessions:
        smtp.close()
    found = inbox(shared, 200)
    assert len(found) == 200
    assert len({re.findall(rb"^Subject: .*", message, re.MULTILINE)[0] for message in found}) == 200


def test_a_held_message_waits(server: Server) -> None:
    """RFC 4865: HOLDFOR."""
    with logged_in(server, tls=False) as smtp:
        smtp.envelope(USER, "friend@example.org", "HOLDFOR=3")
        sent = time.monotonic()
        assert smtp.data(MESSAGE % b"held")[0] == 250
    inbox(server, 1)
    assert time.monotonic() - sent >= 2.5
