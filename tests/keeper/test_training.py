"""A whole server learns what is junk from flags and moves over IMAP."""

from __future__ import annotations

import imaplib
import os
import re
import signal
from collections.abc import Iterator
from pathlib import Path

import pytest

from tests.support.server import Server, eventually, running

pytestmark = pytest.mark.e2e


@pytest.fixture
def server(tmp_path: Path) -> Iterator[Server]:
    with running(tmp_path / "mox") as server:
        yield server


def deliver(server: Server, text: str) -> None:
    message = f"From: <a@localhost>\r\nTo: mox@localhost\r\nSubject: hi\r\n\r\n{text}\r\n"
    server.deliver(message.encode())


def verified(server: Server) -> tuple[int, ...]:
    """Ham, junk, words, backlog, as the command says; fails when the counts are wrong."""
    done = server.run("junk", "verify", "mox")
    assert done.returncode == 0, done.stdout + done.stderr
    return tuple(map(int, re.findall(r"\b\d+\b", done.stdout)))


def learns(server: Server, ham: int, junk: int) -> None:
    eventually(lambda: verified(server)[:2] == (ham, junk) and verified(server)[3] == 0, 20)


def flags_of(client: imaplib.IMAP4, mailbox: str, uid: int) -> str:
    client.select(mailbox)
    return str(client.uid("FETCH", str(uid), "(FLAGS)")[1][0])


def test_flags_and_moves_teach_the_filter(server: Server) -> None:
    for text in ("casino winner", "casino bonus", "lunch project", "lunch meeting"):
        deliver(server, text)
    client = server.imap_client()
    client.select("INBOX")
    client._simple_command("UID", "MOVE", "1:2", "Junk")
    client.uid("COPY", "3", "Archive")
    client.uid("STORE", "4", "+FLAGS", "($NotJunk)")
    client.append("Archive", "(\\Seen)", "", b"Subject: x\r\n\r\nlunch again\r\n")
    assert "$Junk" in flags_of(client, "Junk", 1)
    assert "$NotJunk" in flags_of(client, "Archive", 1)
    assert "$NotJunk" in flags_of(client, "Archive", 2)
    assert "Junk" not in flags_of(client, "INBOX", 3)
    learns(server, 3, 2)
    words = verified(server)[2]

    # What comes next is known, also to the command.
    new = server.directory / "new-message"
    new.write_bytes(b"\r\ncasino\r\n")
    done = server.run("junk", "check", "-account", "mox", str(new))
    assert "junk words: casino" in done.stdout, done.stderr

    # Expunged mail counts no more; back in INBOX a message says nothing.
    client.select("Junk")
    client.uid("STORE", "1", "+FLAGS", "(\\Deleted)")
    client.expunge()
    client._simple_command("UID", "MOVE", "2", "INBOX")
    learns(server, 3, 0)

    # Other parameters are learnt without being asked to, also after a crash of the keeper.
    for pid in server.workers("keeper"):
        os.kill(pid, signal.SIGKILL)
    server.edit("domains.conf", "Onegrams: true", "Onegrams: true\n\t\t\t\tTwograms: true")
    eventually(lambda: verified(server)[2] > words, 30)
    learns(server, 3, 0)
    client.logout()
