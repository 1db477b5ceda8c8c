"""Small, fast clients: they must not be what is measured."""

from __future__ import annotations

import socket
import ssl
from collections.abc import Iterator

from tests.support.server import PASSWORD, USER


class Lines:
    """A socket that reads lines and counted octets."""

    def __init__(self, sock: socket.socket) -> None:
        sock.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
        self.sock = sock
        self.buffer = b""

    def line(self) -> bytes:
        while (end := self.buffer.find(b"\r\n")) < 0:
            more = self.sock.recv(65536)
            if not more:
                raise ConnectionError("closed by server")
            self.buffer += more
        line, self.buffer = self.buffer[:end], self.buffer[end + 2 :]
        return line

    def send(self, data: bytes) -> None:
        self.sock.sendall(data)


class SMTP(Lines):
    """Delivers messages on one session, pipelined."""

    def __init__(self, port: int, source: str = "127.0.0.1") -> None:
        super().__init__(socket.create_connection(("127.0.0.1", port), 60, (source, 0)))
        self.reply()
        self.send(b"EHLO localhost\r\n")
        self.reply()

    def reply(self) -> bytes:
        line = self.line()
        while line[3:4] == b"-":
            line = self.line()
        return line

    def deliver(
        self,
        message: bytes,
        recipient: bytes = USER.encode(),
        sender: bytes = b"bench@localhost",
    ) -> None:
        self.send(b"MAIL FROM:<%b>\r\nRCPT TO:<%b>\r\nDATA\r\n" % (sender, recipient))
        replies = [self.reply() for _ in range(3)]
        if not replies[2].startswith(b"354"):
            raise RuntimeError(f"refused: {replies}")
        self.send(message + b".\r\n")
        done = self.reply()
        if not done.startswith(b"250"):
            raise RuntimeError(f"refused: {done!r}")


class IMAP(Lines):
    """Sends commands and reads to the tagged reply without parsing what comes before."""

    def __init__(self, port: int, tls: ssl.SSLContext | None = None) -> None:
        sock = socket.create_connection(("127.0.0.1", port), 120)
        super().__init__(tls.wrap_socket(sock, server_hostname="localhost") if tls else sock)
        self.line()
        self.number = 0
        self.command(b"LOGIN %s %s" % (USER.encode(), PASSWORD.encode()))

    def command(self, command: bytes) -> bytes:
        """All octets of the answer; raises when it is not OK."""
        self.number += 1
        tag = b"t%d " % self.number
        self.send(tag + command + b"\r\n")
        return self.answer(tag)

    def answer(self, tag: bytes) -> bytes:
        pieces = [self.buffer]
        tail = self.buffer[-4096:]
        self.buffer = b""
        while not _last_line(tail).startswith(tag):
            more = self.sock.recv(1 << 18)
            if not more:
                raise ConnectionError("closed by server")
            pieces.append(more)
            tail = (tail + more)[-4096:]
        last = _last_line(tail)
        if not last.startswith(tag + b"OK"):
            raise RuntimeError(last.decode(errors="replace"))
        return b"".join(pieces)

    def append(self, message: bytes, mailbox: bytes = b"INBOX") -> None:
        self.number += 1
        tag = b"t%d " % self.number
        self.send(b"%sAPPEND %s {%d+}\r\n%s\r\n" % (tag, mailbox, len(message), message))
        self.answer(tag)


def _last_line(tail: bytes) -> bytes:
    """The last line, when it is complete; nothing otherwise."""
    if not tail.endswith(b"\r\n"):
        return b""
    return tail[tail.rfind(b"\r\n", 0, -2) + 2 if tail.count(b"\r\n") > 1 else 0 :]


def messages(size: int, start: int = 0) -> Iterator[bytes]:
    """Distinct messages of about `size` octets."""
    line = b"The quick brown fox jumps over the lazy dog, and so on and on.\r\n"
    number = start
    while True:
        number += 1
        head = (
            b"From: Bench <bench@localhost>\r\nTo: <mox@localhost>\r\n"
            b"Subject: message %d\r\nMessage-ID: <%d.bench@localhost>\r\n"
            b"Date: Mon, 23 Nov 2026 12:00:00 +0000\r\n\r\n" % (number, number)
        )
        yield head + line * max(1, (size - len(head)) // len(line))
