"""A client's connection as a shell sees it: a `Stream` that knows where it came in."""

from __future__ import annotations

from typing import TYPE_CHECKING

from mox.serving.stream import (
    ConnectionDraining,
    ConnectionLost,
    ConnectionTimeout,
    Stream,
    Wake,
)

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

    __slots__ = ()

    cid: int
    listen: Listen
    tls_context: ServerContext | None
    draining: bool
