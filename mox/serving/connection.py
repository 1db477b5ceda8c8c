"""A client's connection as a shell sees it: a `Stream` that knows where it came in."""

from __future__ import annotations

import _socket
from typing import TYPE_CHECKING

from mox.serving.errors import ConnectionDraining, ConnectionLost, ConnectionTimeout
from mox.serving.parking import Wake
from mox.serving.stream import Stream

if TYPE_CHECKING:
    from mox.serving.context import Listen
    from mox.tlsio.contexts import ServerContext

__all__ = [
    "Connection",
    "ConnectionDraining",
    "ConnectionLost",
    "ConnectionTimeout",
    "Wake",
]


class Connection(Stream):
    """An accepted connection.

    `cid` is unique among all connections of all workers, also across restarts.
    `listen` says on which socket it came in; `tls_context` is what STARTTLS must use, None
    when the listener has no certificate (do not offer STARTTLS then).
    `draining` becomes true when the process stops: finish, say goodbye, return.
    """

    __slots__ = ("cid", "listen", "tls_context")

    def __init__(self, sock: _socket.socket, listen: Listen, cid: int) -> None:
        """Take over an accepted socket. Raises ConnectionLost when the client is gone already."""
        super().__init__(sock)
        self.listen = listen
        self.cid = cid
        self.tls_context: ServerContext | None = None
