"""Behind a load balancer: addresses come from PROXY headers, and limits apply to them."""

from __future__ import annotations

import os
import signal
import socket
import struct
import time
from collections.abc import Callable, Iterator
from contextlib import ExitStack
from ipaddress import ip_address

import pytest

from tests.support.mailboxes import fetch_all
from tests.support.rawsmtp import RawSMTP
from tests.support.server import USER, Server, eventually, free_offset, running

LISTENER = """\
Listeners:
	proxied:
		IPs:
			- 127.0.0.1
		ProxyProtocol:
			Networks:
				- 127.0.0.0/8
		TLS:
			KeyCerts:
				-
					CertFile: localhost.crt
					KeyFile: localhost.key
		SMTP:
			Enabled: true
			Port: {smtp}
		Submission:
			Enabled: true
			Port: {submission}
			NoRequireSTARTTLS: true
		Submissions:
			Enabled: true
			Port: {submissions}
		IMAP:
			Enabled: true
			Port: {imap}
			NoRequireSTARTTLS: true
"""


class Proxied:
    """The ports behind the balancer, of a server that has others too."""

    def __init__(self, server: Server) -> None:
        self.server = server
        offset = free_offset()
        self.smtp, self.submission = offset + 25, offset + 587
        self.submissions, self.imap = offset + 465, offset + 143
        ports = {"smtp": self.smtp, "submission": self.submission}
        ports |= {"submissions": self.submissions, "imap": self.imap}
        server.edit("mox.conf", "Listeners:\n", LISTENER.format(**ports))

    def connect(self, address: str, port: int | None = None) -> RawSMTP:
        return RawSMTP(port or self.smtp, prefix=v1(address))


def v1(address: str) -> bytes:
    family = "TCP6" if ":" in address else "TCP4"
    here = "::1" if ":" in address else "127.0.0.1"
    return f"PROXY {family} {address} {here} 40000 25\r\n".encode()


def v2(address: str, *, extra: bytes = b"\x04\x00\x03abc") -> bytes:
    source = ip_address(address)
    here = ip_address("::1" if source.version == 6 else "127.0.0.1")
    payload = source.packed + here.packed + struct.pack("!HH", 40000, 25) + extra
    family = 0x21 if source.version == 6 else 0x11
    start = b"\r\n\r\n\0\r\nQUIT\n"
    return start + struct.pack("!BBH", 0x21, family, len(payload)) + payload


@pytest.fixture(scope="module")
def proxied(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Proxied]:
    directory = tmp_path_factory.mktemp("proxied") / "mox"
    with running(directory) as server:
        server.stop()
        proxied = Proxied(server)
        server.start()
        yield proxied


@pytest.mark.parametrize("make", [v1, v2])
@pytest.mark.parametrize("address", ["198.51.100.7", "2001:db8::7"])
def test_received_shows_the_presented_address(
    proxied: Proxied, make: Callable[[str], bytes], address: str
) -> None:
    proxied.server.empty("INBOX")
    with RawSMTP(proxied.smtp, prefix=make(address)) as smtp:
        assert smtp.command("EHLO client.example") == 250
        smtp.envelope()
        assert smtp.data(b"Subject: x\r\n\r\n\r\n")[0] == 250
    client = proxied.server.imap_client()
    (message,) = fetch_all(client)
    client.logout()
    shown = f"IPv6:{address}" if ":" in address else address
    assert f"from client.example ([{shown}])" in " ".join(message.decode().split())


def test_header_octet_by_octet_and_with_what_follows(proxied: Proxied) -> None:
    sock = socket.create_connection(("127.0.0.1", proxied.smtp), timeout=30)
    for octet in v1("198.51.100.8") + b"EHLO c.example\r\nQUIT\r\n":
        sock.sendall(bytes([octet]))
    answer = sock.makefile("rb").read()
    assert answer.startswith(b"220 ")
    assert answer.splitlines()[-1].startswith(b"221 ")
    sock.close()


def test_implicit_tls_behind_the_header(proxied: Proxied) -> None:
    sock = socket.create_connection(("127.0.0.1", proxied.submissions), timeout=30)
    sock.sendall(v2("198.51.100.9"))
    tls = proxied.server.tls().wrap_socket(sock, server_hostname="localhost")
    assert tls.recv(100).startswith(b"220 ")
    tls.close()


@pytest.mark.parametrize(
    "prefix", [b"PROXY UNKNOWN\r\n", b"\r\n\r\n\0\r\nQUIT\n" + struct.pack("!BBH", 0x20, 0, 0)]
)
def test_the_balancer_speaks_for_itself(proxied: Proxied, prefix: bytes) -> None:
    with RawSMTP(proxied.smtp, prefix=prefix) as smtp:
        assert smtp.greeting[0] == 220


@pytest.mark.parametrize(
    "prefix",
    [
        b"EHLO client.example\r\n",
        b"PROXY TCP4 999.1.1.1 127.0.0.1 1 1\r\n",
        b"PROXY TCP4 198.51.100.7 127.0.0.1 99999 1\r\n",
        b"PROXY " + b"x" * 200,
        v2("198.51.100.7")[:12] + b"\x11" + v2("198.51.100.7")[13:],
        v2("198.51.100.7", extra=b"")[:14] + b"\x00\x04abcd",
    ],
)
def test_no_usable_header_no_greeting(proxied: Proxied, prefix: bytes) -> None:
    with RawSMTP(proxied.smtp, prefix=prefix, greeting=False) as smtp:
        assert smtp.is_closed()


def test_headers_are_not_believed_elsewhere(proxied: Proxied) -> None:
    with RawSMTP(proxied.server.smtp, prefix=v1("198.51.100.7")) as smtp:
        assert smtp.greeting[0] == 220
        assert smtp.reply()[0] == 500
        assert smtp.is_closed()


# ---- limits, which all workers share


def test_connection_rate(proxied: Proxied) -> None:
    for attempt in range(2):
        address = f"203.0.{113 + 8 * attempt}.1"
        minute = time.time() // 60
        greetings = []
        while len(greetings) < 301:
            with proxied.connect(address) as smtp:
                greetings.append(smtp.greeting)
        if time.time() // 60 == minute:
            break
    assert [code for code, _ in greetings] == [220] * 300 + [421]
    assert "connection rate too high" in greetings[-1][1]
    with proxied.connect("192.0.2.1") as smtp:
        assert smtp.greeting[0] == 220


def test_open_connections(proxied: Proxied) -> None:
    address = "100.64.0.1"
    with ExitStack() as stack:
        smtps = [stack.enter_context(proxied.connect(address)) for _ in range(29)]
        # Port 25 and submission count together.
        smtps.append(stack.enter_context(proxied.connect(address, proxied.submission)))
        assert {smtp.greeting[0] for smtp in smtps} == {220}
        with proxied.connect(address) as smtp:
            assert smtp.greeting[0] == 421
            assert "too many open connections" in smtp.greeting[1]
        smtps[0].close()
        eventually(lambda: _greeting(proxied, address) == 220)


def test_a_dead_worker_holds_no_connections(proxied: Proxied) -> None:
    address = "100.64.64.1"
    with ExitStack() as stack:
        for _ in range(30):
            stack.enter_context(proxied.connect(address))
        assert _greeting(proxied, address) == 421
        for pid in proxied.server.workers("smtp"):
            os.kill(pid, signal.SIGKILL)
        proxied.server.wait()
        eventually(lambda: _greeting(proxied, address) == 220)


def _greeting(proxied: Proxied, address: str) -> int:
    with proxied.connect(address) as smtp:
        return smtp.greeting[0]


def test_failed_logins(proxied: Proxied) -> None:
    """After ten in a minute nobody from this address gets in, whatever the protocol."""
    address = "100.65.0.1"
    for _ in range(30):
        with proxied.connect(address, proxied.submission) as smtp:
            if smtp.greeting[0] == 421:
                break
            assert smtp.command("EHLO client.example") == 250
            for _ in range(2):
                assert smtp.command("AUTH PLAIN AG1veEBsb2NhbGhvc3QAd3Jvbmc=") in (454, 535)
    assert "too many auth failures" in smtp.greeting[1]
    sock = socket.create_connection(("127.0.0.1", proxied.imap), timeout=30)
    sock.sendall(v1(address))
    assert sock.recv(1000).startswith(b"* BYE")
    sock.close()
    # Port 25 knows no logins; others are not held responsible.
    assert _greeting(proxied, address) == 220
    with proxied.connect("100.66.0.1", proxied.submission) as smtp:
        assert smtp.command("EHLO client.example") == 250
        smtp.login()
        smtp.envelope(USER, USER)
