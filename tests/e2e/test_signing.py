"""A running server begins to sign when its configuration says so, and changes keys the same way."""

from __future__ import annotations

import re

import dkim as dkimpy

from tests.support.mailboxes import fetch_all
from tests.support.rawsmtp import RawSMTP
from tests.support.server import USER, Server, eventually

MESSAGE = b"From: <mox@localhost>\r\nTo: <a@example.org>\r\nSubject: x\r\n\r\nsome  text \r\n\r\n"
DOMAIN = "\tlocalhost:\n"
DKIM = """\
		DKIM:
			Selectors:
				one:
					PrivateKeyFile: one.pem
				two:
					Canonicalization:
						HeaderRelaxed: true
						BodyRelaxed: true
					Expiration: 1h
					PrivateKeyFile: two.pem
			Sign:
				- one
"""
_SIGNED_BY = re.compile(rb"^DKIM-Signature: v=1; d=localhost; s=([a-z]+);", re.MULTILINE)


def make_key(server: Server, selector: str) -> str:
    """Write a new key and return its record, without the strings' quotes."""
    pem = server.run("dkim", "genrsa").stdout
    (server.directory / f"{selector}.pem").write_text(pem)
    record = server.run("dkim", "txt", stdin=pem).stdout
    return "".join(re.findall(r'"([^"]*)"', record))


def own_signing(server: Server) -> str:
    """What localserve writes about signatures."""
    text = (server.directory / "domains.conf").read_text()
    return text[text.index("\n\t\t# Messages are signed") : text.index("Accounts:\n")]


def submitted(server: Server) -> bytes:
    """Submit a message, and return it as it came back."""
    server.empty("INBOX")
    with RawSMTP(server.submission) as smtp:
        assert smtp.command("EHLO client.example") == 250
        smtp.login()
        assert smtp.command(f"MAIL FROM:<{USER}>") == 250
        assert smtp.command("RCPT TO:<a@example.org>") == 250
        code, text = smtp.data(MESSAGE)
        assert code == 250, text
    eventually(lambda: server.count() == 1, 30)
    client = server.imap_client()
    try:
        [found] = fetch_all(client)
    finally:
        client.logout()
    return found


def signed_by(server: Server, *selectors: bytes) -> bytes:
    """Submit messages until one is signed so: each worker looks at the file once a second."""
    found = b""

    def is_signed() -> bool:
        nonlocal found
        found = submitted(server)
        return _SIGNED_BY.findall(found) == [*selectors]

    eventually(is_signed, 30)
    return found


def test_keys_are_used_as_soon_as_the_configuration_names_them(server: Server) -> None:
    records = {f"{name}._domainkey.localhost.": make_key(server, name) for name in ("one", "two")}

    def dns(name: bytes, timeout: int = 5) -> bytes:
        return records[name.decode()].encode()

    assert signed_by(server, b"localserve")
    server.edit("domains.conf", own_signing(server), "")
    signed_by(server)
    server.edit("domains.conf", DOMAIN, DOMAIN + DKIM)
    assert server.run("config", "test").returncode == 0
    signed_by(server, b"one")
    server.edit("domains.conf", "\t\t\t\t- one\n", "\t\t\t\t- two\n\t\t\t\t- one\n")
    message = signed_by(server, b"two", b"one")
    for index in range(2):
        assert dkimpy.DKIM(message).verify(idx=index, dnsfunc=dns)
    assert not dkimpy.verify(message.replace(b"some", b"SOME"), dnsfunc=dns)
    # A key that is gone is an error in the log, and changes nothing.
    (server.directory / "one.pem").unlink()
    server.edit("domains.conf", "Expiration: 1h", "Expiration: 2h")
    eventually(lambda: submitted(server) and "one.pem: No such file" in server.log, 30)
    signed_by(server, b"two", b"one")
