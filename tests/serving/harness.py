"""A worker's context without a supervisor, and clients in native threads.

Servers run on the hub of the test's thread; clients are plain blocking code of the standard
library, run beside it by `in_thread`.
"""

from __future__ import annotations

import socket
import ssl
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager, suppress
from dataclasses import dataclass, field
from types import SimpleNamespace
from typing import TypeVar

import gevent
from gevent.event import Event

from mox import logfmt
from mox.serving.cid import Cids
from mox.serving.connection import Connection
from mox.serving.context import Listen
from mox.serving.limits import Limits, Refusal
from mox.serving.server import Admission, serve
from mox.serving.sharing import Sharing
from mox.tlsio.contexts import ServerContext, ServerOptions
from tests.tlsio.identities import identity

T = TypeVar("T")
DEADLINE_S = 10.0


@dataclass
class Lines:
    """A log that can be looked at."""

    lines: list[str] = field(default_factory=list)

    def write(self, text: str, /) -> None:
        self.lines.append(text)

    def flush(self) -> None: ...

    def containing(self, text: str) -> list[str]:
        return [line for line in self.lines if text in line]


@contextmanager
def logged() -> Iterator[Lines]:
    lines = Lines()
    logfmt.configure("debug", stream=lines)
    try:
        yield lines
    finally:
        logfmt.configure()


class FakeCertificates:
    def __init__(self, context: ServerContext | None) -> None:
        self.context = context

    def server_context(
        self, listener: str, service: str, *, asking: bool = False
    ) -> ServerContext | None:
        return self.context


@dataclass
class FakeContext:
    """What `serve` asks of a Context."""

    listens: Sequence[Listen]
    limits: Limits = field(default_factory=lambda: Limits(None, 1))
    certificates: FakeCertificates | None = None
    proxies: tuple[str, ...] = ()
    slot: int = 1
    kind: str = "smtp"
    stopping: Event = field(default_factory=Event)
    is_ready: bool = False
    has_tls_keys: bool = False
    sharing: Sharing | None = None

    def __post_init__(self) -> None:
        self.cids = Cids(self.slot)

    @property
    def config(self):
        proxy = SimpleNamespace(networks=self.proxies) if self.proxies else None
        listeners = {"local": SimpleNamespace(proxy_protocol=proxy)}
        return SimpleNamespace(static=SimpleNamespace(listeners=listeners))

    def ready(self) -> None:
        self.is_ready = True


def listen_on(service: str = "smtp", *, implicit_tls: bool = False, ip: str = "127.0.0.1"):
    sock = socket.socket(socket.AF_INET6 if ":" in ip else socket.AF_INET)
    sock.bind((ip, 0))
    sock.listen(128)
    return Listen("local", service, sock, implicit_tls, sock.getsockname()[1])


def refuse(conn: Connection, refusal: Refusal) -> bytes:
    return f"421 {refusal}\r\n".encode()


ADMISSION = Admission("smtp", frozenset({"submission"}), refuse, "smtpserver")


@dataclass
class Running:
    ctx: FakeContext
    greenlet: gevent.Greenlet

    @property
    def port(self) -> int:
        return self.ctx.listens[0].port

    def stop(self) -> None:
        self.ctx.stopping.set()
        self.greenlet.join(DEADLINE_S)
        assert self.greenlet.ready()


def tls_context(options: ServerOptions | None = None) -> ServerContext:
    return ServerContext([identity("localhost")], options or ServerOptions())


@contextmanager
def running(
    handler: Callable[[Connection], None],
    ctx: FakeContext,
    grace_s: float = 5.0,
    admission: Admission = ADMISSION,
):
    """Serve in the background; stopped and checked at the end."""
    greenlet = gevent.spawn(serve, ctx, handler, admission, grace_s=grace_s)
    until(lambda: ctx.is_ready or greenlet.ready())
    try:
        yield Running(ctx, greenlet)
    finally:
        ctx.stopping.set()
        greenlet.join(DEADLINE_S)
        for listen in ctx.listens:
            listen.sock.close()
    greenlet.get(block=False)


def until(condition: Callable[[], object]) -> None:
    with gevent.Timeout(DEADLINE_S):
        while not condition():
            gevent.sleep(0.002)


def in_thread(client: Callable[..., T], *args: object) -> T:
    """Run blocking client code beside the loop and return its result."""
    with gevent.Timeout(DEADLINE_S):
        return gevent.get_hub().threadpool.apply(client, args)


def connect(port: int, source: str = "127.0.0.1") -> socket.socket:
    return socket.create_connection(("127.0.0.1", port), DEADLINE_S, (source, 0))


def client_tls(version: ssl.TLSVersion | None = None) -> ssl.SSLContext:
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_CLIENT)
    context.check_hostname, context.verify_mode = False, ssl.CERT_NONE
    if version is not None:
        context.minimum_version = context.maximum_version = version
    return context


def read_all(sock: socket.socket) -> bytes:
    data = b""
    while chunk := sock.recv(65536):
        data += chunk
    return data


def say(port: int, data: bytes, source: str = "127.0.0.1") -> bytes:
    """Connect, send, and return all that comes until the end."""
    with connect(port, source) as sock:
        sock.sendall(data)
        with suppress(OSError):  # a server that does not wait for our end may have closed
            sock.shutdown(socket.SHUT_WR)
        return read_all(sock)


def say_tls(port: int, data: bytes, context: ssl.SSLContext | None = None) -> bytes:
    """The same, over TLS from the first byte; the server ends the connection."""
    with connect(port) as raw, (context or client_tls()).wrap_socket(raw) as sock:
        sock.sendall(data)
        return read_all(sock)


def echo(conn: Connection) -> None:
    while data := conn.recv(DEADLINE_S):
        conn.send(data)


def echo_line(conn: Connection) -> None:
    data = b""
    while not data.endswith(b"\n"):
        data += conn.recv(DEADLINE_S)
    conn.send(data)
