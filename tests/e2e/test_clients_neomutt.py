"""neomutt over IMAPS, with CONDSTORE, QRESYNC and a header cache: it sees what others changed."""

from __future__ import annotations

import os
import shlex
import subprocess
from pathlib import Path

from tests.support.mailboxes import flags_of, numbers, select
from tests.support.server import PASSWORD, Server

CONFIG = """\
set realname="Test User" from="mox@localhost" use_from=yes
set ssl_ca_certificates_file="{certificate}" ssl_usesystemcerts=no ssl_force_tls=yes
set certificate_file="/dev/null" header_cache="{directory}/cache" message_cachedir=""
set quit=yes delete=yes wait_key=no mark_old=no confirmappend=no confirmcreate=no move=no
set resolve=no sort=date imap_condstore=yes imap_qresync=yes imap_idle=yes
set imap_user="mox@localhost" imap_pass="{password}"
set folder="imaps://localhost:{imaps}/" spoolfile="imaps://localhost:{imaps}/{mailbox}"
set record="" postponed="" imap_keepalive=5
"""


class NeoMutt:
    """neomutt with a configuration and cache of its own."""

    def __init__(self, server: Server, directory: Path, mailbox: str) -> None:
        self.directory = directory
        (directory / "cache").mkdir()
        self.rc = directory / "neomuttrc"
        self.rc.write_text(
            CONFIG.format(
                certificate=server.certificate,
                directory=directory,
                password=PASSWORD,
                imaps=server.imaps,
                mailbox=mailbox,
            )
        )

    def keys(self, keys: str) -> None:
        """Run on a terminal, with keys that end by quitting."""
        line = shlex.join(["neomutt", "-n", "-F", str(self.rc), "-e", f"push '{keys}'"])
        done = subprocess.run(
            ["script", "-qec", line, "/dev/null"],
            stdin=subprocess.DEVNULL,
            capture_output=True,
            env={
                **os.environ,
                "TERM": "xterm",
                "HOME": str(self.directory),
                "LC_ALL": "C.UTF-8",
            },
            timeout=60,
        )
        assert done.returncode == 0, done.stdout[-3000:]


def message(minute: int) -> bytes:
    return (
        b"From: a@localhost\r\nSubject: n%d\r\nDate: Mon, 2 Mar 2026 10:%02d:00 +0000\r\n\r\nx\r\n"
        % (minute, minute)
    )


def test_second_visit_sees_what_changed(shared: Server, tmp_path: Path) -> None:
    imap = shared.imap_client()
    imap.create("Neo")
    for minute in range(1, 6):
        imap.append("Neo", "", None, message(minute))
    neomutt = NeoMutt(shared, tmp_path, "Neo")
    neomutt.keys(
        "<first-entry><flag-message><next-entry><display-message><exit>"
        "<last-entry><delete-message><sync-mailbox><quit>"
    )
    assert select(imap, "Neo") == 4
    assert "\\Flagged" in flags_of(imap, "1")
    assert "\\Seen" in flags_of(imap, "2")

    # Others remove the first and add one; then its first entry is what was the second.
    imap.store("1", "+FLAGS", "(\\Deleted)")
    imap.expunge()
    imap.append("Neo", "", None, message(9))
    neomutt.keys(
        "<first-entry><flag-message><last-entry><copy-message>=Sent<enter><sync-mailbox><quit>"
    )
    assert select(imap, "Neo") == 4
    assert numbers(imap, "FLAGGED") == [b"1"]
    assert numbers(imap, "FLAGGED", "SUBJECT", "n2") == [b"1"]
    select(imap, "Sent")
    assert len(numbers(imap, "SUBJECT", "n9")) == 1
    imap.store("1:*", "+FLAGS", "(\\Deleted)")
    imap.expunge()
    imap.select("INBOX")
    imap.delete("Neo")
    imap.logout()
