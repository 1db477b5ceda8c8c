"""curl's IMAP: list, fetch, upload, search, flags, with and without TLS."""

from __future__ import annotations

import subprocess
from pathlib import Path

import pytest

from tests.support.server import PASSWORD, USER, Server

MESSAGE = b"From: <a@localhost>\r\nSubject: by curl\r\n\r\n.dot\r\ntext\r\n"


class Curl:
    """curl with the login and certificate of a server."""

    def __init__(self, server: Server, *, tls: bool) -> None:
        port = server.imaps if tls else server.imap
        self.base = f"{'imaps' if tls else 'imap'}://localhost:{port}/"
        self._words = ["curl", "-sS", "-m", "30", "--cacert", str(server.certificate)]
        # Without TLS at once, STARTTLS is asked for.
        self._words += ["--ssl-reqd", "--user", f"{USER}:{PASSWORD}"]

    def __call__(self, path: str, *words: str, status: int = 0) -> bytes:
        done = subprocess.run([*self._words, self.base + path, *words], capture_output=True)
        assert done.returncode == status, done.stderr
        return done.stdout


@pytest.mark.parametrize("tls", [False, True])
def test_a_round_with_curl(shared: Server, tmp_path: Path, tls: bool) -> None:
    curl = Curl(shared, tls=tls)
    listing = curl("")
    assert b"INBOX" in listing.upper()
    assert b"\\Sent" in listing
    upload = tmp_path / "message"
    upload.write_bytes(MESSAGE)
    for _ in range(2):
        curl("INBOX", "--upload-file", str(upload))
    assert curl("INBOX?SUBJECT%20curl") == b"* SEARCH 1 2\r\n"
    assert curl("INBOX;MAILINDEX=1") == MESSAGE
    assert curl("INBOX;MAILINDEX=2;SECTION=TEXT") == b".dot\r\ntext\r\n"
    assert b"\\Flagged" in curl("INBOX", "-X", "STORE 1 +FLAGS (\\Flagged)")
    assert curl("INBOX?FLAGGED") == b"* SEARCH 1\r\n"
    assert b"MESSAGES 2" in curl("", "-X", "STATUS INBOX (MESSAGES)")
    curl("INBOX", "-X", "STORE 1:* +FLAGS (\\Deleted)")
    curl("INBOX", "-X", "EXPUNGE")
    assert b"EXISTS" not in curl("INBOX?ALL")
    assert shared.count() == 0


@pytest.mark.parametrize("mechanism", ["PLAIN", "LOGIN", "CRAM-MD5"])
def test_mechanisms(shared: Server, mechanism: str) -> None:
    curl = Curl(shared, tls=True)
    assert b"INBOX" in curl("", "--login-options", f"AUTH={mechanism}").upper()


def test_what_curl_says_when_refused(shared: Server) -> None:
    curl = Curl(shared, tls=True)
    curl("", "--user", f"{USER}:wrong password", status=67)
    curl("No/Such/Mailbox?ALL", status=67)
