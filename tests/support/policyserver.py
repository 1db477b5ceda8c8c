"""A web server on loopback that has one MTA-STS policy, in greenlets of the test's process."""

from __future__ import annotations

import ssl
import tempfile
from dataclasses import dataclass, field
from pathlib import Path

import gevent
import gevent.socket
import gevent.ssl
from gevent.server import StreamServer

from mox.tlsio.identity import Identity


@dataclass
class PolicyServer:
    """Answers each request with `status` and `body`, or with `raw`; `stall`: not at all."""

    identity: Identity
    body: str = ""
    status: str = "200 OK"
    raw: bytes = b""
    stall: bool = False
    port: int = 0
    requests: list[str] = field(default_factory=list)

    def __enter__(self) -> PolicyServer:
        self._server = StreamServer(("127.0.0.1", 0), self._serve)
        self._server.start()
        self.port = self._server.server_port
        return self

    def __exit__(self, *_: object) -> None:
        self._server.stop(timeout=0)

    def _serve(self, sock: gevent.socket.socket, address: object) -> None:
        try:
            with self._context().wrap_socket(sock, server_side=True) as tls:
                request = b""
                while b"\r\n\r\n" not in request and (more := tls.recv(4096)):
                    request += more
                if request:
                    self.requests.append(request.decode())
                    if self.stall:
                        gevent.sleep(3600)
                    tls.sendall(self.raw or self._response())
        except OSError:
            return

    def _response(self) -> bytes:
        body = self.body.encode()
        head = f"HTTP/1.1 {self.status}\r\nContent-Length: {len(body)}\r\n\r\n"
        return head.encode() + body

    def _context(self) -> ssl.SSLContext:
        context = gevent.ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
        with tempfile.TemporaryDirectory() as directory:
            chain, key = Path(directory, "chain"), Path(directory, "key")
            chain.write_bytes(self.identity.chain_pem)
            key.write_bytes(self.identity.key_pem)
            context.load_cert_chain(chain, key)
        return context
