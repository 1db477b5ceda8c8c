"""Programs that send mail, against a running server: swaks, smtp-source, msmtp, curl."""

from __future__ import annotations

import os
import subprocess
from pathlib import Path

import pytest

from tests.support.mailboxes import fetch_all
from tests.support.server import PASSWORD, USER, Server, eventually


def run(*words: str, stdin: bytes = b"", env: dict[str, str] | None = None) -> bytes:
    """Run a client; it must succeed within a minute."""
    done = subprocess.run(
        words,
        input=stdin,
        stdout=subprocess.PIPE,
        stderr=subprocess.STDOUT,
        env={**os.environ, **(env or {})},
        timeout=60,
    )
    assert done.returncode == 0, f"{words}\n{done.stdout[-4000:].decode(errors='replace')}"
    return done.stdout


def inbox(server: Server) -> list[bytes]:
    client = server.imap_client()
    try:
        return fetch_all(client)
    finally:
        client.logout()


def files(server: Server) -> list[Path]:
    return [*server.maildir.glob("new/*"), *server.maildir.glob("cur/*")]


# ---- swaks


def swaks(server: Server, port: int, *words: str) -> str:
    output = run(
        *("swaks", "--server", f"127.0.0.1:{port}", "--helo", "client.example"),
        *("--from", USER, "--to", USER, "--body", "first line\\n.dot\\n..dots\\n", "-n"),
        *words,
    )
    return output.decode()


VERIFIED = ("--tls-verify", "--tls-ca-path", "{certificate}", "--tls-sni", "localhost")
LOGIN = ("--auth-user", USER, "--auth-password", PASSWORD)
SWAKS = [
    ("smtp", ()),
    ("smtp", ("--tls",)),
    ("smtp", ("--pipeline",)),
    ("smtp", ("--protocol", "SMTP")),
    ("submission", ("--auth", "PLAIN", *LOGIN)),
    ("submission", ("--auth", "LOGIN", *LOGIN)),
    ("submission", ("--auth", "CRAM-MD5", *LOGIN)),
    ("submission", ("--tls", "--auth", "PLAIN", *LOGIN)),
    ("submission", ("--tls", "--auth", "CRAM-MD5", *LOGIN, "--pipeline")),
    ("submissions", ("--tls-on-connect", "--auth", "PLAIN", *LOGIN)),
    ("submissions", ("--tls-on-connect", "--auth", "LOGIN", *LOGIN)),
    ("submissions", ("--tls-on-connect", "--auth", "CRAM-MD5", *LOGIN)),
]


@pytest.mark.parametrize(("service", "words"), SWAKS)
def test_swaks(shared: Server, service: str, words: tuple[str, ...]) -> None:
    tls = VERIFIED if {"--tls", "--tls-on-connect"} & set(words) else ()
    verified = [word.format(certificate=shared.certificate) for word in tls]
    swaks(shared, getattr(shared, service), *words, *verified)
    eventually(lambda: shared.count() == 1)
    (message,) = inbox(shared)
    assert b"\r\n\r\nfirst line\r\n.dot\r\n..dots\r\n" in message
    assert len(files(shared)) == 1


@pytest.mark.parametrize(
    ("words", "status"),
    [
        (("--auth", "PLAIN", "--auth-user", USER, "--auth-password", "wrong password"), 28),
        (("--auth", "CRAM-MD5", "--auth-user", "nobody@localhost", "--auth-password", "x"), 28),
        ((), 23),  # MAIL without login
    ],
)
def test_swaks_is_refused(server: Server, words: tuple[str, ...], status: int) -> None:
    server_words = ("--server", f"127.0.0.1:{server.submission}", "--from", USER, "--to", USER)
    done = subprocess.run(["swaks", *server_words, *words], capture_output=True, timeout=60)
    assert done.returncode == status, done.stdout
    assert server.count() == 0


# ---- Postfix's load generator


@pytest.mark.parametrize(
    "words",
    [
        ("-m", "500", "-s", "10", "-l", "3000"),
        ("-m", "100", "-s", "5", "-d"),  # connections stay open
        ("-m", "50", "-s", "5", "-N", "-r", "10", "-S", "several recipients"),
        ("-m", "3", "-s", "3", "-l", "5000000"),
    ],
)
def test_smtp_source(server: Server, words: tuple[str, ...]) -> None:
    recipients = int(words[words.index("-r") + 1]) if "-r" in words else 1
    total = int(words[1]) * recipients
    run(
        *("smtp-source", "-f", "sender@localhost", "-t", "mox@localhost", "-M", "c.example"),
        *words,
        f"inet:127.0.0.1:{server.smtp}",
    )
    assert server.count() == total
    assert len(files(server)) == total


# ---- msmtp, as sendmail


MSMTP = """\
defaults
auth {auth}
user mox@localhost
password moxmoxmox
host localhost
port {port}
tls {tls}
tls_starttls {starttls}
tls_trust_file {certificate}
from mox@localhost
account default
"""


@pytest.mark.parametrize(
    ("service", "tls", "auth"),
    [
        ("submission", "on", "on"),
        ("submissions", "on", "on"),
        ("submissions", "on", "scram-sha-256"),
        ("submissions", "on", "scram-sha-1"),
        ("submission", "on", "plain"),
        ("submission", "off", "cram-md5"),
    ],
)
def test_msmtp(shared: Server, tmp_path: Path, service: str, tls: str, auth: str) -> None:
    path = tmp_path / "msmtprc"
    path.write_text(
        MSMTP.format(
            auth=auth,
            port=getattr(shared, service),
            tls=tls,
            starttls="on" if service == "submission" else "off",
            certificate=shared.certificate,
        )
    )
    path.chmod(0o600)
    message = b"From: mox@localhost\nTo: someone@example.org\nSubject: by msmtp\n\n.dot\nend\n"
    run("msmtp", "-C", str(path), "someone@example.org", stdin=message)
    eventually(lambda: shared.count() == 1)
    (found,) = inbox(shared)
    assert found.endswith(b"Subject: by msmtp\r\n\r\n.dot\r\nend\r\n")


# ---- curl


@pytest.mark.parametrize("service", ["smtp", "submission", "submissions"])
def test_curl_sends(shared: Server, tmp_path: Path, service: str) -> None:
    scheme = "smtps" if service == "submissions" else "smtp"
    message = tmp_path / "message"
    message.write_bytes(b"From: <mox@localhost>\r\nSubject: by curl\r\n\r\n.dot\r\n")
    login = [] if service == "smtp" else ["--user", f"{USER}:{PASSWORD}"]
    run(
        *("curl", "-sS", "--cacert", str(shared.certificate), "--ssl-reqd"),
        *(f"{scheme}://localhost:{getattr(shared, service)}/client.example", *login),
        *("--mail-from", USER, "--mail-rcpt", USER, "--upload-file", str(message)),
    )
    eventually(lambda: shared.count() == 1)
    assert inbox(shared)[0].endswith(b"Subject: by curl\r\n\r\n.dot\r\n")
