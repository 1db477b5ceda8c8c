"""The server side of a connection: what the client says first chooses the engine."""

from __future__ import annotations

from mox.tlsio.contexts import ServerContext
from mox.tlsio.engine import Session
from mox.tlsio.hello import UNREADABLE, read_hello
from mox.tlsio.light import LightSession
from mox.tlsio.session import TLSSession


class Opening:
    """A connection whose client has not said yet what it wants."""

    __slots__ = ("_context", "_fed")

    def __init__(self, context: ServerContext) -> None:
        self._context = context
        self._fed = b""

    def feed(self, encrypted: bytes) -> Session | None:
        """Take bytes from the network, b"" for their end; None: there have to be more.

        The session has been fed with everything when it is returned.
        """
        self._fed += encrypted
        hello = read_hello(self._fed) if encrypted else UNREADABLE
        if hello is None:
            return None
        light = self._context.light_for(hello)
        session: Session
        if light is not None:
            session = LightSession(light, hello.server_name)
        else:
            session = TLSSession(self._context)
        if self._fed:
            session.feed(self._fed)
        if not encrypted:
            session.feed(b"")
        return session
