"""offlineimap keeps a Maildir and the mailboxes of an account the same, in both directions."""

from __future__ import annotations

import os
import re
import subprocess
from pathlib import Path

from tests.support.mailboxes import flags_of, numbers, select
from tests.support.server import PASSWORD, USER, Server

CONFIG = """\
[general]
accounts = mox
metadata = {directory}/metadata
ui = basic

[Account mox]
localrepository = near
remoterepository = far

[Repository near]
type = Maildir
localfolders = {directory}/near

[Repository far]
type = IMAP
remotehost = localhost
remoteport = {port}
ssl = yes
sslcacertfile = {certificate}
remoteuser = {user}
remotepass = {password}
maxconnections = 3
expunge = yes
"""


class Client:
    """A directory that offlineimap keeps."""

    def __init__(self, server: Server, directory: Path) -> None:
        self.near = directory / "near"
        self.near.mkdir()
        self.rc = directory / "offlineimaprc"
        self.rc.write_text(
            CONFIG.format(
                directory=directory,
                port=server.imaps,
                certificate=server.certificate,
                user=USER,
                password=PASSWORD,
            )
        )

    def sync(self) -> None:
        words = ["offlineimap", "-o", "-c", str(self.rc)]
        env = {**os.environ, "HOME": str(self.near.parent)}
        done = subprocess.run(words, capture_output=True, text=True, env=env, timeout=100)
        assert done.returncode == 0, done.stdout[-2000:] + done.stderr[-2000:]
        assert "ERROR" not in done.stdout + done.stderr, done.stdout[-2000:]

    def files(self, mailbox: str) -> dict[str, Path]:
        """Files by the number in their Subject."""
        found = {}
        for path in self.near.glob(f"{mailbox}/[cn][ue][rw]/*"):
            match = re.search(r"^Subject: (\S+)", path.read_text(), re.MULTILINE)
            assert match is not None
            found[match[1]] = path
        return found


def message(number: int) -> bytes:
    return b"From: a@localhost\r\nSubject: n%d\r\n\r\ntext %d\r\n" % (number, number)


def test_both_directions(shared: Server, tmp_path: Path) -> None:
    imap = shared.imap_client()
    imap.create("Offline")
    for number in range(30):
        imap.append("Offline", "(\\Seen)" if number % 2 else "", None, message(number))
    client = Client(shared, tmp_path)
    client.sync()
    files = client.files("Offline")
    assert len(files) == 30
    assert {name for name, path in files.items() if path.name.partition(":2,")[2] == "S"} == {
        f"n{number}" for number in range(1, 30, 2)
    }

    # Changes here go there.
    files["n0"].rename(
        files["n0"].parent.parent / "cur" / (files["n0"].name.split(":")[0] + ":2,FS")
    )
    files["n1"].unlink()
    (client.near / "Offline" / "new" / "1.made.here").write_bytes(
        message(77).replace(b"\r\n", b"\n")
    )
    client.sync()
    assert select(imap, "Offline") == 30
    (flagged,) = numbers(imap, "FLAGGED")
    assert {"\\Flagged", "\\Seen"} <= flags_of(imap, flagged.decode())
    assert numbers(imap, "SUBJECT", "n77") == [b"30"]
    assert [len(numbers(imap, "HEADER", "Subject", "n1"))] == [10]  # n10 to n19

    # And the other way round.
    imap.store("2:3", "+FLAGS", "(\\Answered)")
    imap.store("4", "+FLAGS", "(\\Deleted)")
    imap.expunge()
    client.sync()
    files = client.files("Offline")
    assert len(files) == 29
    assert sum("R" in path.name.partition(":2,")[2] for path in files.values()) == 2
    imap.select("INBOX")
    imap.delete("Offline")
    imap.logout()
