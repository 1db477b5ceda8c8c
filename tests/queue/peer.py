"""A scripted SMTP server on loopback, in greenlets of the test's process."""

from __future__ import annotations

import ssl
import tempfile
from collections.abc import Callable, Iterable
from dataclasses import dataclass, field
from pathlib import Path

import gevent
import gevent.socket
import gevent.ssl
from gevent.server import StreamServer

from mox.tlsio.contexts import Identity

EXTENSIONS = ("PIPELINING", "8BITMIME", "ENHANCEDSTATUSCODES", "SIZE 10000000", "SMTPUTF8")

# What a script may say instead of a reply.
DROP = "drop"
STALL = "stall"


@dataclass
class Mail:
    """One transaction that ended with 250."""

    sender: str
    recipients: list[str]
    data: bytes
    session: int
    tls: bool
    parameters: str


@dataclass
class Peer:
    """`script` maps a command's first words, in upper case, to the replies that it gets in turn,
    the last one for ever. "" is the greeting, "." the end of the data. DROP closes, STALL is
    silent. All other commands get what is usual.
    """

    ip: str = "127.0.0.1"
    port: int = 0
    script: dict[str, list[str]] = field(default_factory=dict)
    extensions: Iterable[str] = EXTENSIONS
    tls_extensions: Iterable[str] = ()
    identity: Identity | None = None
    implicit_tls: bool = False
    broken_tls: bool = False
    demands_certificate: bool = False  # of the client, which has none
    name: str = "peer.example"
    on_line: Callable[[str], None] | None = None
    mails: list[Mail] = field(default_factory=list)
    lines: list[str] = field(default_factory=list)
    sessions: int = 0
    open_sessions: int = 0
    most_open: int = 0
    handshakes: int = 0

    def __enter__(self) -> Peer:
        self._server = StreamServer((self.ip, self.port), self._serve, backlog=200)
        self._server.start()
        self.port = self._server.server_port
        return self

    def __exit__(self, *_: object) -> None:
        self.stop()

    def stop(self) -> None:
        self._server.stop(timeout=0)

    def commands(self, verb: str) -> list[str]:
        return [line for line in self.lines if line.upper().startswith(verb)]

    def _serve(self, sock: gevent.socket.socket, address: object) -> None:
        self.sessions += 1
        self.open_sessions += 1
        self.most_open = max(self.most_open, self.open_sessions)
        try:
            _Dialogue(self, sock, self.sessions).run()
        except (OSError, _End):
            return
        finally:
            self.open_sessions -= 1
            sock.close()

    def reply_to(self, line: str) -> str | None:
        """What the script says to a command."""
        upper = line.upper()
        for words, replies in self.script.items():
            if upper == words or (words and upper.startswith(words)):
                return replies.pop(0) if len(replies) > 1 else replies[0]
        return None

    def context(self) -> ssl.SSLContext:
        assert self.identity is not None
        context = gevent.ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
        with tempfile.TemporaryDirectory() as directory:
            chain, key = Path(directory, "chain"), Path(directory, "key")
            chain.write_bytes(self.identity.chain_pem)
            key.write_bytes(self.identity.key_pem)
            context.load_cert_chain(chain, key)
            if self.demands_certificate:
                context.load_verify_locations(chain)
                context.verify_mode = ssl.CERT_REQUIRED
        return context


class _End(Exception):
    pass


class _Dialogue:
    def __init__(self, peer: Peer, sock: gevent.socket.socket, number: int) -> None:
        self.peer = peer
        self.sock = sock
        self.number = number
        self.buffer = b""
        self.tls = False
        self.sender: str | None = None
        self.parameters = ""
        self.recipients: list[str] = []

    def run(self) -> None:
        if self.peer.implicit_tls:
            self.handshake()
        self.answer("", f"220 {self.peer.name} ESMTP")
        while True:
            self.command(self.line().decode())

    def line(self) -> bytes:
        while b"\r\n" not in self.buffer:
            more = self.sock.recv(65536)
            if not more:
                raise _End
            self.buffer += more
        line, _, self.buffer = self.buffer.partition(b"\r\n")
        return line

    def answer(self, line: str, usual: str) -> str:
        reply = self.peer.reply_to(line) or usual
        if reply == DROP:
            raise _End
        if reply == STALL:
            gevent.sleep(3600)
        self.sock.sendall(reply.replace("\n", "\r\n").encode() + b"\r\n")
        return reply

    def handshake(self) -> None:
        self.peer.handshakes += 1
        if self.peer.broken_tls:
            self.sock.recv(4096)  # what is left unread would become a reset
            self.sock.sendall(b"this is not TLS\r\n")
            raise _End
        self.sock = self.peer.context().wrap_socket(self.sock, server_side=True)
        self.tls = True

    def command(self, line: str) -> None:
        peer = self.peer
        peer.lines.append(line)
        if peer.on_line is not None:
            peer.on_line(line)
        verb = line.split(" ")[0].upper()
        if verb == "EHLO":
            words = list(peer.extensions) + list(peer.tls_extensions if self.tls else ())
            if (peer.identity or peer.broken_tls) and not self.tls and not peer.implicit_tls:
                words.append("STARTTLS")
            lines = [peer.name, *words]
            usual = "\n".join(
                f"250{'-' if n < len(lines) - 1 else ' '}{text}" for n, text in enumerate(lines)
            )
            self.answer(line, usual)
        elif verb == "STARTTLS":
            if self.answer(line, "220 go ahead").startswith("220"):
                self.handshake()
        elif verb == "MAIL":
            if self.answer(line, "250 2.1.0 ok").startswith("2"):
                self.sender, self.recipients = line[11:].partition(">")[0], []
                self.parameters = line.partition(">")[2].strip()
        elif verb == "RCPT":
            usual = "503 5.5.1 no MAIL" if self.sender is None else "250 2.1.5 ok"
            if self.answer(line, usual).startswith("2"):
                self.recipients.append(line[9:].partition(">")[0])
        elif verb == "DATA":
            self.data(line)
        elif verb == "QUIT":
            self.answer(line, "221 2.0.0 bye")
            raise _End
        else:
            self.answer(line, "250 2.0.0 ok")

    def data(self, line: str) -> None:
        usual = "354 go on" if self.recipients else "503 5.5.1 no recipients"
        if not self.answer(line, usual).startswith("354"):
            return
        lines = []
        while (one := self.line()) != b".":
            lines.append(one.removeprefix(b".") + b"\r\n")
        sender = self.sender
        if self.answer(".", "250 2.6.0 taken").startswith("250 ") and sender is not None:
            data, parameters = b"".join(lines), self.parameters
            mail = Mail(sender, self.recipients, data, self.number, self.tls, parameters)
            self.peer.mails.append(mail)
        self.sender, self.recipients = None, []
