"""A receiver of webhooks: a small HTTP server in threads that answers as it is told to.

It works beside servers in other processes and beside greenlets in the same one. Its parser is its
own, so that it says exactly what came over the wire.
"""

from __future__ import annotations

import contextlib
import json
import socket
import ssl
import threading
import time
from collections.abc import Callable, Iterator
from dataclasses import dataclass, field
from typing import Any

OK = b"HTTP/1.1 200 OK\r\nContent-Length: 7\r\n\r\nthanks\n"


@dataclass(frozen=True)
class Call:
    """One request. `connection` numbers the connections from 1."""

    method: str
    target: str
    headers: tuple[tuple[str, str], ...]
    body: bytes
    connection: int
    when: float = field(default_factory=time.monotonic, compare=False)

    def header(self, name: str) -> str | None:
        values = [value for each, value in self.headers if each.lower() == name.lower()]
        assert len(values) <= 1, f"{name} occurs {len(values)} times"
        return values[0] if values else None

    @property
    def json(self) -> Any:
        return json.loads(self.body)

    @property
    def id(self) -> int:
        return int(self.header("X-Mox-Webhook-ID") or 0)

    @property
    def attempt(self) -> int:
        return int(self.header("X-Mox-Webhook-Attempt") or 0)


@dataclass(frozen=True)
class Drip:
    """An answer that comes an octet at a time, for ever when `data` is to be repeated."""

    data: bytes
    pause_s: float = 0.01
    for_ever: bool = False


class Stall:
    """No answer at all; the connection stays open."""


class Close:
    """The connection is closed without an answer."""


Answer = bytes | Drip | Stall | Close


def status(line: str, *, body: bytes = b"", head: str = "") -> bytes:
    """An answer with this status, such as "500 Internal Server Error"."""
    return f"HTTP/1.1 {line}\r\nContent-Length: {len(body)}\r\n{head}\r\n".encode() + body


class HookReceiver:
    """Collects what comes in `calls`; `answer` is given each call and says what to do."""

    def __init__(
        self,
        answer: Callable[[Call], Answer] | Answer = OK,
        *,
        port: int = 0,
        tls: ssl.SSLContext | None = None,
    ) -> None:
        self.answer = answer
        self.calls: list[Call] = []
        self.connections = 0
        self.most_at_once = 0
        self._at_once = 0
        self._tls = tls
        self._lock = threading.Lock()
        self._closed = threading.Event()
        self._sock = socket.create_server(("127.0.0.1", port), backlog=100)
        self.port: int = self._sock.getsockname()[1]
        self._open: set[socket.socket] = set()
        self._thread = threading.Thread(target=self._accept, daemon=True)
        self._thread.start()

    def __enter__(self) -> HookReceiver:
        return self

    def __exit__(self, *_: object) -> None:
        self.close()

    def url(self, path: str = "/hook") -> str:
        scheme, host = ("https", "localhost") if self._tls else ("http", "127.0.0.1")
        return f"{scheme}://{host}:{self.port}{path}"

    def close(self) -> None:
        self._closed.set()
        with self._lock:
            sockets = [self._sock, *self._open]
        for sock in sockets:
            with contextlib.suppress(OSError):
                sock.shutdown(socket.SHUT_RDWR)
        self._sock.close()
        self._thread.join(5)

    def events(self) -> list[tuple[int, str]]:
        """(QueueMsgID, Event) of the calls about sent messages, as they came."""
        return [(c.json["QueueMsgID"], c.json["Event"]) for c in self.calls if "Event" in c.json]

    # ---- threads

    def _accept(self) -> None:
        while True:
            try:
                sock, _ = self._sock.accept()
            except OSError:  # closed
                return
            with self._lock:
                self.connections += 1
                number = self.connections
            threading.Thread(target=self._serve, args=(sock, number), daemon=True).start()

    def _serve(self, sock: socket.socket, number: int) -> None:
        with contextlib.suppress(OSError):
            sock.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
            if self._tls is not None:
                sock = self._tls.wrap_socket(sock, server_side=True)
            with self._lock:
                self._open.add(sock)
            with sock, sock.makefile("rb") as file:
                for call in _requests(file, number):
                    if not self._respond(sock, call):
                        return

    def _respond(self, sock: socket.socket, call: Call) -> bool:
        with self._lock:
            self.calls.append(call)
            self._at_once += 1
            self.most_at_once = max(self.most_at_once, self._at_once)
        try:
            answer = self.answer(call) if callable(self.answer) else self.answer
            if isinstance(answer, bytes):
                sock.sendall(answer)
                return b"connection: close" not in answer.lower()
            if isinstance(answer, Drip):
                self._drip(sock, answer)
            elif isinstance(answer, Stall):
                self._closed.wait(60)
            return False
        finally:
            with self._lock:
                self._at_once -= 1

    def _drip(self, sock: socket.socket, drip: Drip) -> None:
        while True:
            for octet in drip.data:
                sock.sendall(bytes([octet]))
                if self._closed.wait(drip.pause_s):
                    return
            if not drip.for_ever:
                return


def _requests(file: Any, number: int) -> Iterator[Call]:
    while line := file.readline():
        method, target, version = line.decode().split(" ")
        assert version == "HTTP/1.1\r\n"
        headers = []
        while (line := file.readline()) != b"\r\n":
            name, _, value = line.decode().partition(":")
            headers.append((name, value.strip()))
        length = int(dict(headers)["Content-Length"])
        yield Call(method, target, tuple(headers), file.read(length), number)
