"""A whole IMAP worker in the test's process, on loopback, and clients that talk to it.

The worker runs in greenlets of the test's thread; clients use gevent's sockets, programs of the
standard library run in native threads.
"""

from __future__ import annotations

import hashlib
import re
import socket
import ssl
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from types import SimpleNamespace
from typing import TypeVar

import gevent
import gevent.socket
import gevent.ssl
import msgspec

from mox.config import Config, load
from mox.imapd.worker import run
from mox.serving.certificates import Certificates
from mox.serving.context import Context, Listen
from mox.store.account import Account
from mox.store.credentials import Credentials, ScryptHash, make_credentials
from mox.store.model import Flag, NewMessage

T = TypeVar("T")
DEADLINE_S = 10.0

STATIC = """\
DataDir: data
LogLevel: {loglevel}
Hostname: mail.example.org
Listeners:
	local:
		IPs:
			- 127.0.0.1
		SMTPMaxMessageSize: {limit}
{tls}\
		IMAP:
			Enabled: true
			NoRequireSTARTTLS: {plain_login}
		IMAPS:
			Enabled: {has_tls}
Postmaster:
	Account: mjl
	Mailbox: Postmaster
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
	example.org: nil
Accounts:
	mjl:
		Domain: example.org
		Destinations:
			mjl@example.org: nil
	small:
		Domain: example.org
		QuotaMessageSize: 5000
		IMAPCapabilitiesDisabled:
			- CONDSTORE
			- MOVE
		Destinations:
			small@example.org: nil
"""

PASSWORD = "test1234-ä"


def cheap_credentials() -> Credentials:
    """Real verifiers, but a password check costs no time."""
    salt = b"salt"
    digest = hashlib.scrypt(PASSWORD.encode(), salt=salt, n=2, r=1, p=1, dklen=32)
    hashed = ScryptHash(salt, digest, 2, 1, 1)
    return msgspec.structs.replace(make_credentials(PASSWORD), scrypt=hashed)


CREDENTIALS = cheap_credentials()

MESSAGE = (
    b"From: Alice <alice@remote.example>\r\n"
    b"To: mjl@example.org\r\n"
    b"Subject: hello\r\n"
    b"Date: Mon, 23 Nov 2026 12:46:03 +0100\r\n"
    b"Message-Id: <m1@remote.example>\r\n"
    b"\r\n"
    b"some text\r\n"
)


class Site:
    """A running worker."""

    def __init__(
        self,
        directory: Path,
        *,
        certificate: tuple[bytes, bytes] | None = None,
        plain_login: bool = True,
        limit: int = 1 << 20,
        loglevel: str = "error",
        dynamic: str = DYNAMIC,
    ) -> None:
        (directory / "data").mkdir(exist_ok=True)
        if certificate is not None:
            (directory / "cert.pem").write_bytes(certificate[0])
            (directory / "key.pem").write_bytes(certificate[1])
        static = STATIC.format(
            loglevel=loglevel,
            limit=limit,
            plain_login=str(plain_login).lower(),
            tls=TLS if certificate else "",
            has_tls=str(certificate is not None).lower(),
        )
        (directory / "mox.conf").write_text(static)
        (directory / "domains.conf").write_text(dynamic)
        self.config: Config = load(directory / "mox.conf", check_files=False)
        services = ["imap", "imaps"] if certificate else ["imap"]
        self._listens = {service: _listen(service) for service in services}
        self.ctx = Context(
            kind="imap",
            slot=0,
            config_source=SimpleNamespace(current=self.config),
            listens=list(self._listens.values()),
            certificates=Certificates.load(self.config) if certificate else None,
        )
        self._clients: list[Client] = []
        for name in self.config.dynamic.accounts:
            self.account(name).set_credentials(CREDENTIALS)
        self._server = gevent.spawn(run, self.ctx)

    def account(self, name: str = "mjl") -> Account:
        return self.ctx.store.account(name)

    def port(self, service: str = "imap") -> int:
        return self._listens[service].port

    def connect(self, service: str = "imap") -> Client:
        client = Client(self.port(service), tls=service == "imaps")
        self._clients.append(client)
        return client

    def login(self, select: str = "", *, user: str = "mjl", enable: str = "") -> Client:
        """A client that has logged in, and selected a mailbox if one is named."""
        client = self.connect()
        client.ok("login", user + "@example.org", Literal(PASSWORD))
        if enable:
            client.ok(f"enable {enable}")
        if select:
            client.ok(f"select {select}")
        return client

    def add(
        self,
        *messages: bytes,
        mailbox: str = "INBOX",
        flags: Flag = Flag.NONE,
        keywords: tuple[str, ...] = (),
        user: str = "mjl",
        received: tuple[int, int] = (1_800_000_000, 60),
    ) -> None:
        """Put messages into a mailbox, past IMAP."""
        account = self.account(user)
        box = account.mailbox(mailbox)
        assert box is not None
        new = []
        for message in messages:
            spool = self.ctx.store.spool()
            spool.write(message)
            new.append(NewMessage(spool, received, flags, keywords))
        account.append(box.id, new)

    def stop(self) -> None:
        for client in self._clients:
            client.close()
        self.ctx.stopping.set()
        self._server.join(5)
        assert self._server.dead
        self.ctx.close()


def _listen(service: str) -> Listen:
    sock = socket.socket()
    sock.bind(("127.0.0.1", 0))
    sock.listen(100)
    return Listen("local", service, sock, service == "imaps", sock.getsockname()[1])


def in_thread(fn: Callable[[], T]) -> T:
    """Run blocking code of the standard library while the worker goes on."""
    result: T = gevent.get_hub().threadpool.apply(fn)
    return result


def unverified() -> ssl.SSLContext:
    context = gevent.ssl.SSLContext(ssl.PROTOCOL_TLS_CLIENT)
    context.check_hostname = False
    context.verify_mode = ssl.CERT_NONE
    return context


def message(number: int = 1, body: str = "some text") -> bytes:
    """A message whose subject has the number."""
    return MESSAGE.replace(b"hello", b"hello %d" % number).replace(b"some text", body.encode())


@dataclass(frozen=True)
class Literal:
    """An argument that is sent as a literal."""

    value: str | bytes
    sync: bool = False

    @property
    def octets(self) -> bytes:
        return self.value.encode() if isinstance(self.value, str) else self.value


@dataclass(frozen=True)
class Answer:
    """What a command came to. Lines are without their CRLF, literals stand in them."""

    lines: list[str]
    status: str
    text: str

    @property
    def code(self) -> str:
        match = re.match(r"\[([^\]]*)\]", self.text)
        return match.group(1) if match else ""

    def starting(self, start: str) -> list[str]:
        return [line for line in self.lines if line.startswith(start)]


_SIZE = re.compile(rb"\{(\d+)\}\r\n$")


class Client:
    """A raw IMAP client: sends what it is told, reads whole responses."""

    def __init__(self, port: int, *, tls: bool = False) -> None:
        self.sock = gevent.socket.create_connection(("127.0.0.1", port), timeout=DEADLINE_S)
        if tls:
            self.sock = unverified().wrap_socket(self.sock)
        self._data = b""
        self._count = 0
        self.greeting = self.line()

    def send(self, data: bytes | str) -> None:
        self.sock.sendall(data.encode() if isinstance(data, str) else data)

    def line(self) -> str:
        """One response with its literals, without the last CRLF."""
        out = b""
        while True:
            out += self._until_newline()
            match = _SIZE.search(out)
            if match is None:
                return out[:-2].decode("utf-8", "surrogateescape")
            out += self._take(int(match.group(1)))

    def _until_newline(self) -> bytes:
        while b"\r\n" not in self._data:
            self._more()
        line, end, self._data = self._data.partition(b"\r\n")
        return line + end

    def _take(self, size: int) -> bytes:
        while len(self._data) < size:
            self._more()
        taken, self._data = self._data[:size], self._data[size:]
        return taken

    def _more(self) -> None:
        more = self.sock.recv(65536)
        assert more, f"closed after {self._data!r}"
        self._data += more

    def command(self, *words: str | Literal) -> Answer:
        """Send a command and read until its tagged response."""
        self._count += 1
        tag = f"t{self._count}"
        out = tag.encode()
        before: list[str] = []
        for word in words:
            if isinstance(word, Literal):
                out += b" {%d%s}\r\n" % (len(word.octets), b"" if word.sync else b"+")
                if word.sync:
                    self.send(out)
                    out = b""
                    reply = self.line()
                    if not reply.startswith("+"):
                        return self._answer(tag, before, reply)
                out += word.octets
            else:
                out += b" " + word.encode()
        self.send(out + b"\r\n")
        return self._answer(tag, before, self.line())

    def _answer(self, tag: str, lines: list[str], line: str) -> Answer:
        while not line.startswith(tag + " "):
            lines.append(line)
            line = self.line()
        _, status, text = line.split(" ", 2)
        return Answer(lines, status, text)

    def ok(self, *words: str | Literal) -> list[str]:
        """Send a command that succeeds; its untagged responses."""
        answer = self.command(*words)
        assert answer.status == "OK", answer
        return answer.lines

    def no(self, *words: str | Literal) -> str:
        """Send a command that is refused; the text."""
        answer = self.command(*words)
        assert answer.status == "NO", answer
        return answer.text

    def bad(self, *words: str | Literal) -> str:
        answer = self.command(*words)
        assert answer.status == "BAD", answer
        return answer.text

    def append(self, mailbox: str, content: bytes, options: str = "") -> str:
        """APPEND a message; the text of the OK."""
        words = [f"append {mailbox}"] + ([options] if options else [])
        answer = self.command(*words, Literal(content))
        assert answer.status == "OK", answer
        return answer.text

    def idle(self) -> None:
        self.send("idle idle\r\n")
        assert self.line().startswith("+ ")

    def done(self) -> list[str]:
        """End IDLE; what came before its end."""
        self.send("DONE\r\n")
        lines = []
        while not (line := self.line()).startswith("idle OK"):
            lines.append(line)
        return lines

    def is_closed(self) -> bool:
        """Wait for the end of the connection; false when something else comes."""
        try:
            return not self._data and self.sock.recv(1) == b""
        except ConnectionResetError:
            return True

    def starttls(self) -> None:
        self.ok("starttls")
        self.sock = unverified().wrap_socket(self.sock)

    def close(self) -> None:
        self.sock.close()
