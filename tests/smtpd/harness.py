"""A whole SMTP worker in the test's process, on loopback, and a client that talks to it.

The worker runs in greenlets of the test's thread; raw dialogues use gevent's sockets, programs of
the standard library run in native threads.
"""

from __future__ import annotations

import base64
import socket
import ssl
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field, replace
from pathlib import Path
from types import SimpleNamespace
from typing import Protocol, TypeVar

import gevent
import gevent.socket
import gevent.ssl
from gevent.pool import Group

from mox.config import Config, load
from mox.dns import Answer, Status
from mox.mailauth.dkimsign import Signer
from mox.serving.certificates import Certificates
from mox.serving.context import Context, Listen
from mox.smtpd.worker import serve_clients
from mox.store.credentials import make_credentials
from mox.store.outgoing import Outgoing
from mox.store.outgoing_records import QueueMessage
from tests.support.dnsrecords import record_of

MESSAGE = (
    b"From: <a@remote.example>\r\nSubject: hi\r\nMessage-ID: <1@remote.example>\r\n\r\nhello\r\n"
)

T = TypeVar("T")

STATIC = """\
DataDir: data
LogLevel: {loglevel}
Hostname: mail.example.org
Pedantic: {pedantic}
Listeners:
	local:
		IPs:
			- 127.0.0.1
{listener}\
		SMTP:
			Enabled: true
			FirstTimeSenderDelay: {delay}
			{smtp}
		Submission:
			Enabled: true
			NoRequireSTARTTLS: {plain_login}
		Submissions:
			Enabled: {tls}
Postmaster:
	Account: mjl
	Mailbox: Postmaster
HostTLSRPT:
	Account: mjl
	Mailbox: TLSRPT
	Localpart: tlsreports
"""

TLS = """\
		TLS:
			KeyCerts:
				-
					CertFile: cert.pem
					KeyFile: key.pem
"""

DYNAMIC = """\
Domains:
	example.org:
		LocalpartCatchallSeparator: +
		Aliases:
			team:
				Addresses:
					- mjl@example.org
					- second@example.org
			public:
				Addresses:
					- mjl@example.org
					- second@example.org
				PostPublic: true
			own:
				Addresses:
					- mjl@example.org
					- second@example.org
				AllowMsgFrom: true
	off.example:
		Disabled: true
	localhost:
		LocalpartCatchallSeparator: +
Accounts:
	mjl:
		Domain: example.org
		Destinations:
			mjl@example.org: nil
			gone@example.org:
				SMTPError: 550 moved away
			later@example.org:
				SMTPError: 421 come back
			x@off.example: nil
		FromIDLoginAddresses:
			- mjl+fromid@example.org
	second:
		Domain: example.org
		QuotaMessageSize: 5000
		MaxOutgoingMessagesPerDay: 5
		MaxFirstTimeRecipientsPerDay: 2
		Destinations:
			second@example.org:
				Mailbox: Other/Place
	mox:
		Domain: localhost
		Destinations:
			mox@localhost: nil
"""

PASSWORD = "test1234"


@dataclass
class FakeResolver:
    """Answers from a table; names that are not there do not exist."""

    records: Mapping[tuple[str, str], tuple[str, ...]] = field(default_factory=dict)
    broken: frozenset[str] = frozenset()

    def query(self, name: str, rdtype: str, timeout_s: float | None = None) -> Answer:
        if name in self.broken:
            return Answer(Status.TEMPORARY, error="broken")
        texts = self.records.get((name, rdtype))
        if texts is not None:
            records = tuple(record_of(rdtype, text) for text in texts)
            return Answer(Status.OK, records, canonical=name)
        exists = any(name == known for known, _ in self.records)
        return Answer(Status.NODATA if exists else Status.NXDOMAIN, canonical=name)


RESOLVER = FakeResolver(
    {
        ("remote.example", "A"): ("192.0.2.10", "127.0.0.1"),
        ("remote.example", "TXT"): ('"v=spf1 a -all"',),
        ("1.0.0.127.in-addr.arpa", "PTR"): ("remote.example.",),
        ("withmx.example", "MX"): ("10 remote.example.",),
        ("nomail.example", "MX"): ("0 .",),
        ("dangling.example", "MX"): ("10 nowhere.example.",),
        ("localhost", "A"): ("127.0.0.1",),
    },
    frozenset({"broken.example"}),
)


class Questions(Protocol):
    """What answers questions about names: a table, or a resolver."""

    def query(self, name: str, rdtype: str, timeout_s: float | None = None) -> Answer: ...


class Site:
    """A running worker with all three services."""

    def __init__(
        self,
        directory: Path,
        *,
        certificate: tuple[bytes, bytes] | None = None,
        localserve: bool = False,
        pedantic: bool = False,
        plain_login: bool = True,
        smtp: str = "Port: 25",
        listener: str = "",
        loglevel: str = "error",
        signers: Mapping[str, tuple[Signer, ...]] | None = None,
        delay: str = "0s",
        dynamic: str = DYNAMIC,
        resolver: Questions = RESOLVER,
    ) -> None:
        self.directory = directory
        (directory / "data").mkdir(exist_ok=True)
        if certificate is not None:
            (directory / "cert.pem").write_bytes(certificate[0])
            (directory / "key.pem").write_bytes(certificate[1])
            listener += TLS
        else:
            smtp += "\n\t\t\tNoSTARTTLS: true"
        static = STATIC.format(
            pedantic=str(pedantic).lower(),
            plain_login=str(plain_login).lower(),
            smtp=smtp,
            delay=delay,
            listener=listener,
            loglevel=loglevel,
            tls=str(certificate is not None).lower(),
        )
        (directory / "mox.conf").write_text(static)
        (directory / "domains.conf").write_text(dynamic)
        loaded = load(directory / "mox.conf", check_files=False)
        self.config: Config = replace(loaded, signers=signers or {})
        self.has_tls = certificate is not None
        services = ["smtp", "submission"] + (["submissions"] if self.has_tls else [])
        self._listens = {service: _listen(service) for service in services}
        self.ctx = Context(
            kind="smtp",
            slot=0,
            config_source=SimpleNamespace(current=self.config),
            listens=list(self._listens.values()),
            localserve=localserve,
            certificates=Certificates.load(self.config) if certificate else None,
        )
        self._clients = Group()
        self._server = gevent.spawn(serve_clients, self.ctx, resolver)

    def set_password(self, account: str = "mjl") -> None:
        self.ctx.store.account(account).set_credentials(make_credentials(PASSWORD))

    def port(self, service: str = "smtp") -> int:
        return self._listens[service].port

    def connect(
        self, service: str = "smtp", *, hello: bool = True, source: str = "127.0.0.1"
    ) -> Client:
        client = Client(self.port(service), tls=service == "submissions", source=source)
        assert client.reply()[0] == 220
        if hello:
            assert client.say("EHLO remote.example")[0] == 250
        return client

    def logged_in(self, login: str = "mjl@example.org") -> Client:
        """Connect to submission and log in."""
        client = self.connect("submission")
        assert client.login(login)[0] == 235
        return client

    def messages(self, account: str = "mjl", mailbox: str = "INBOX") -> list[bytes]:
        """All messages of a mailbox in wire form, oldest first."""
        found = self.ctx.store.account(account)
        box = found.mailbox(mailbox)
        if box is None:
            return []
        stored = [found.read(box.id, uid) for uid in found.uids(box.id)]
        return [bytes(m.data) if m.wire else bytes(m.data).replace(b"\n", b"\r\n") for m in stored]

    @property
    def outgoing(self) -> Outgoing:
        return Outgoing(self.ctx.store)

    def queued(self) -> list[QueueMessage]:
        return self.outgoing.messages()

    def stop(self) -> None:
        self.ctx.stopping.set()
        self._server.join(5)
        assert self._server.dead
        self.ctx.close()


def _listen(service: str) -> Listen:
    sock = socket.socket()
    sock.bind(("127.0.0.1", 0))
    sock.listen(100)
    return Listen("local", service, sock, service == "submissions", sock.getsockname()[1])


def in_thread(fn: Callable[[], T]) -> T:
    """Run blocking code of the standard library while the worker goes on."""
    result: T = gevent.get_hub().threadpool.apply(fn)
    return result


def unverified() -> ssl.SSLContext:
    context = gevent.ssl.SSLContext(ssl.PROTOCOL_TLS_CLIENT)
    context.check_hostname = False
    context.verify_mode = ssl.CERT_NONE
    return context


class Client:
    """A raw SMTP client: sends what it is told, reads one reply at a time."""

    def __init__(self, port: int, *, tls: bool = False, source: str = "127.0.0.1") -> None:
        self.sock = gevent.socket.create_connection(
            ("127.0.0.1", port), timeout=10, source_address=(source, 0)
        )
        if tls:
            self.sock = unverified().wrap_socket(self.sock)
        self._data = b""

    def send(self, data: bytes | str) -> None:
        self.sock.sendall(data.encode() if isinstance(data, str) else data)

    def say(self, line: bytes | str) -> tuple[int, str]:
        self.send((line.encode() if isinstance(line, str) else line) + b"\r\n")
        return self.reply()

    def reply(self) -> tuple[int, str]:
        """Read one reply: its code, and its lines without code joined by newlines."""
        lines = []
        while True:
            line = self._line()
            lines.append(line[4:])
            if line[3:4] != "-":
                return int(line[:3]), "\n".join(lines)

    def _line(self) -> str:
        while b"\r\n" not in self._data:
            more = self.sock.recv(65536)
            assert more, f"closed after {self._data!r}"
            self._data += more
        line, _, self._data = self._data.partition(b"\r\n")
        return line.decode()

    def is_closed(self) -> bool:
        """Wait for the end of the connection; false when something else comes."""
        try:
            return not self._data and self.sock.recv(1) == b""
        except ConnectionResetError:
            return True

    def starttls(self) -> None:
        assert self.say("STARTTLS")[0] == 220
        self.sock = unverified().wrap_socket(self.sock)

    def login(self, login: str, password: str = PASSWORD) -> tuple[int, str]:
        text = base64.b64encode(f"\0{login}\0{password}".encode()).decode()
        return self.say(f"AUTH PLAIN {text}")

    def envelope(self, sender: str, *recipients: str, parameters: str = "") -> None:
        code, text = self.say(f"MAIL FROM:<{sender}>{parameters}")
        assert code == 250, text
        for recipient in recipients:
            code, text = self.say(f"RCPT TO:<{recipient}>")
            assert code == 250, text

    def data(self, message: bytes) -> tuple[int, str]:
        """Send a message with DATA, dots stuffed."""
        assert self.say("DATA")[0] == 354
        stuffed = (b"\r\n" + message).replace(b"\r\n.", b"\r\n..")[2:]
        self.send(stuffed + b".\r\n")
        return self.reply()

    def bdat(self, *chunks: bytes) -> tuple[int, str]:
        """Send a message in chunks, the last one marked so."""
        for chunk in chunks[:-1]:
            self.send(f"BDAT {len(chunk)}\r\n".encode() + chunk)
            assert self.reply()[0] == 250
        self.send(f"BDAT {len(chunks[-1])} LAST\r\n".encode() + chunks[-1])
        return self.reply()

    def deliver(self, sender: str, *recipients: str, message: bytes) -> tuple[int, str]:
        self.envelope(sender, *recipients)
        return self.data(message)

    def close(self) -> None:
        self.sock.close()
