"""A server session and a client session that feed each other."""

from __future__ import annotations

from mox.tlsio.client import ClientContext
from mox.tlsio.contexts import ServerContext, ServerOptions
from mox.tlsio.session import TLSSession
from tests.tlsio.identities import identity


def server_context(options: ServerOptions | None = None) -> ServerContext:
    return ServerContext([identity("mail.example")], options or ServerOptions())


def pump(source: TLSSession, target: TLSSession, step: int = 65536) -> bool:
    """Carry what source has to say, in steps; false: it had nothing."""
    data = source.outgoing()
    for start in range(0, len(data), step):
        target.feed(data[start : start + step])
        target.handshake()
    return bool(data)


def shake_hands(client: TLSSession, server: TLSSession, step: int = 65536) -> None:
    client.handshake()
    while pump(client, server, step) | pump(server, client, step):
        pass
    assert client.handshake()
    assert server.handshake()


def connected(
    server: ServerContext | None = None,
    client: ClientContext | None = None,
    name: str = "mail.example",
    step: int = 65536,
) -> tuple[TLSSession, TLSSession]:
    """Two sessions after the handshake: client, server."""
    a = TLSSession(client or ClientContext(verify=False, system_ca=False), name)
    b = TLSSession(server or server_context())
    shake_hands(a, b, step)
    return a, b
