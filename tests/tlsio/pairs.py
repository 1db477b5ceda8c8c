"""A server session and a client session that feed each other."""

from __future__ import annotations

from mox.tlsio.client import ClientContext
from mox.tlsio.contexts import ServerContext, ServerOptions
from mox.tlsio.engine import Session
from mox.tlsio.server import Opening
from mox.tlsio.session import TLSSession
from tests.tlsio.identities import identity

FULL = ServerOptions()
LIGHT = ServerOptions(channel_bindings=False)
# What servers have whose options a test does not choose.
engine = FULL


def server_context(options: ServerOptions | None = None) -> ServerContext:
    return ServerContext([identity("mail.example")], options or engine)


def pump(source: Session, target: Session, step: int = 65536) -> bool:
    """Carry what source has to say, in steps; false: it had nothing."""
    data = source.outgoing()
    for start in range(0, len(data), step):
        target.feed(data[start : start + step])
        target.handshake()
    return bool(data)


def shake_hands(client: Session, server: Session, step: int = 65536) -> None:
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
) -> tuple[TLSSession, Session]:
    """Two sessions after the handshake: client, server."""
    a = TLSSession(client or ClientContext(verify=False, system_ca=False), name)
    b = opened(a, Opening(server or server_context()), step)
    shake_hands(a, b, step)
    return a, b


def opened(client: Session, opening: Opening, step: int = 65536) -> Session:
    """The server's session for a client that has not said anything yet."""
    client.handshake()
    hello = client.outgoing()
    for start in range(0, len(hello), step):
        session = opening.feed(hello[start : start + step])
        if session is not None:
            assert start + step >= len(hello)
            session.handshake()
            return session
    raise AssertionError("no session after the whole hello")
