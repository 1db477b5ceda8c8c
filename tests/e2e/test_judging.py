"""A whole server judges mail: signed, forged, unwanted; its user sorts with a real IMAP client."""

from __future__ import annotations

import contextlib
import imaplib
import os
import signal
import smtplib
import socket
import subprocess
import time
import urllib.request
from collections.abc import Iterator
from pathlib import Path

import pytest

from mox.address import parse_address, parse_domain
from mox.mailauth.canonical import Canonicalization
from mox.mailauth.content import SignedContent
from mox.mailauth.dkimsign import Signer, sign
from tests.mailauth.dkimkeys import ED25519, record
from tests.support.fakedns import FakeDNS
from tests.support.mailboxes import fetch_all, select
from tests.support.server import MOX, eventually, free_offset

pytestmark = pytest.mark.e2e

STATIC = """\
DataDir: data
LogLevel: info
User: {user}
Hostname: mail.example.org
Listeners:
	local:
		IPs:
			- 127.0.0.1
		SMTP:
			Enabled: true
			Port: {smtp}
			NoSTARTTLS: true
			FirstTimeSenderDelay: 0s
		IMAP:
			Enabled: true
			Port: {imap}
			NoRequireSTARTTLS: true
		MetricsHTTP:
			Enabled: true
			Port: {metrics}
Postmaster:
	Account: mjl
	Mailbox: Postmaster
"""

DYNAMIC = """\
Domains:
	example.org: nil
Accounts:
	mjl:
		Domain: example.org
		RejectsMailbox: Rejects
		Destinations:
			mjl@example.org: nil
		AutomaticJunkFlags:
			Enabled: true
			JunkMailboxRegexp: ^(junk|spam)
			NeutralMailboxRegexp: ^(inbox|rejects)
		JunkFilter:
			Threshold: 0.95
			Params:
				Onegrams: true
				MaxPower: 0.01
				TopWords: 10
"""

PASSWORD = "test1234"
ZONE: dict[tuple[str, str], list[str]] = {
    ("1.0.0.127.in-addr.arpa", "PTR"): ["mta.sender.example."],
    ("mta.sender.example", "A"): ["127.0.0.1"],
    ("sender.example", "A"): ["127.0.0.1"],
    ("sender.example", "TXT"): ['"v=spf1 ip4:127.0.0.1 -all"'],
    ("k._domainkey.sender.example", "TXT"): [f'"{record(ED25519)}"'],
    ("_dmarc.sender.example", "TXT"): ['"v=DMARC1; p=reject"'],
    ("bank.example", "A"): ["192.0.2.1"],
    ("_dmarc.bank.example", "TXT"): ['"v=DMARC1; p=quarantine"'],
}


class Serve:
    """`mox serve` with name server, SMTP and IMAP."""

    def __init__(self, directory: Path, dns: FakeDNS) -> None:
        offset = free_offset()
        self.smtp, self.imap, self.metrics = 25 + offset, 143 + offset, 81 + offset
        ports = {"smtp": self.smtp, "imap": self.imap, "metrics": self.metrics}
        (directory / "mox.conf").write_text(STATIC.format(user=os.getuid(), **ports))
        (directory / "domains.conf").write_text(DYNAMIC)
        (directory / "data").mkdir()
        self.log_path = directory / "log"
        command = [str(MOX), "-config", str(directory / "mox.conf")]
        words = [*command, "setaccountpassword", "mjl"]
        subprocess.run(words, input=PASSWORD + "\n", text=True, check=True, capture_output=True)
        self._log = self.log_path.open("ab")
        self.process = subprocess.Popen(
            [*command, "serve"],
            env=os.environ | {"MOX_DNS_SERVER": dns.server},
            stdout=self._log,
            stderr=self._log,
        )
        for port in (self.smtp, self.imap):
            eventually(lambda port=port: self._greets(port), 30)  # type: ignore[misc]

    def _greets(self, port: int) -> bool:
        assert self.process.poll() is None, self.log_path.read_text()[-3000:]
        with contextlib.suppress(OSError), socket.create_connection(("127.0.0.1", port), 2) as sock:
            return bool(sock.recv(100))
        return False

    def stop(self) -> None:
        self.process.send_signal(signal.SIGTERM)
        self.process.wait(60)
        self._log.close()

    def deliver(self, message: bytes) -> None:
        """Send as another server what is accepted."""
        with smtplib.SMTP("127.0.0.1", self.smtp, timeout=60) as client:
            client.sendmail("a@sender.example", "mjl@example.org", message)

    def is_refused(self, message: bytes, reader: imaplib.IMAP4) -> bytes:
        """Send what is refused; the copy in Rejects. The refusal takes 25 s: it is not read."""
        before = _count(reader)
        with contextlib.closing(smtplib.SMTP("127.0.0.1", self.smtp, timeout=60)) as client:
            client.ehlo()
            assert client.mail("a@sender.example")[0] == 250
            assert client.rcpt("mjl@example.org")[0] == 250
            assert client.docmd("DATA")[0] == 354
            client.send(message + b".\r\n")
            eventually(lambda: _count(reader) == before + 1, 20)
        return fetch_all(reader, "Rejects")[-1]

    def client(self) -> imaplib.IMAP4:
        client = imaplib.IMAP4("127.0.0.1", self.imap)
        client.login("mjl@example.org", PASSWORD)
        return client

    def counted(self, result: str, reason: str) -> bool:
        url = f"http://127.0.0.1:{self.metrics}/metrics"
        text = urllib.request.urlopen(url, timeout=10).read().decode()
        return f'mox_smtpserver_delivery_total{{reason="{reason}",result="{result}"}}' in text


def _count(reader: imaplib.IMAP4) -> int:
    status, data = reader.select("Rejects")
    return int(data[0] or 0) if status == "OK" else 0


@pytest.fixture
def server(tmp_path: Path) -> Iterator[Serve]:
    with FakeDNS(ZONE) as dns:
        server = Serve(tmp_path, dns)
        yield server
        server.stop()


def signed(number: int, author: str = "a@sender.example") -> bytes:
    octets = (
        f"From: <{author}>\r\nTo: <mjl@example.org>\r\nSubject: number {number}\r\n"
        f"Message-Id: <{number}@sender.example>\r\n\r\ntext {number}\r\n"
    ).encode()
    signer = Signer(
        domain=parse_domain("sender.example"),
        selector="k",
        key=ED25519,
        names=("From", "Subject"),
        body=Canonicalization.RELAXED,
    )
    content = SignedContent(octets, wire=True)
    return sign([signer], content, parse_address("a@sender.example"), time.time()) + octets


def test_a_sender_from_stranger_to_refused_and_back(server: Serve) -> None:
    server.deliver(signed(1))
    client = server.client()
    [message] = fetch_all(client)
    head = message.partition(b"\r\n\r\n")[0].replace(b"\r\n\t", b" ")
    assert head.startswith(b"X-Mox-Reason: no-bad-signals; ")
    assert b" dkim=pass (256 bit ed25519, without dnssec) header.d=sender.example " in head
    assert b" spf=pass " in head
    assert b" dmarc=pass " in head

    # Junk, says the user; so is what follows, and it can be found in Rejects.
    client.uid("MOVE", "1", "Junk")
    reject = server.is_refused(signed(2), client)
    assert reject.startswith(b"X-Mox-Reason: msgfromfull;\r\n")
    # It was wanted after all.
    select(client, "Rejects")
    client.uid("MOVE", "1", "Archive")
    server.deliver(signed(3))
    client.logout()

    log = server.log_path.read_text()
    assert 'm="delivery rejected"' in log
    assert "reason=msgfromfull code=451" in log
    assert server.counted("delivered", "msgfromfull")
    assert server.counted("reject", "msgfromfull")


def test_a_forged_author_is_refused(server: Serve) -> None:
    client = server.client()
    reject = server.is_refused(signed(1, "service@bank.example"), client)
    assert reject.startswith(b"X-Mox-Reason: dmarc-policy;\r\n")
    assert select(client) == 0
    client.logout()
