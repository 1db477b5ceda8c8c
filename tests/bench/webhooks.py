"""Webhooks per second: a backlog for one receiver and for ten, and mail as it comes in."""

from __future__ import annotations

import contextlib
import multiprocessing
import re
import socket
import threading
import time
from collections.abc import Iterator
from datetime import UTC, datetime
from multiprocessing.connection import Connection
from pathlib import Path

from mox.store import hooks_txn, open_store
from mox.store.committer import WriteTxn
from mox.store.hook_records import Hook
from mox.store.hooks_txn import OutgoingHook
from mox.webapi.hooks import Outgoing
from tests.bench.clients import SMTP, messages
from tests.bench.scenarios import in_threads, report
from tests.support.server import Server, eventually
from tests.support.webhooks import with_webhooks

_OK = b"HTTP/1.1 200 OK\r\nContent-Length: 0\r\n\r\n"
_LENGTH = re.compile(rb"\r\ncontent-length: (\d+)\r\n", re.IGNORECASE)


class FastReceiver:
    """Says 200 to everything, in a process of its own; tells how much came, and when the last."""

    def __init__(self) -> None:
        self._sock = socket.create_server(("127.0.0.1", 0), backlog=100)
        self.port: int = self._sock.getsockname()[1]
        self._here, there = multiprocessing.get_context("fork").Pipe()
        self._process = multiprocessing.get_context("fork").Process(
            target=_receive, args=(self._sock, there), daemon=True
        )
        self._process.start()

    def url(self, path: str) -> str:
        return f"http://127.0.0.1:{self.port}{path}"

    def seen(self) -> tuple[int, float, float]:
        """How many calls came since the last question that asked to forget, the first and last."""
        self._here.send("seen")
        count, first, last = self._here.recv()
        return count, first, last

    def forget(self) -> None:
        self._here.send("forget")
        self._here.recv()

    def close(self) -> None:
        self._process.terminate()
        self._process.join()
        self._sock.close()


class _Seen:
    def __init__(self) -> None:
        self.count, self.first, self.last = 0, 0.0, 0.0


def _receive(sock: socket.socket, questions: Connection) -> None:
    seen = _Seen()
    threading.Thread(target=_accept, args=(sock, seen), daemon=True).start()
    while True:
        if questions.recv() == "forget":
            seen.count = 0
        questions.send((seen.count, seen.first, seen.last))


def _accept(sock: socket.socket, seen: _Seen) -> None:
    while True:
        conn, _ = sock.accept()
        threading.Thread(target=_answer, args=(conn, seen), daemon=True).start()


def _answer(conn: socket.socket, seen: _Seen) -> None:
    conn.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
    data = b""
    with contextlib.suppress(OSError):
        while more := conn.recv(65536):
            data += more
            head, end, rest = data.partition(b"\r\n\r\n")
            found = _LENGTH.search(head + b"\r\n") if end else None
            if found is None or len(rest) < int(found[1]):
                continue
            data = rest[int(found[1]) :]
            now = time.perf_counter()
            seen.first = seen.first if seen.count else now
            seen.last = now
            seen.count += 1
            conn.sendall(_OK)


@contextlib.contextmanager
def _told(directory: Path, receiver: FastReceiver) -> Iterator[Server]:
    server = Server(directory / "server")
    directory.mkdir()
    server.init()
    with_webhooks(server, receiver.url("/out"), receiver.url("/in"))
    server.start()
    try:
        yield server
    finally:
        server.stop()


def measure(directory: Path, quick: bool) -> None:
    receiver = FastReceiver()
    try:
        with _told(directory, receiver) as server:
            count = 500 if quick else 5000
            for urls in (1, 10):
                rate = _backlog(server, receiver, count, urls)
                report(f"webhooks, a backlog for {urls} URLs", rate, "calls/s")
            _incoming(server, receiver, count)
    finally:
        receiver.close()


def _backlog(server: Server, receiver: FastReceiver, count: int, urls: int) -> float:
    """Calls per second from the first to the last of a backlog."""
    receiver.forget()
    now = time.time()
    when = datetime.fromtimestamp(now, UTC)

    def add(txn: WriteTxn) -> None:
        for number in range(count):
            payload = Outgoing(
                event="delivered",
                queue_msg_id=10_000_000 + number,
                message_id=f"<{number}@example.org>",
                subject="your order",
                webhook_queued=when,
                extra={"order": str(number)},
            )
            hook = Hook(
                account="mox",
                url=receiver.url(f"/{number % urls}"),
                event="delivered",
                submitted=now,
                next_attempt=now,
            )
            hooks_txn.add_outgoing(txn, OutgoingHook(hook, payload), suppressing=False)

    store = open_store(server.directory)
    store.write(add)
    store.close()
    eventually(lambda: receiver.seen()[0] == count, 120)
    _, first, last = receiver.seen()
    return (count - 1) / (last - first)


def _incoming(server: Server, receiver: FastReceiver, count: int, connections: int = 8) -> None:
    """Messages over SMTP, each told to the same receiver."""
    receiver.forget()
    each = count // connections

    def deliver(number: int) -> None:
        source = messages(5000, number * 100_000)
        session = SMTP(server.smtp)
        for _ in range(each):
            session.deliver(next(source))

    seconds = in_threads([lambda n=n: deliver(n) for n in range(connections)])  # type: ignore[misc]
    eventually(lambda: receiver.seen()[0] == each * connections, 120)
    _, first, last = receiver.seen()
    note = f"accepted at {each * connections / seconds:,.0f} messages/s"
    report("webhooks for incoming mail", each * connections / (last - first), "calls/s", note)
