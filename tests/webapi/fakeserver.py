"""A server that answers what a test tells it to, and keeps what it was asked."""

from __future__ import annotations

import contextlib
import email.policy
import socket
import ssl
import threading
from collections.abc import Callable, Iterator
from dataclasses import dataclass, field
from email.message import Message
from email.parser import BytesParser
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from urllib.parse import parse_qs

JSON = "application/json; charset=utf-8"


@dataclass
class Call:
    path: str
    headers: Message
    body: bytes
    connection: int

    @property
    def fields(self) -> list[tuple[dict[str, str], bytes]]:
        """The form's fields: parameters and headers by name, and content."""
        kind = self.headers["Content-Type"]
        if kind == "application/x-www-form-urlencoded":
            form = parse_qs(self.body.decode("ascii"), strict_parsing=True)
            return [({"name": name}, value.encode()) for name, [value] in form.items()]
        head = f"Content-Type: {kind}\r\n\r\n".encode()
        parsed = BytesParser(policy=email.policy.HTTP).parsebytes(head + self.body)
        return [
            (
                {
                    **{name: str(value) for name, value in part.items()},
                    "name": part.get_param("name", header="Content-Disposition"),
                    "filename": part.get_filename("") or "",
                },
                part.get_payload(decode=True),
            )
            for part in parsed.iter_parts()  # type: ignore[attr-defined]
        ]


@dataclass
class FakeServer:
    """`answers` are given in turn, the last one ever after: status, type, body."""

    answers: list[tuple[int, str, bytes]] = field(default_factory=lambda: [(200, JSON, b"{}\n")])
    extra: dict[str, str] = field(default_factory=dict)
    calls: list[Call] = field(default_factory=list)
    url: str = ""

    def answer(self, call: Call) -> tuple[int, str, bytes]:
        self.calls.append(call)
        return self.answers.pop(0) if len(self.answers) > 1 else self.answers[0]


@contextlib.contextmanager
def fake_server(tls: ssl.SSLContext | None = None) -> Iterator[FakeServer]:
    fake = FakeServer()
    connections: list[object] = []

    class Handler(BaseHTTPRequestHandler):
        protocol_version = "HTTP/1.1"

        def setup(self) -> None:
            connections.append(self)
            super().setup()

        def do_POST(self) -> None:
            body = self.rfile.read(int(self.headers["Content-Length"]))
            number = connections.index(self)
            status, kind, content = fake.answer(Call(self.path, self.headers, body, number))
            self.send_response(status)
            for name, value in {"Content-Type": kind, **fake.extra}.items():
                self.send_header(name, value)
            self.send_header("Content-Length", str(len(content)))
            self.end_headers()
            self.wfile.write(content)

        def log_message(self, *args: object) -> None:
            pass

    server = ThreadingHTTPServer(("127.0.0.1", 0), Handler)
    server.daemon_threads = True
    if tls is not None:
        server.socket = tls.wrap_socket(
            server.socket, server_side=True, do_handshake_on_connect=False
        )
    thread = threading.Thread(target=server.serve_forever, args=(0.01,))
    thread.start()
    fake.url = f"{'http' if tls is None else 'https'}://127.0.0.1:{server.server_port}/webapi/"
    try:
        yield fake
    finally:
        server.shutdown()
        thread.join()
        server.server_close()


@contextlib.contextmanager
def raw_server(*scripts: Callable[[socket.socket], None]) -> Iterator[str]:
    """Each connection is handed to the next script; gives the URL."""
    with socket.create_server(("127.0.0.1", 0)) as listener:
        listener.settimeout(30)

        def serve() -> None:
            for script in scripts:
                with contextlib.suppress(TimeoutError):
                    connection, _ = listener.accept()
                    with connection:
                        connection.settimeout(30)
                        script(connection)

        thread = threading.Thread(target=serve)
        thread.start()
        try:
            yield f"http://127.0.0.1:{listener.getsockname()[1]}/webapi/"
        finally:
            thread.join()


def read_request(connection: socket.socket) -> bytes:
    """Take one request with Content-Length."""
    data = b""
    while b"\r\n\r\n" not in data:
        data += connection.recv(65536)
    head, _, body = data.partition(b"\r\n\r\n")
    [octets] = [
        int(line.partition(b":")[2])
        for line in head.split(b"\r\n")
        if line.lower().startswith(b"content-length:")
    ]
    while len(body) < octets:
        body += connection.recv(65536)
    return head
