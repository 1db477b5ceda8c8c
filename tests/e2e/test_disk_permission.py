"""Directories of one account that mox may not write to: that account waits, all others go on."""

from __future__ import annotations

import imaplib
import os
import smtplib
from collections.abc import Iterator
from pathlib import Path

import pytest

from tests.support.server import Server, eventually

ACCOUNT = """\
	other:
		Domain: localhost
		Destinations:
			other@localhost: nil
"""
OTHER, PASSWORD = "other@localhost", "otherotherother"
# Root may do everything: take that right away from the server.
_CAPABILITIES = "-dac_override,-dac_read_search"
_LIMITED = ["setpriv", f"--bounding-set={_CAPABILITIES}", f"--inh-caps={_CAPABILITIES}"]


class LimitedServer(Server):
    def command(self, *words: str) -> list[str]:
        return [*(_LIMITED if os.geteuid() == 0 else []), *super().command(*words)]


@pytest.fixture
def server(tmp_path: Path) -> Iterator[LimitedServer]:
    server = LimitedServer(tmp_path / "mox")
    server.init()
    server.edit("domains.conf", "Accounts:\n", "Accounts:\n" + ACCOUNT)
    done = server.run("setaccountpassword", "other", stdin=f"{PASSWORD}\n")
    assert done.returncode == 0, done.stderr
    server.start(wait=False)
    try:
        server.wait()
        yield server
    finally:
        if server.process is not None and server.process.poll() is None:
            server.stop()


def send(server: Server, recipient: str) -> tuple[int, bytes]:
    with smtplib.SMTP("127.0.0.1", server.smtp, timeout=20) as client:
        try:
            client.sendmail("a@localhost", [recipient], b"Subject: x\r\n\r\nbody\r\n")
        except smtplib.SMTPDataError as e:
            return e.smtp_code, bytes(e.smtp_error)
        return 250, b""


def login(server: Server, user: str, password: str) -> imaplib.IMAP4:
    client = imaplib.IMAP4("127.0.0.1", server.imap, timeout=20)
    client.login(user, password)
    return client


@pytest.mark.parametrize("part", ["tmp", "new", ""])
def test_an_account_without_permission_waits_and_others_go_on(
    server: LimitedServer, part: str
) -> None:
    assert send(server, OTHER)[0] == 250
    maildir = server.directory / "accounts/other/Maildir"
    client = login(server, OTHER, PASSWORD)
    assert client.select("INBOX")[1] == [b"1"]
    workers = set(server.workers())
    (maildir / part).chmod(0o500 if part else 0)
    code, text = send(server, OTHER)
    assert (code, text[:5]) == (451, b"4.3.0")
    assert "check owner" in server.log
    assert send(server, "mox@localhost")[0] == 250
    if part:
        typ, data = client.fetch("1", "(BODY.PEEK[])")
        assert typ == "OK"
        assert data[0][1].endswith(b"body\r\n")  # type: ignore[index]
    else:
        assert client.append("INBOX", "", "", b"Subject: y\r\n\r\n")[0] == "NO"  # type: ignore[arg-type]
        assert client.fetch("1", "(BODY.PEEK[])")[0] == "NO"
    # What the index knows is there all the same.
    assert client.fetch("1", "(ENVELOPE)")[0] == "OK"
    other = login(server, "mox@localhost", "moxmoxmox")
    assert other.select("INBOX")[0] == "OK"
    (maildir / part).chmod(0o700)
    assert send(server, OTHER)[0] == 250
    assert client.select("INBOX")[1] == [b"2"]
    assert workers <= set(server.workers()), "nobody had to be started again"
    assert "Traceback" not in server.log


def test_names_of_other_accounts_go_on_showing_flags(server: LimitedServer) -> None:
    assert send(server, OTHER)[0] == 250
    maildir = server.directory / "accounts/other/Maildir"
    broken = login(server, OTHER, PASSWORD)
    broken.select("INBOX")
    (maildir / "cur").chmod(0o500)
    (maildir / "new").chmod(0o500)
    assert broken.store("1", "+FLAGS", "(\\Seen)")[0] == "OK", "the index has it"
    eventually(lambda: "cannot show the flags" in server.log, 10)
    assert send(server, "mox@localhost")[0] == 250
    client = login(server, "mox@localhost", "moxmoxmox")
    client.select("INBOX")
    client.store("1", "+FLAGS", "(\\Flagged)")
    eventually(lambda: list(server.maildir.glob("cur/*:2,F")), 10)
    assert "Traceback" not in server.log
