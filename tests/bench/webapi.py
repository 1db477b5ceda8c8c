"""Sending by programs: Send requests a second, and what arrives at the server of the recipients."""

from __future__ import annotations

import base64
import contextlib
import json
import socket
import subprocess
import time
from collections.abc import Iterator, Sequence
from functools import partial
from pathlib import Path
from urllib.parse import urlencode

from tests.bench.clients import Lines
from tests.bench.scenarios import in_threads, report
from tests.bench.submission import CountingSink
from tests.support.server import MOX, PASSWORD, USER, Server, eventually

_CONNECTIONS = (1, 16)
_WARM = 8
_TEXT = "A line of text.\n" * 100
_TRANSPORT = """\
Transports:
	sink:
		SMTP:
			Host: localhost
			Port: {port}
			NoSTARTTLS: true
"""
_ROUTES = """\
Routes:
	-
		Transport: sink
"""
_LIMITS = """\
		MaxOutgoingMessagesPerDay: 100000000
		MaxFirstTimeRecipientsPerDay: 100000000
"""


@contextlib.contextmanager
def _relaying(directory: Path, sink: CountingSink) -> Iterator[Server]:
    """A server that gives all mail to the sink: localserve would give it to itself."""
    server = Server(directory)
    server.init()
    static, dynamic = directory / "mox.conf", directory / "domains.conf"
    text = static.read_text().replace("LogLevel: traceauth", "LogLevel: info")
    static.write_text(text + _TRANSPORT.format(port=sink.port))
    account = "\t\tDomain: localhost\n"
    dynamic.write_text(dynamic.read_text().replace(account, _LIMITS + account) + _ROUTES)
    with server.log_path.open("ab") as log:
        command = [str(MOX), "-config", str(static), "serve"]
        server.process = subprocess.Popen(command, stdout=log, stderr=log, start_new_session=True)
    try:
        eventually(lambda: "ready to serve" in server.log, 30)
        yield server
    finally:
        server.process.terminate()
        server.process.wait(60)


def _request(number: int) -> bytes:
    message = {
        "From": [{"Name": "Bench", "Address": USER}],
        "To": [{"Address": f"r{number}@d{number % 50}.example"}],
        "Subject": f"message {number}",
        "Text": _TEXT,
    }
    body = urlencode({"request": json.dumps(message)}).encode()
    credentials = base64.b64encode(f"{USER}:{PASSWORD}".encode()).decode()
    head = (
        "POST /webapi/v0/Send HTTP/1.1\r\nHost: localhost\r\n"
        f"Authorization: Basic {credentials}\r\nContent-Length: {len(body)}\r\n"
        "Content-Type: application/x-www-form-urlencoded\r\n\r\n"
    )
    return head.encode() + body


class Caller(Lines):
    """Sends on one connection that is kept."""

    def __init__(self, port: int) -> None:
        super().__init__(socket.create_connection(("127.0.0.1", port), 60))

    def send_message(self, number: int) -> float:
        """Seconds until the answer."""
        request = _request(number)
        start = time.perf_counter()
        self.send(request)
        status, length = self.line(), 0
        while line := self.line():
            name, _, value = line.partition(b":")
            if name.lower() == b"content-length":
                length = int(value)
        while len(self.buffer) < length:
            self.buffer += self.sock.recv(65536)
        body, self.buffer = self.buffer[:length], self.buffer[length:]
        if not status.startswith(b"HTTP/1.1 200 "):
            raise RuntimeError(f"refused: {status!r} {body!r}")
        return time.perf_counter() - start


def measure(directory: Path, quick: bool) -> None:
    """Send over kept connections, until all of it has been delivered."""
    directory.mkdir()
    sink = CountingSink()
    try:
        with _relaying(directory / "server", sink) as server:
            # The first login of each worker costs a password check.
            in_threads([partial(_call, server.http, [n], []) for n in range(_WARM)])
            sent = _WARM
            for connections in _CONNECTIONS:
                sink.wait(sent)
                sent += _rate(server, sink, sent, connections, 400 if quick else 4000)
    finally:
        sink.close()


def _call(port: int, numbers: Sequence[int], times: list[float]) -> None:
    caller = Caller(port)
    times += [caller.send_message(number) for number in numbers]


def _rate(server: Server, sink: CountingSink, sent: int, connections: int, count: int) -> int:
    times: list[float] = []
    shares = [range(sent + n, sent + count, connections) for n in range(connections)]
    start = time.perf_counter()
    seconds = in_threads([partial(_call, server.http, share, times) for share in shares])
    sink.wait(sent + count)
    delivered = count / (time.perf_counter() - start)
    times.sort()
    p50, p99 = (times[int(len(times) * share)] * 1000 for share in (0.5, 0.99))
    note = f"p50 {p50:.1f} ms, p99 {p99:.1f} ms; delivered {delivered:,.0f}/s"
    report(f"webapi, Send, {connections} connections", count / seconds, "msg/s", note)
    return count
