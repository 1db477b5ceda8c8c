"""Connected UDP sockets for questions to name servers; those to this very machine are kept.

RFC 5452 §9.2: a port of its own for each question keeps forgeries out. Nobody off this machine can
send to a loopback address, so there a socket is used again: making and closing one costs as much
as the rest of a question.
"""

from __future__ import annotations

import socket
from typing import Final

from mox.dns.servers import is_loopback

Server = tuple[str, int]

# More than so many at rest are not kept; each is a file descriptor.
_KEPT: Final = 16


class Sockets:
    """Sockets by server. One that is taken belongs to the taker, who gives it back or closes it."""

    __slots__ = ("_kept",)

    def __init__(self) -> None:
        self._kept: dict[Server, list[socket.socket]] = {}

    def take(self, server: Server) -> socket.socket:
        """Return a socket connected to `server`, which may still get answers to old questions."""
        kept = self._kept.get(server)
        return kept.pop() if kept else connected(server, socket.SOCK_DGRAM)

    def give_back(self, server: Server, sock: socket.socket) -> None:
        """Keep a socket over which a question was answered, or close it."""
        kept = self._kept.setdefault(server, []) if is_loopback(server[0]) else None
        if kept is None or len(kept) >= _KEPT:
            sock.close()
        else:
            kept.append(sock)

    def close(self) -> None:
        """Close those that are kept: the servers are others now."""
        for kept in self._kept.values():
            for sock in kept:
                sock.close()
        self._kept.clear()


def connected(
    server: Server, kind: socket.SocketKind, timeout_s: float | None = None
) -> socket.socket:
    """Open a socket to `server`. Raises OSError."""
    sock = socket.socket(socket.AF_INET6 if ":" in server[0] else socket.AF_INET, kind)
    try:
        sock.settimeout(timeout_s)
        sock.connect(server)
    except BaseException:
        sock.close()
        raise
    return sock
