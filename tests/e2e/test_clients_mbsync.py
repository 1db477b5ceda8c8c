"""mbsync keeps a Maildir and a mailbox of 10,000 messages the same, in both directions."""

from __future__ import annotations

import re
import subprocess
from collections.abc import Iterator
from pathlib import Path

import pytest

from tests.support.mailboxes import body_of, flags_of, numbers, select
from tests.support.server import Server, running

MESSAGES = 10_000
CONFIG = """\
FSync no

IMAPStore far
Host localhost
Port {port}
User mox@localhost
Pass moxmoxmox
SSLType {ssl}
CertificateFile {certificate}

MaildirStore near
Path {near}/
Inbox {near}/INBOX
SubFolders Verbatim

Channel all
Far :far:
Near :near:
Patterns Big Made/By/Client
Create Both
Expunge Both
CopyArrivalDate yes
SyncState *
"""
_TOTALS = re.compile(
    r"F: \+(\d+)/\d+ \*(\d+)/\d+ #(\d+)/\d+ +N: \+(\d+)/\d+ \*(\d+)/\d+ #(\d+)/\d+"
)


class Client:
    """A Maildir that mbsync keeps."""

    def __init__(self, server: Server, directory: Path, ssl: str = "IMAPS") -> None:
        directory.mkdir()
        self.near = directory / "near"
        self.near.mkdir()
        self.config = directory / "mbsyncrc"
        port = server.imaps if ssl == "IMAPS" else server.imap
        self.config.write_text(
            CONFIG.format(port=port, ssl=ssl, certificate=server.certificate, near=self.near)
        )

    def sync(self) -> tuple[int, ...]:
        """Run once; new, changed and removed messages far, then near."""
        # On a terminal it says what it does.
        words = ["script", "-qec", f"mbsync -c {self.config} all", "/dev/null"]
        done = subprocess.run(words, capture_output=True, text=True, timeout=100)
        output = done.stdout + done.stderr
        assert done.returncode == 0, output[-3000:]
        totals = _TOTALS.findall(output)
        assert totals, output[-3000:]
        return tuple(map(int, totals[-1]))

    def files(self, mailbox: str = "Big") -> dict[str, Path]:
        """Files by the number in their Subject."""
        found = {}
        for path in self.near.glob(f"{mailbox}/[cn][ue][rw]/*"):
            match = re.search(r"^Subject: (\S+)", path.read_text(), re.MULTILINE)
            assert match is not None
            found[match[1]] = path
        return found


def fill(directory: Path, count: int) -> None:
    for name in ("cur", "new", "tmp"):
        (directory / name).mkdir(parents=True)
    for number in range(count):
        path = directory / f"cur/{1_700_000_000 + number}.{number}.test:2,{'S' * (number % 2)}"
        path.write_text(
            f"From: a@example.org\nTo: mox@localhost\nSubject: {number}\n"
            f"Message-ID: <{number}@example.org>\n\nbody of {number}\n"
        )


@pytest.fixture(scope="module")
def filled(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Server]:
    directory = tmp_path_factory.mktemp("mbsync")
    fill(directory / "Big", MESSAGES)
    with running(directory / "mox") as server:
        (directory / "Big").rename(server.maildir / ".Big")
        yield server


def test_ten_thousand_messages_in_both_directions(filled: Server, tmp_path: Path) -> None:
    server, client = filled, Client(filled, tmp_path / "client")
    assert client.sync() == (0, 0, 0, MESSAGES, 0, 0)
    near = client.files()
    assert len(near) == MESSAGES
    assert sum(path.name.endswith("S") for path in near.values()) == MESSAGES // 2
    assert client.sync() == (0, 0, 0, 0, 0, 0)

    # Near: flags, removals, a new message.
    near["0"].rename(near["0"].parent / (near["0"].name.partition(":2,")[0] + ":2,FS"))
    near["1"].rename(near["1"].parent / (near["1"].name.partition(":2,")[0] + ":2,ST"))
    message = "From: b@example.org\nSubject: from-near\n\n.\nFrom near\n"
    (client.near / "Big/new/1800000000.1.near").write_text(message)
    # Far: the same of others.
    imap = server.imap_client()
    select(imap, "Big")
    (answered,) = numbers(imap, "HEADER", "Message-ID", '"<4@example.org>"')
    imap.store(answered.decode(), "+FLAGS", "(\\Answered \\Flagged)")
    imap.store("7:16", "+FLAGS", "(\\Deleted)")
    imap.append("Big", "(\\Flagged)", None, b"From: c@example.org\r\nSubject: from-far\r\n\r\n\r\n")
    # Removals travel as flags, and each side is expunged after that.
    assert client.sync() == (1, 2, 0, 1, 11, 0)
    near = client.files()
    assert near["from-far"].name.endswith(":2,F")
    assert near["4"].name.endswith(":2,FR")
    assert len(near) == MESSAGES + 2 - 11
    imap.noop()
    (far_new,) = numbers(imap, "SUBJECT", '"from-near"')
    assert b"\r\n\r\n.\r\nFrom near\r\n" in body_of(imap, far_new)
    (starred,) = numbers(imap, "HEADER", "Message-ID", '"<0@example.org>"')
    assert flags_of(imap, starred.decode()) >= {"\\Flagged", "\\Seen"}
    assert select(imap, "Big") == MESSAGES + 2 - 11
    imap.logout()
    assert client.sync() == (0, 0, 0, 0, 0, 0)


def test_starttls_and_a_mailbox_that_the_client_makes(filled: Server, tmp_path: Path) -> None:
    client = Client(filled, tmp_path / "client", "STARTTLS")
    fill(client.near / "Made/By/Client", 300)
    assert client.sync()[0] == 300
    imap = filled.imap_client(tls=True)
    assert select(imap, "Made/By/Client") == 300
    assert len(numbers(imap, "SEEN")) == 150
    imap.select("Big")
    imap.delete("Made/By/Client")
    imap.logout()


def test_a_mailbox_without_messages(filled: Server, tmp_path: Path) -> None:
    imap = filled.imap_client()
    imap.create("Made/By/Client")
    imap.logout()
    client = Client(filled, tmp_path / "client")
    client.sync()
    assert client.files("Made/By/Client") == {}
    assert client.sync() == (0, 0, 0, 0, 0, 0)
