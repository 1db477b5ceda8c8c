"""Maildir-layout.md, with find, mv, cp and a running server: what it promises, it does."""

from __future__ import annotations

import imaplib
import os
import re
import select
import shutil
import socket
import subprocess
import time
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest

from tests.support.server import PASSWORD, USER, Server, eventually

# "Within a second", on a machine that does other things as well.
SOON_S = 1.0
SLACK_S = 1.5


class Idler:
    """A session that idles in a mailbox and notes what it is told."""

    def __init__(self, server: Server, mailbox: str = "INBOX") -> None:
        self.sock = socket.create_connection(("127.0.0.1", server.imap), timeout=20)
        self.buffer = b""
        self.line()
        self.command(f"login {USER} {PASSWORD}")
        self.command(f'select "{mailbox}"')
        self.sock.sendall(b"x idle\r\n")
        while not self.line().startswith(b"+"):
            pass

    def line(self, timeout_s: float = 20.0) -> bytes:
        deadline = time.monotonic() + timeout_s
        while b"\n" not in self.buffer:
            readable, _, _ = select.select([self.sock], [], [], deadline - time.monotonic())
            assert readable, "nothing came"
            data = self.sock.recv(65536)
            assert data, "connection closed"
            self.buffer += data
        line, _, self.buffer = self.buffer.partition(b"\n")
        return line

    def command(self, text: str) -> None:
        self.sock.sendall(f"a {text}\r\n".encode())
        while not (line := self.line()).startswith(b"a "):
            continue
        assert line.startswith(b"a OK"), line

    def expect(self, pattern: str) -> float:
        """Wait for a line that matches; how long it took."""
        began = time.monotonic()
        while not re.search(pattern.encode(), self.line(SOON_S + SLACK_S)):
            continue
        return time.monotonic() - began

    def close(self) -> None:
        self.sock.close()


@pytest.fixture
def idle(shared: Server) -> Iterator[Callable[..., Idler]]:
    made: list[Idler] = []

    def make(mailbox: str = "INBOX") -> Idler:
        made.append(Idler(shared, mailbox))
        return made[-1]

    yield make
    for each in made:
        each.close()


@pytest.fixture
def client(shared: Server) -> Iterator[imaplib.IMAP4]:
    client = shared.imap_client()
    yield client
    client.logout()


def sh(server: Server, script: str) -> str:
    """Run a script as people would, in the directory above the Maildir."""
    done = subprocess.run(
        ["sh", "-ec", script],
        cwd=server.maildir.parent,
        capture_output=True,
        text=True,
        timeout=20,
    )
    assert done.returncode == 0, done.stderr
    return done.stdout


def files(server: Server, mailbox: str = "", sub: str = "[cn][ue][rw]") -> list[Path]:
    return sorted((server.maildir / mailbox).glob(f"{sub}/*"))


def flags(client: imaplib.IMAP4, mailbox: str = "INBOX") -> dict[int, set[str]]:
    """uid: flags, as of now."""
    typ, data = client.select(mailbox, readonly=True)
    assert typ == "OK", data
    if data == [b"0"]:
        return {}
    typ, data = client.uid("FETCH", "1:*", "(FLAGS)")
    found: dict[int, set[str]] = {}
    for item in data:
        match = re.search(rb"FLAGS \(([^)]*)\)", item)
        uid = re.search(rb"UID (\d+)", item)
        assert match and uid
        found[int(uid[1])] = set(match[1].decode().split()) - {"\\Recent"}
    return found


def deliver(server: Server, subject: str = "hello") -> Path:
    before = set(files(server))
    server.deliver(f"Subject: {subject}\r\n\r\nline\r\n".encode())
    (path,) = set(files(server)) - before
    return path


# ---- while an IMAP session watches


def test_a_script_that_delivers_is_noticed_within_a_second(
    shared: Server, idle: Callable[..., Idler]
) -> None:
    session = idle()
    # The recipe, word for word.
    script = """
        f=$(date +%s).$$.$(hostname); printf 'Subject: x\\n\\nfrom a script\\n' > Maildir/tmp/$f \\
            && mv Maildir/tmp/$f Maildir/new/$f
    """
    sh(shared, script)
    session.expect(r"^\* 1 EXISTS")


def test_flags_that_mutt_sets_are_noticed_within_a_second(
    shared: Server, idle: Callable[..., Idler]
) -> None:
    path = deliver(shared)
    session = idle()
    sh(shared, f"mv Maildir/new/{path.name} Maildir/cur/{path.name}:2,S")
    session.expect(r"^\* 1 FETCH .*\\Seen")
    sh(shared, f"mv Maildir/cur/{path.name}:2,S Maildir/cur/{path.name}:2,FRS")
    session.expect(r"^\* 1 FETCH .*\\Answered.*\\Flagged")
    sh(shared, f"mv Maildir/cur/{path.name}:2,FRS Maildir/cur/{path.name}:2,")
    session.expect(r"^\* 1 FETCH \(UID \d+ FLAGS \((\\Recent)?\)")


def test_files_that_find_deletes_are_gone_within_a_second(
    shared: Server, idle: Callable[..., Idler]
) -> None:
    for subject in "abc":
        deliver(shared, subject)
    (path,) = [each for each in files(shared) if b"Subject: b" in each.read_bytes()]
    session = idle()
    sh(shared, f"find Maildir -name '{path.name}*' -delete")
    session.expect(r"^\* 2 EXPUNGE")


def test_a_file_moved_to_another_folder_goes_there(
    shared: Server, idle: Callable[..., Idler], client: imaplib.IMAP4
) -> None:
    shared.empty("Archive")
    path = deliver(shared, "moving")
    here, there = idle(), idle("Archive")
    before = int(re.search(rb"UIDNEXT (\d+)", client.status("Archive", "(UIDNEXT)")[1][0])[1])  # type: ignore[index,arg-type]
    sh(shared, f"mv Maildir/new/{path.name} Maildir/.Archive/cur/{path.name}:2,F")
    here.expect(r"^\* 1 EXPUNGE")
    there.expect(r"^\* 1 EXISTS")
    assert flags(client, "Archive") == {before: {"\\Flagged"}}
    shared.empty("Archive")


def test_a_program_that_copies_into_place_is_waited_for(
    shared: Server, idle: Callable[..., Idler], client: imaplib.IMAP4
) -> None:
    """cp writes into cur/ itself; what it has written when it is done is the message."""
    source = shared.maildir.parent / "source"
    source.write_bytes(b"Subject: copied\n\n" + b"0123456789\n" * 500_000)
    session = idle()
    sh(shared, "cp source Maildir/cur/1.copied.host:2,")
    session.expect(r"^\* 1 EXISTS")
    client.select("INBOX", readonly=True)
    size = re.search(rb"SIZE (\d+)", client.fetch("1", "(RFC822.SIZE)")[1][0])  # type: ignore[arg-type]
    assert size
    assert int(size[1]) == source.stat().st_size + 500_002
    source.unlink()


def test_many_files_at_once_are_all_noticed(
    shared: Server, idle: Callable[..., Idler], client: imaplib.IMAP4
) -> None:
    session = idle()
    script = """
        for i in $(seq 200); do printf "Subject: $i\\n\\nx\\n" > Maildir/tmp/m.$i; done
        mv Maildir/tmp/m.* Maildir/new/
    """
    sh(shared, script)
    session.expect(r"^\* 200 EXISTS")
    sh(shared, "find Maildir/new Maildir/cur -name 'm.*' -delete")
    eventually(lambda: not flags(client), 5)


# ---- files and names


def test_a_message_is_a_file_as_described(shared: Server) -> None:
    shared.deliver(b"Subject: layout\r\n\r\nline\r\nlast\r\n")
    (path,) = files(shared)
    assert path.parent.name == "new", "delivered mail goes to new/"
    pattern = r"\d+\.M\d+P\d+Q\d+\.[^,:/]+,S=(\d+),W=(\d+)"
    name = re.fullmatch(pattern, path.name)
    assert name
    content = path.read_bytes()
    assert b"\r" not in content
    for added in (b"Delivered-To: ", b"Return-Path: ", b"Received: "):
        assert b"\n" + added in b"\n" + content
    assert content.endswith(b"Subject: layout\n\nline\nlast\n")
    assert int(name[1]) == len(content)
    assert int(name[2]) == len(content) + content.count(b"\n")


def test_imap_sends_the_same_octets_with_crlf(shared: Server, client: imaplib.IMAP4) -> None:
    path = deliver(shared)
    client.select("INBOX", readonly=True)
    body = client.fetch("1", "(BODY.PEEK[])")[1][0][1]  # type: ignore[index]
    assert body == path.read_bytes().replace(b"\n", b"\r\n")


def test_flags_over_imap_show_in_names_within_a_second(
    shared: Server, client: imaplib.IMAP4
) -> None:
    base = deliver(shared).name
    client.select("INBOX")
    letters = {
        "\\Draft": "D",
        "\\Flagged": "F",
        "$Forwarded": "P",
        "\\Answered": "R",
        "\\Seen": "S",
        "\\Deleted": "T",
    }
    for flag, letter in letters.items():
        client.store("1", "FLAGS", f"({flag})")
        wanted = shared.maildir / "cur" / f"{base}:2,{letter}"
        eventually(wanted.exists, SOON_S + SLACK_S)
    client.store("1", "FLAGS", "(\\Seen \\Flagged $Junk todo)")
    eventually(lambda: list(shared.maildir.glob(f"cur/{base}:2,FS[a-z][a-z]")), SOON_S + SLACK_S)
    table = dict(
        line.split(" ", 1)[::-1] for line in (shared.maildir / "dovecot-keywords").open("r")
    )
    (path,) = shared.maildir.glob(f"cur/{base}:2,*")
    shown = set(path.name.rpartition(",FS")[2])
    assert shown == {chr(97 + int(table[f"{word}\n"])) for word in ("$Junk", "todo")}


def test_what_others_left_alone_stays(shared: Server, client: imaplib.IMAP4) -> None:
    base = deliver(shared).name
    client.select("INBOX")
    client.store("1", "FLAGS", "(\\Flagged todo later)")
    eventually(lambda: list(shared.maildir.glob(f"cur/{base}:2,F[a-z][a-z]")), 5)
    (path,) = shared.maildir.glob(f"cur/{base}:2,*")
    path.rename(f"{path}".replace(":2,F", ":2,FS"))
    client.store("1", "+FLAGS", "(\\Answered)")
    wanted = {"\\Seen", "\\Flagged", "\\Answered", "todo", "later"}
    eventually(lambda: set(flags(client).popitem()[1]) == wanted, 5)
    eventually(lambda: list(shared.maildir.glob(f"cur/{base}:2,FRS[a-z][a-z]")), 5)


def test_the_base_of_a_name_stays_and_copies_are_links(
    shared: Server, client: imaplib.IMAP4
) -> None:
    base = deliver(shared).name
    client.select("INBOX")
    client.copy("1", "Archive")
    client.store("1", "+FLAGS", "(\\Seen)")
    eventually(lambda: [path.name for path in files(shared)] == [f"{base}:2,S"], 5)
    (copy,) = files(shared, ".Archive")
    assert not copy.name.startswith(base)
    assert copy.samefile(files(shared)[0])
    shared.empty("Archive")
    assert files(shared)[0].read_bytes()


def test_mail_with_flags_goes_to_cur(shared: Server, client: imaplib.IMAP4) -> None:
    client.append("INBOX", "(\\Seen)", "", b"Subject: x\r\n\r\ny\r\n")  # type: ignore[arg-type]
    (path,) = files(shared)
    assert path.parent.name == "cur"
    assert path.name.endswith(":2,S")


def test_files_with_crlf_are_left_as_they_are(shared: Server, client: imaplib.IMAP4) -> None:
    content = b"Subject: dos\r\n\r\nline\r\n"
    (shared.maildir / "tmp/dos").write_bytes(content)
    sh(shared, "mv Maildir/tmp/dos Maildir/new/1.dos")
    client.select("INBOX", readonly=True)
    assert client.fetch("1", "(BODY.PEEK[])")[1][0][1] == content  # type: ignore[index]
    assert (shared.maildir / "new/1.dos").read_bytes() == content


def test_the_date_of_a_dropped_file_is_its_mtime(shared: Server, client: imaplib.IMAP4) -> None:
    sh(shared, "printf 'Subject: x\\n\\ny\\n' > Maildir/tmp/d; touch -d @1500000000 Maildir/tmp/d")
    sh(shared, "mv Maildir/tmp/d Maildir/cur/1.d:2,S")
    client.select("INBOX", readonly=True)
    date = client.fetch("1", "(INTERNALDATE)")[1][0]
    assert b'"14-Jul-2017 02:40:00 +0000"' in date  # type: ignore[operator]


def test_dot_files_are_ignored(shared: Server, client: imaplib.IMAP4) -> None:
    sh(shared, "echo x > Maildir/cur/.nfs0001; echo x > Maildir/new/.hidden")
    assert flags(client) == {}
    sh(shared, "rm Maildir/cur/.nfs0001 Maildir/new/.hidden")


def test_truncated_files_go_to_the_quarantine_and_come_back_when_repaired(
    shared: Server, client: imaplib.IMAP4
) -> None:
    path = deliver(shared)
    content = path.read_bytes()
    name = path.name.replace(".M", ".Mx")
    (shared.maildir / "tmp/short").write_bytes(content[:-3])
    sh(shared, f"mv Maildir/tmp/short 'Maildir/new/{name}'")
    assert len(flags(client)) == 1
    assert (shared.maildir.parent / "quarantine" / name).exists()
    assert "quarantine" in shared.log
    sh(shared, f"mv quarantine/{name} Maildir/new/{name.partition(',')[0]}")
    assert len(flags(client)) == 2


def test_expunged_mail_is_kept_for_a_while_elsewhere(shared: Server, client: imaplib.IMAP4) -> None:
    content = deliver(shared).read_bytes()
    before = set((shared.maildir.parent / "expunged").iterdir())
    shared.empty("INBOX")
    eventually(lambda: not files(shared), 5)
    eventually(lambda: len(set((shared.maildir.parent / "expunged").iterdir()) - before) == 1, 5)
    (kept,) = set((shared.maildir.parent / "expunged").iterdir()) - before
    assert kept.read_bytes() == content


# ---- folders


@pytest.mark.parametrize(
    ("mailbox", "directory"),
    [
        ("Lists/2026", ".Lists.2026"),
        ("example.org/a=b", ".example=2Eorg.a=3Db"),
        ("Entw&APw-rfe", ".Entwürfe"),
    ],
)
def test_mailboxes_are_directories_as_described(
    shared: Server, client: imaplib.IMAP4, mailbox: str, directory: str
) -> None:
    assert client.create(f'"{mailbox}"')[0] == "OK"
    for sub in ("cur", "new", "tmp"):
        assert (shared.maildir / directory / sub).is_dir()
    assert client.delete(f'"{mailbox}"')[0] == "OK"
    assert not (shared.maildir / directory).exists()


def test_a_name_too_long_for_a_directory_is_refused(client: imaplib.IMAP4) -> None:
    assert client.create("x" * 254)[0] == "OK"
    assert client.delete("x" * 254)[0] == "OK"
    assert client.create("x" * 255)[0] == "NO"


def test_a_folder_made_by_hand_is_a_mailbox_at_the_next_list(
    shared: Server, client: imaplib.IMAP4
) -> None:
    sh(shared, "mkdir -p Maildir/.By=2Ehand.deep/cur Maildir/.By=2Ehand.deep/new")
    sh(shared, "mkdir -p Maildir/.By=2Ehand.deep/tmp; echo x > Maildir/.By=2Ehand.deep/new/1.x")
    listed = b" ".join(client.list()[1])  # type: ignore[arg-type]
    assert b"By.hand/deep" in listed
    assert len(flags(client, "By.hand/deep")) == 1
    client.delete("By.hand/deep")
    client.delete("By.hand")


def test_a_folder_removed_by_hand_stays_empty_and_works(
    shared: Server, client: imaplib.IMAP4
) -> None:
    client.create("Removed")
    client.append("Removed", "", "", b"Subject: x\r\n\r\ny\r\n")  # type: ignore[arg-type]
    sh(shared, "rm -r Maildir/.Removed")
    assert flags(client, "Removed") == {}
    assert client.append("Removed", "", "", b"Subject: x\r\n\r\ny\r\n")[0] == "OK"  # type: ignore[arg-type]
    assert list(flags(client, "Removed")) == [2]
    sh(shared, "rm -r Maildir/.Removed")
    assert client.append("Removed", "", "", b"Subject: x\r\n\r\ny\r\n")[0] == "OK"  # type: ignore[arg-type]
    assert list(flags(client, "Removed")) == [3]
    client.delete("Removed")


def test_renamed_mailboxes_take_their_directory_along(
    shared: Server, client: imaplib.IMAP4
) -> None:
    client.create("Old/deep")
    client.append("Old/deep", "(\\Seen)", "", b"Subject: x\r\n\r\ny\r\n")  # type: ignore[arg-type]
    (path,) = files(shared, ".Old.deep")
    client.rename("Old", "New")
    assert (shared.maildir / ".New.deep/cur" / path.name).exists()
    assert not list(shared.maildir.glob(".Old*"))
    client.delete("New/deep")
    client.delete("New")


# ---- the index is not needed


def test_the_index_can_be_made_anew_from_the_files(server: Server) -> None:
    client = server.imap_client()
    client.create("Lists/mox")
    for number in range(3):
        client.append("Lists/mox", "(\\Seen todo)", "", b"Subject: %d\r\n\r\ny\r\n" % number)  # type: ignore[arg-type]
    server.deliver(b"Subject: inbox\r\n\r\ny\r\n")
    eventually(lambda: len(list(server.maildir.glob(".Lists.mox/cur/*:2,S??"))) == 3, 5)
    client.logout()
    server.stop()
    shutil.rmtree(server.directory / "index")
    done = server.run("reindex", "mox")
    assert done.returncode == 0, done.stderr
    done = server.run("setaccountpassword", "mox", stdin=f"{PASSWORD}\n")
    assert done.returncode == 0, done.stderr
    server.start()
    client = server.imap_client()
    assert len(flags(client)) == 1
    assert list(flags(client, "Lists/mox").values()) == [{"\\Seen", "todo", "$NotJunk"}] * 3
    client.logout()


def test_recipes_find_what_they_say(shared: Server, client: imaplib.IMAP4) -> None:
    old, new = deliver(shared, "old"), deliver(shared, "new")
    os.utime(old, (1_500_000_000, 1_500_000_000))
    found = sh(shared, "find Maildir -path '*/cur/*' -mtime -1 -o -path '*/new/*' -mtime -1")
    assert f"Maildir/new/{new.name}" in found.splitlines()
    assert f"Maildir/new/{old.name}" not in found.splitlines()
    client.select("INBOX")
    client.store("1", "+FLAGS", "($Junk)")
    table = shared.maildir / "dovecot-keywords"
    eventually(lambda: table.exists() and "$Junk" in table.read_text(), 5)
    letter = chr(97 + int(re.search(r"^(\d+) \$Junk$", table.read_text(), re.M)[1]))  # type: ignore[index]
    eventually(lambda: len(sh(shared, f"find Maildir -name '*:2,*{letter}*'").splitlines()) == 1, 5)
