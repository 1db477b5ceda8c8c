"""mutt: over IMAPS and submission, and on the Maildir itself beside the running server."""

from __future__ import annotations

import os
import shlex
import subprocess
from pathlib import Path

import pytest

from tests.support.mailboxes import body_of, fetch_all, flags_of, numbers, select
from tests.support.server import PASSWORD, Server, eventually

COMMON = """\
set realname="Test User"
set from="mox@localhost"
set use_from=yes
set envelope_from=yes
set ssl_ca_certificates_file="{certificate}"
set ssl_usesystemcerts=no
set ssl_force_tls=yes
set certificate_file="/dev/null"
set header_cache=""
set quit=yes
set delete=yes
set wait_key=no
set mark_old=no
set mail_check=1
set confirmappend=no
set confirmcreate=no
set abort_unmodified=no
set fast_reply=yes
set move=no
set resolve=no
set editor="true"
set smtp_pass="{password}"
set smtp_url="{smtp_scheme}://mox%40localhost@localhost:{smtp}/"
set imap_user="mox@localhost"
set imap_pass="{password}"
set folder="imaps://localhost:{imaps}/"
set spoolfile="imaps://localhost:{imaps}/INBOX"
set record=""
set postponed=""
"""


class Mutt:
    """mutt with a configuration of its own."""

    def __init__(self, server: Server, directory: Path, *, smtps: bool = False) -> None:
        self.directory = directory
        self.rc = directory / "muttrc"
        self.rc.write_text(
            COMMON.format(
                certificate=server.certificate,
                password=PASSWORD,
                smtp_scheme="smtps" if smtps else "smtp",
                smtp=server.submissions if smtps else server.submission,
                imaps=server.imaps,
            )
        )

    def batch(self, *words: str, stdin: bytes) -> None:
        """Send a message, without a terminal."""
        done = subprocess.run(
            ["mutt", "-F", str(self.rc), *words],
            input=stdin,
            capture_output=True,
            env=self._env(),
            timeout=60,
        )
        assert done.returncode == 0, done.stdout + done.stderr

    def keys(self, keys: str, *words: str) -> None:
        """Run on a terminal, with keys that end by quitting."""
        line = shlex.join(["mutt", "-F", str(self.rc), *words, "-e", f"push '{keys}'"])
        done = subprocess.run(
            ["script", "-qec", line, "/dev/null"],
            stdin=subprocess.DEVNULL,
            capture_output=True,
            env=self._env(),
            timeout=60,
        )
        assert done.returncode == 0, done.stdout[-3000:]

    def _env(self) -> dict[str, str]:
        return {**os.environ, "TERM": "xterm", "HOME": str(self.directory), "LC_ALL": "C.UTF-8"}


def deliver(server: Server, *subjects: str) -> None:
    """Deliver messages, the first one oldest: mutt sorts by Date."""
    for minute, subject in enumerate(subjects):
        date = f"Mon, 2 Mar 2026 10:{minute:02} +0000"
        server.deliver(
            f"From: <a@localhost>\r\nSubject: {subject}\r\nDate: {date}\r\n\r\ntext\r\n".encode()
        )


def test_reads_and_flags_over_imaps(shared: Server, tmp_path: Path) -> None:
    deliver(shared, "first", "second", "third")
    mutt = Mutt(shared, tmp_path)
    mutt.keys(
        "<first-entry><flag-message><next-entry><display-message><exit>"
        "<next-entry><delete-message><sync-mailbox><quit>"
    )
    imap = shared.imap_client()
    assert select(imap) == 2
    assert flags_of(imap, "1") >= {"\\Flagged"}
    assert "\\Seen" not in flags_of(imap, "1")
    assert flags_of(imap, "2") >= {"\\Seen"}
    imap.logout()


def test_copies_and_saves_to_other_mailboxes(shared: Server, tmp_path: Path) -> None:
    deliver(shared, "keep", "file away")
    Mutt(shared, tmp_path).keys(
        "<first-entry><copy-message>=Filed<enter><next-entry><save-message>=Filed<enter>"
        "<sync-mailbox><quit>"
    )
    imap = shared.imap_client()
    assert select(imap) == 1
    assert select(imap, "Filed") == 2
    assert [numbers(imap, "SUBJECT", word) for word in ("keep", "away")] == [[b"1"], [b"2"]]
    imap.select("INBOX")
    imap.delete("Filed")
    imap.logout()


@pytest.mark.parametrize("smtps", [False, True])
def test_sends_by_submission(shared: Server, tmp_path: Path, smtps: bool) -> None:
    attachment = tmp_path / "data.bin"
    attachment.write_bytes(bytes(range(256)) * 100)
    Mutt(shared, tmp_path, smtps=smtps).batch(
        *("-s", "grüße von mutt", "-a", str(attachment), "--", "friend@example.org"),
        stdin=b"Zeile eins\n.\n..zwei\n",
    )
    eventually(lambda: shared.count() == 1)
    imap = shared.imap_client()
    (message,) = fetch_all(imap)
    assert b"\r\n.\r\n..zwei\r\n" in message
    imap.logout()


def test_sent_copy_goes_to_imap(shared: Server, tmp_path: Path) -> None:
    mutt = Mutt(shared, tmp_path)
    mutt.batch("-e", "set record='=Sent'", "-s", "kept", "--", "a@example.org", stdin=b"text\n")
    imap = shared.imap_client()
    assert select(imap, "Sent") == 1
    assert b"Subject: kept" in body_of(imap, "1")
    assert flags_of(imap, "1") >= {"\\Seen"}
    imap.store("1", "+FLAGS", "(\\Deleted)")
    imap.close()
    imap.logout()


def test_on_the_maildir_beside_the_server(shared: Server, tmp_path: Path) -> None:
    """What mutt does to the files is seen over IMAP, and the other way round."""
    deliver(shared, "first", "second", "third")
    imap = shared.imap_client()
    assert select(imap) == 3
    imap.store("1", "+FLAGS", "(\\Answered)")
    eventually(lambda: len(list(shared.maildir.glob("cur/*:2,R"))) == 1)
    mutt = Mutt(shared, tmp_path)
    mutt.keys(
        "<first-entry><flag-message><next-entry><display-message><exit>"
        "<next-entry><delete-message><sync-mailbox><quit>",
        *("-f", str(shared.maildir)),
    )
    eventually(lambda: imap.noop() and flags_of(imap, "1") >= {"\\Flagged", "\\Answered"})
    assert flags_of(imap, "2") >= {"\\Seen"}
    eventually(lambda: imap.noop() and len(numbers(imap)) == 2)
    shared.drop("new/1800000009.mutt-dropped", "Subject: dropped\n\ntext\n")
    eventually(lambda: imap.noop() and len(numbers(imap)) == 3)
    assert numbers(imap, "SUBJECT", "dropped") == [b"3"]
    imap.logout()
    assert shared.count() == 3
