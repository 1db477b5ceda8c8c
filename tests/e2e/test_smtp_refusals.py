"""What SMTP refuses, octet by octet, on the real ports of a running server."""

from __future__ import annotations

import socket

import pytest

from tests.support.mailboxes import fetch_all
from tests.support.rawsmtp import RawSMTP
from tests.support.server import USER, Server

MAX_SIZE = 104_857_600


def hello(port: int) -> RawSMTP:
    smtp = RawSMTP(port)
    assert smtp.command("EHLO client.example") == 250
    return smtp


def contents(server: Server) -> list[bytes]:
    client = server.imap_client()
    try:
        return fetch_all(client)
    finally:
        client.logout()


# ---- commands

WRONG = [
    ("VERB", 500),
    ("", 500),
    ("MAIL", 501),
    ("MAIL FROM", 501),
    ("MAIL FROM:", 501),
    ("MAIL FROM:a@localhost", 501),
    ("MAIL FROM:<a@localhost", 501),
    ("MAIL FROM: <a@localhost>", 501),  # pedantic, as localserve is
    ("MAIL FROM:<a b@localhost>", 501),
    ("MAIL FROM:<a@@localhost>", 501),
    ("MAIL FROM:<@localhost>", 501),
    ("MAIL FROM:<a@localhost> SIZE=x", 501),
    ("MAIL FROM:<a@localhost> SIZE=1 SIZE=1", 501),
    ("MAIL FROM:<a@localhost> BODY=NONE", 555),
    ("MAIL FROM:<a@localhost> UNKNOWN=1", 555),
    ("MAIL FROM:<a@localhost> HOLDFOR=10", 555),  # submission only
    (f"MAIL FROM:<a@localhost> SIZE={MAX_SIZE + 1}", 552),
    ("MAIL FROM:<a@[127.0.0.1]>", 550),
    ("MAIL FROM:<mailfrompermerror@localhost>", 550),
    ("MAIL FROM:<mailfrom452@localhost>", 452),
    (b"MAIL FROM:<gr\xc3\xbc@localhost>", 550),  # without SMTPUTF8
    (b"MAIL FROM:<a\xff@localhost>", 500),
    (b"MAIL FROM:<a\0@localhost>", 500),
    ("RCPT TO:<mox@localhost>", 503),
    ("DATA", 503),
    ("BDAT 0 LAST", 503),
    ("AUTH PLAIN AGEAYg==", 503),  # never on port 25
    ("STARTTLS now", 501),
    ("RSET now", 501),
    ("EHLO", 501),
    ("EHLO under_score..x", 501),
    ("HELO", 501),
]


@pytest.mark.parametrize(("line", "code"), WRONG)
def test_wrong_commands(shared: Server, line: str | bytes, code: int) -> None:
    with hello(shared.smtp) as smtp:
        assert smtp.command(line) == code
        # The connection is as good as before.
        smtp.envelope()
        assert smtp.data(b"Subject: still works\r\n\r\n")[0] == 250
        assert smtp.command("QUIT") == 221
        assert smtp.is_closed()


WRONG_RECIPIENTS = [
    ("RCPT", 501),
    ("RCPT TO:", 501),
    ("RCPT TO:<>", 501),
    ("RCPT TO:<mox>", 501),
    ("RCPT TO:<mox@localhost> X=1", 555),
    ("RCPT TO:<mox@[127.0.0.1]>", 550),
    ("RCPT TO:<rcpttotemperror@localhost>", 451),
    ("RCPT TO:<rcptto553@localhost>", 553),
    ("MAIL FROM:<a@localhost>", 503),
    ("DATA", 503),
    ("STARTTLS", 503),
]


@pytest.mark.parametrize(("line", "code"), WRONG_RECIPIENTS)
def test_wrong_recipients_leave_the_transaction_open(shared: Server, line: str, code: int) -> None:
    with hello(shared.smtp) as smtp:
        assert smtp.command("MAIL FROM:<a@localhost>") == 250
        assert smtp.command(line) == code
        assert smtp.command("RCPT TO:<mox@localhost>") == 250
        assert smtp.data(b"Subject: still works\r\n\r\n")[0] == 250


def test_what_is_no_smtp_is_cut_off(shared: Server) -> None:
    with RawSMTP(shared.smtp) as smtp:
        assert smtp.command("GET / HTTP/1.1") == 500
        assert smtp.is_closed()


def test_a_chunk_of_unknown_length_ends_the_connection(shared: Server) -> None:
    """What follows cannot be told from commands."""
    with hello(shared.smtp) as smtp:
        smtp.envelope()
        assert smtp.command("BDAT x") == 501
        assert smtp.is_closed()


def test_commands_before_ehlo(shared: Server) -> None:
    with RawSMTP(shared.smtp) as smtp:
        assert smtp.command("NOOP word") == 250
        assert smtp.command("MAIL FROM:<a@localhost>") == 503
        assert smtp.command("HELO client.example") == 250
        assert smtp.command("VRFY mox") == 252
        assert smtp.command("HELP") == 214


def test_a_line_too_long_gets_its_reply(shared: Server) -> None:
    with hello(shared.smtp) as smtp:
        assert smtp.command("NOOP " + "x" * 3000) == 500
        assert smtp.command("NOOP " + "x" * 60_000) == 500
        assert smtp.command("NOOP") == 250


def test_a_line_without_end_is_cut_off(shared: Server) -> None:
    with hello(shared.smtp) as smtp:
        with pytest.raises(OSError):
            for _ in range(2000):
                smtp.send(b"x" * 65536)
        smtp.close()
    with hello(shared.smtp) as smtp:
        assert smtp.command("NOOP") == 250


def test_bare_line_feed_ends_no_command(shared: Server) -> None:
    with hello(shared.smtp) as smtp:
        smtp.send(b"NOOP\nRSET\r\n")
        assert smtp.reply()[0] == 500
        assert smtp.command("NOOP") == 250


# ---- smuggling


@pytest.mark.parametrize(
    "end",
    [b"\n.\n", b"\n.\r\n", b"\r\n.\n", b"\r.\r", b"\r\n.\r", b"\r.\r\n", b"\0\r\n.\n\0"],
)
def test_nothing_is_smuggled(shared: Server, end: bytes) -> None:
    """What other servers may take for the end of a message is no end here, and refused."""
    inner = (
        b"MAIL FROM:<evil@localhost>\r\nRCPT TO:<mox@localhost>\r\nDATA\r\nSubject: evil\r\n\r\n"
    )
    with hello(shared.smtp) as smtp:
        smtp.envelope()
        assert smtp.command("DATA") == 354
        smtp.send(b"Subject: outer\r\n\r\ntext" + end + inner + b"x\r\n.\r\n")
        assert smtp.reply()[0] == 500
        assert smtp.command("NOOP") == 250
        smtp.envelope()
        assert smtp.data(b"Subject: good\r\n\r\n")[0] == 250
    found = contents(shared)
    assert len(found) == 1
    assert found[0].endswith(b"Subject: good\r\n\r\n")


def test_starttls_injection(shared: Server) -> None:
    """RFC 3207 §6: what was sent in clear text behind STARTTLS is not taken as under TLS."""
    with hello(shared.smtp) as smtp:
        smtp.send(b"STARTTLS\r\nEHLO evil.example\r\nMAIL FROM:<evil@localhost>\r\n")
        assert smtp.reply()[0] == 220
        smtp.sock = shared.tls().wrap_socket(smtp.sock, server_hostname="localhost")
        # No reply to the injected commands, and nothing of their effect.
        assert smtp.command("RCPT TO:<mox@localhost>") == 503
        assert smtp.command("EHLO client.example") == 250
        assert smtp.command("RCPT TO:<mox@localhost>") == 503


def test_starttls_forgets_everything(shared: Server) -> None:
    with hello(shared.submission) as smtp:
        smtp.start_tls(shared.tls())
        assert smtp.command("MAIL FROM:<mox@localhost>") in (503, 530)
        code, text = smtp.ask("EHLO client.example")
        assert code == 250
        assert "STARTTLS" not in text.split("\n")
        assert smtp.command("STARTTLS") == 503


# ---- limits


def test_size_over_the_limit(server: Server) -> None:
    server.stop()
    server.edit("mox.conf", "\t\tSMTP:\n", "\t\tSMTPMaxMessageSize: 100000\n\t\tSMTP:\n")
    server.start()
    with hello(server.smtp) as smtp:
        code, text = smtp.ask("EHLO client.example")
        assert "SIZE 100000" in text.split("\n")
        assert smtp.ask("MAIL FROM:<a@localhost> SIZE=100001")[0] == 552
        for send in (smtp.data, smtp.bdat):
            smtp.envelope()
            code, text = send(b"x" * 70 + b"\r\n" + b"y" * 100_000 + b"\r\n")
            assert (code, text[:5]) == (552, "5.3.4")
        smtp.envelope()
        assert smtp.data(b"x" * 99_998 + b"\r\n")[0] == 250
    assert server.count() == 1


def test_the_1001st_recipient_comes_later(shared: Server) -> None:
    with hello(shared.smtp) as smtp:
        assert smtp.command("MAIL FROM:<a@localhost>") == 250
        smtp.send(b"".join(b"RCPT TO:<mox+%da@localhost>\r\n" % n for n in range(1001)))
        assert smtp.replies(1001) == [250] * 1000 + [452]
        assert smtp.data(b"Subject: many\r\n\r\n")[0] == 250
    assert shared.count() == 1000


def test_too_many_errors_end_the_connection(shared: Server) -> None:
    with hello(shared.smtp) as smtp:
        codes = []
        while (code := smtp.command("MAIL FROM:<>x")) == 501 and len(codes) < 200:
            codes.append(code)
        assert code in (0, 421)
        assert 50 <= len(codes) < 150


def test_a_thousand_empty_connections(shared: Server) -> None:
    for _ in range(1000):
        socket.create_connection(("127.0.0.1", shared.smtp)).close()
    with hello(shared.smtp) as smtp:
        assert smtp.command("NOOP") == 250


# ---- things that must work


def test_pipelining_of_a_whole_session(shared: Server) -> None:
    with RawSMTP(shared.smtp) as smtp:
        smtp.send(
            b"EHLO client.example\r\nMAIL FROM:<a@localhost>\r\nRCPT TO:<mox@localhost>\r\n"
            b"RCPT TO:<rcptto550@localhost>\r\nBDAT 7\r\na\r\n\r\nb\nRSET\r\n"
        )
        assert smtp.replies(6) == [250, 250, 250, 550, 500, 250]
        smtp.send(
            b"MAIL FROM:<a@localhost>\r\nRCPT TO:<mox@localhost>\r\nBDAT 4\r\na\r\n\r"
            b"BDAT 2 LAST\r\n\nbNOOP\r\nQUIT\r\n"
        )
        assert smtp.replies(6) == [250, 250, 250, 250, 250, 221]
        assert smtp.is_closed()
    assert [body[-6:] for body in contents(shared)] == [b"a\r\n\r\nb"]


def test_commands_octet_by_octet(shared: Server) -> None:
    with RawSMTP(shared.smtp) as smtp:
        session = (
            b"EHLO c\r\nMAIL FROM:<>\r\nRCPT TO:<mox@localhost>\r\nDATA\r\n..a\r\n.\r\nQUIT\r\n"
        )
        for number in range(len(session)):
            smtp.send(session[number : number + 1])
        assert smtp.replies(6) == [250, 250, 250, 354, 250, 221]
    (found,) = contents(shared)
    assert found.endswith(b"\r\n.a\r\n")


def test_null_reverse_path_has_one_recipient(shared: Server) -> None:
    with hello(shared.smtp) as smtp:
        smtp.envelope("", USER)
        assert smtp.command("RCPT TO:<mox+2@localhost>") == 452
        assert smtp.data(b"Subject: report\r\n\r\n")[0] == 250
    (found,) = contents(shared)
    assert b"Return-Path: <>\r\n" in found


def test_bare_postmaster(shared: Server) -> None:
    with hello(shared.smtp) as smtp:
        assert smtp.command("MAIL FROM:<a@localhost>") == 250
        assert smtp.command("RCPT TO:<PostMaster>") == 250
        assert smtp.data(b"Subject: help\r\n\r\n")[0] == 250
    assert shared.count() == 1


def test_a_connection_that_breaks_within_data_leaves_nothing(shared: Server) -> None:
    for end in (b"", b"\r\n", b"\r\n.", b"\r\n.\r"):
        with hello(shared.smtp) as smtp:
            smtp.envelope()
            assert smtp.command("DATA") == 354
            smtp.send(b"Subject: never complete\r\n\r\ntext" + end)
    with hello(shared.smtp) as smtp:
        smtp.envelope()
        assert smtp.data(b"Subject: last\r\n\r\n")[0] == 250
    (found,) = contents(shared)
    assert b"Subject: last" in found
