"""imapsync copies an account to another server, and back what has changed there."""

from __future__ import annotations

import gzip
import imaplib
import os
import re
import subprocess
from collections.abc import Iterator
from pathlib import Path

import pytest

from tests.support import imapsync
from tests.support.mailboxes import body_of, flags_of, numbers, select
from tests.support.server import PASSWORD, USER, Server, running

MAILBOXES = {"INBOX": 25, "Work": 40, "Work/Offers": 5, '"B&APw-ro/2026.01"': 3}
DATE = '" 3-Mar-2021 04:05:06 +0200"'


@pytest.fixture
def other(tmp_path: Path) -> Iterator[Server]:
    with running(tmp_path / "other") as server:
        yield server


@pytest.fixture
def program(tmp_path: Path) -> Path:
    path = tmp_path / "imapsync"
    path.write_bytes(gzip.decompress(Path(imapsync.__path__[0], "imapsync.gz").read_bytes()))
    return path


def sync(program: Path, source: Server, target: Server, *more: str) -> int:
    """Run imapsync; returns how many messages it transferred."""
    words = ["perl", str(program), "--nolog", "--noreleasecheck", "--nomodulesversion"]
    words += ["--tmpdir", str(program.parent), "--pidfile", str(program.parent / "pid"), *more]
    for number, server in (("1", source), ("2", target)):
        words += [f"--host{number}", "127.0.0.1", f"--port{number}", str(server.imaps)]
        words += [f"--ssl{number}", f"--user{number}", USER, f"--password{number}", PASSWORD]
    env = {**os.environ, "HOME": str(program.parent)}
    done = subprocess.run(words, capture_output=True, text=True, env=env, timeout=100)
    assert done.returncode == 0, done.stdout[-3000:] + done.stderr[-2000:]
    assert "Detected 0 errors" in done.stdout, done.stdout[-3000:]
    found = re.search(r"^Messages transferred\s*:\s*(\d+)", done.stdout, re.MULTILINE)
    assert found is not None, done.stdout[-3000:]
    return int(found[1])


def message(mailbox: str, number: int) -> bytes:
    head = f"From: a@localhost\r\nMessage-ID: <{number}.{mailbox.strip(chr(34))}@x>\r\n"
    return f"{head}Subject: n{number}\r\n\r\n.text\r\nof {number}".encode()


def account(server: Server) -> dict[str, dict[bytes, tuple[frozenset[str], str]]]:
    """Mailboxes: messages with their flags and date."""
    client = server.imap_client()
    found = {}
    for mailbox in MAILBOXES:
        select(client, mailbox)
        found[mailbox] = {
            body_of(client, n): (frozenset(flags_of(client, n.decode())), date_of(client, n))
            for n in numbers(client)
        }
    client.logout()
    return found


def date_of(client: imaplib.IMAP4, number: bytes) -> str:
    _, data = client.fetch(number.decode(), "(INTERNALDATE)")
    found = re.search(rb'INTERNALDATE "([^"]+)"', data[0])  # type: ignore[arg-type]
    assert found is not None
    return found[1].decode()


def test_both_directions(server: Server, other: Server, program: Path) -> None:
    client = server.imap_client()
    for mailbox, count in MAILBOXES.items():
        if mailbox != "INBOX":
            assert client.create(mailbox)[0] == "OK"
        for number in range(count):
            flags = ("", "(\\Seen)", "(\\Flagged \\Answered)", "(\\Seen $Forwarded work)")[
                number % 4
            ]
            assert client.append(mailbox, flags, DATE, message(mailbox, number))[0] == "OK"
    total = sum(MAILBOXES.values())
    assert sync(program, server, other) == total
    before = account(server)
    assert sum(map(len, before.values())) == total
    assert account(other) == before
    assert sync(program, server, other) == 0

    back = other.imap_client()
    select(back, "Work")
    back.store("1:3", "+FLAGS", "(\\Deleted)")
    back.expunge()
    back.store("1", "FLAGS", "(\\Flagged later)")
    assert back.append("Work", "(\\Seen)", DATE, message("Work", 99))[0] == "OK"
    back.logout()
    assert sync(program, other, server, "--delete2") == 1
    after = account(server)
    assert after == account(other)
    assert len(after["Work"]) == MAILBOXES["Work"] - 3 + 1
    client.logout()
