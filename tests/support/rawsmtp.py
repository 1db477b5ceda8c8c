"""SMTP by hand: exactly these octets go out, and these replies came back."""

from __future__ import annotations

import base64
import socket
import ssl
from types import TracebackType

from tests.support.server import PASSWORD, USER


class RawSMTP:
    """A connection that has read the greeting, unless `greeting` is false."""

    def __init__(self, port: int, *, prefix: bytes = b"", greeting: bool = True) -> None:
        """`prefix` is sent before anything is read (for PROXY headers)."""
        self.sock: socket.socket = socket.create_connection(("127.0.0.1", port), timeout=60)
        self.sock.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
        self.buffer = b""
        self.send(prefix)
        self.greeting = self.reply() if greeting else (0, "")

    def __enter__(self) -> RawSMTP:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, exc: BaseException | None, tb: TracebackType | None
    ) -> None:
        self.close()

    def close(self) -> None:
        self.sock.close()

    def send(self, data: bytes) -> None:
        self.sock.sendall(data)

    def line(self) -> bytes:
        """The next line; b"" when the server has closed the connection."""
        while b"\n" not in self.buffer:
            try:
                more = self.sock.recv(65536)
            except ConnectionResetError:
                more = b""
            if not more:
                return b""
            self.buffer += more
        line, _, self.buffer = self.buffer.partition(b"\n")
        assert line.endswith(b"\r"), line
        return line[:-1]

    def reply(self) -> tuple[int, str]:
        """Code and text of the next reply, lines joined by newlines; code 0: closed."""
        lines = []
        while True:
            line = self.line()
            if not line:
                return 0, ""
            lines.append(line[4:].decode())
            if line[3:4] != b"-":
                return int(line[:3]), "\n".join(lines)

    def replies(self, count: int) -> list[int]:
        return [self.reply()[0] for _ in range(count)]

    def command(self, text: str | bytes) -> int:
        return self.ask(text)[0]

    def ask(self, text: str | bytes) -> tuple[int, str]:
        self.send((text.encode() if isinstance(text, str) else text) + b"\r\n")
        return self.reply()

    def is_closed(self) -> bool:
        """Wait for the server to close; false when it says something instead."""
        return self.line() == b""

    def start_tls(self, context: ssl.SSLContext) -> None:
        assert self.command("STARTTLS") == 220
        self.sock = context.wrap_socket(self.sock, server_hostname="localhost")

    def login(self) -> None:
        token = base64.b64encode(f"\0{USER}\0{PASSWORD}".encode()).decode()
        assert self.command(f"AUTH PLAIN {token}") == 235

    def envelope(self, sender: str = "a@localhost", recipient: str = USER, *more: str) -> None:
        """MAIL (with parameters) and RCPT, both accepted."""
        assert self.command(" ".join([f"MAIL FROM:<{sender}>", *more])) == 250
        assert self.command(f"RCPT TO:<{recipient}>") == 250

    def data(self, message: bytes) -> tuple[int, str]:
        """DATA with a message of CRLF lines; dots are doubled here."""
        assert self.command("DATA") == 354
        if message and not message.endswith(b"\r\n"):
            raise ValueError("DATA ends with a line end")
        stuffed = (b"\r\n" + message).replace(b"\r\n.", b"\r\n..")[2:]
        return self.ask(stuffed + b".")

    def bdat(self, *chunks: bytes) -> tuple[int, str]:
        """A message in chunks, all pipelined; the reply to the last one."""
        for number, chunk in enumerate(chunks, 1):
            last = " LAST" if number == len(chunks) else ""
            self.send(f"BDAT {len(chunk)}{last}\r\n".encode() + chunk)
        assert self.replies(len(chunks) - 1) == [250] * (len(chunks) - 1)
        return self.reply()
