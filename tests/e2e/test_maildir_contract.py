"""Maildir-layout.md, promise by promise, with POSIX tools beside the running server."""

from __future__ import annotations

import os
import subprocess
import time
from collections.abc import Iterator
from pathlib import Path

import pytest

from tests.support.mailboxes import body_of, flags_of, select
from tests.support.server import Server, eventually
from tests.support.strictimap import StrictIMAP

MESSAGE = b"From: a@localhost\r\nSubject: contract\r\n\r\nline\r\n.dot\r\n"


def shell(script: str, cwd: Path) -> str:
    command = ["sh", "-euc", script]
    return subprocess.run(command, cwd=cwd, check=True, capture_output=True, text=True).stdout


@pytest.fixture
def watching(server: Server) -> Iterator[StrictIMAP]:
    """A client that idles in an INBOX with one message."""
    server.deliver(MESSAGE)
    client = StrictIMAP(server.imap)
    client.idle()
    yield client
    client.close()


def test_mutt_a_script_and_find_are_seen_within_a_second(
    server: Server, watching: StrictIMAP
) -> None:
    """As mutt marks a message, procmail drops one, and find removes it."""
    (path,) = (server.maildir / "new").iterdir()
    os.rename(path, server.maildir / "cur" / f"{path.name}:2,S")
    assert watching.idle_until(b"\\Seen", 1.0) < 1.0

    drop = "f=$(date +%s).$$.script; printf 'Subject: dropped\\n\\nhi\\n' >tmp/$f; mv tmp/$f new/$f"
    shell(drop, server.maildir)
    watching.idle_until(b"2 EXISTS", 1.0)

    shell("find . -path './new/*.script' -delete", server.maildir)
    watching.idle_until(b"2 EXPUNGE", 1.0)
    watching.done()
    assert len(watching.view()) == 1


def test_a_dropped_file_is_a_message_at_once_for_who_selects(server: Server) -> None:
    shell("printf 'Subject: x\\n\\nhello\\n' >tmp/1.2.h && mv tmp/1.2.h new/", server.maildir)
    client = server.imap_client()
    assert select(client) == 1
    assert body_of(client, "1") == b"Subject: x\r\n\r\nhello\r\n"


def test_files_are_what_was_received_with_lf(server: Server) -> None:
    server.deliver(MESSAGE)
    (path,) = (server.maildir / "new").iterdir()
    data = path.read_bytes()
    assert b"\r" not in data
    assert data.endswith(MESSAGE.replace(b"\r\n", b"\n"))
    assert f",S={len(data)},W={len(data) + data.count(bytes([10]))}" in path.name
    client = server.imap_client()
    select(client)
    assert body_of(client, "1") == data.replace(b"\n", b"\r\n")


def test_flags_set_over_imap_show_in_the_name_within_a_second(server: Server) -> None:
    server.deliver(MESSAGE)
    client = server.imap_client()
    select(client)
    client.store("1", "+FLAGS", "(\\Flagged \\Seen $Forwarded todo)")
    start = time.monotonic()
    eventually(lambda: _letters(server) == ["FPSa"], 5)
    assert time.monotonic() - start < 1.5
    assert (server.maildir / "dovecot-keywords").read_text() == "0 todo\n"
    client.store("1", "-FLAGS", "(\\Flagged)")
    eventually(lambda: _letters(server) == ["PSa"], 5)


def _letters(server: Server) -> list[str]:
    return [name.partition(":2,")[2] for name in os.listdir(server.maildir / "cur")]


def test_folders_are_maildir_directories_both_ways(server: Server) -> None:
    client = server.imap_client()
    for name in ('"example.org/a=b"', "Archive/2026", '"Entw&APw-rfe"'):
        assert client.create(name)[0] == "OK"
    made = {entry.name for entry in server.maildir.iterdir() if entry.name.startswith(".")}
    assert {".example=2Eorg.a=3Db", ".Archive.2026", ".Entwürfe"} <= made
    shell("mkdir -p '.By.Hand/cur' '.By.Hand/new' '.By.Hand/tmp'", server.maildir)
    names = b"\n".join(line for line in client.list()[1] if isinstance(line, bytes))
    assert b"By/Hand" in names


def test_a_file_moved_to_another_folder_goes_there(server: Server) -> None:
    server.deliver(MESSAGE)
    client = server.imap_client()
    assert select(client) == 1
    shell("mv new/* .Archive/new/", server.maildir)
    assert select(client, "Archive") == 1
    assert select(client) == 0


def test_a_truncated_file_goes_to_the_quarantine(server: Server) -> None:
    shell("printf 'Subject: x\\n\\ncut' >tmp/1 && mv tmp/1 'new/1.2.h,S=4711'", server.maildir)
    client = server.imap_client()
    assert select(client) == 0
    assert (server.maildir.parent / "quarantine" / "1.2.h,S=4711").exists()
    eventually(lambda: "quarantine" in server.log)


def test_a_removed_folder_leaves_an_empty_mailbox(server: Server) -> None:
    client = server.imap_client()
    client.append("Archive", "", "", MESSAGE)
    shell("rm -rf .Archive", server.maildir)
    assert select(client, "Archive") == 0
    client.append("Archive", "", "", MESSAGE)
    assert select(client, "Archive") == 1


def test_the_recipes(server: Server) -> None:
    client = server.imap_client()
    client.append("INBOX", "($Junk)", "", MESSAGE)
    eventually(lambda: _letters(server) == ["a"], 5)
    assert shell("find . -name '*:2,*a*'", server.maildir).count("\n") == 1
    found = shell("find . -path '*/cur/*' -mtime -1 -o -path '*/new/*' -mtime -1", server.maildir)
    assert found.count("\n") == 1
    select(client)
    assert flags_of(client, "1") >= {"$Junk"}
