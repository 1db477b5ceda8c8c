"""Listening sockets: made by the supervisor, one per worker, and kept over workers' lives.

Each worker of a kind has its own socket on the same address (SO_REUSEPORT): the kernel spreads
connections by chance, and the workers even that out (mox.serving.sharing). The supervisor keeps
all of them, so what waits in the queue of a dead worker's socket is served by the worker that
replaces it.
"""

from __future__ import annotations

import errno
import os
import socket
from collections.abc import Mapping, Sequence
from ipaddress import ip_address

from gevent.monkey import get_original

from mox.supervisor.errors import StartError
from mox.supervisor.settings import Endpoint

BACKLOG = 1024
Address = tuple[str, int]

# gevent's own class would start a loop in the supervisor.
_PlainSocket: type[socket.socket] = get_original("socket", "socket")


class SocketTable:
    """All listening sockets, by address: as many as the address's service has workers."""

    def __init__(self, inherited: Mapping[Address, Sequence[int]] | None = None) -> None:
        self._sockets: dict[Address, list[socket.socket]] = {
            address: [_PlainSocket(fileno=fd) for fd in fds]
            for address, fds in (inherited or {}).items()
        }

    def get(self, endpoint: Endpoint, index: int) -> socket.socket:
        """The socket of the worker with this index."""
        return self._sockets[endpoint.ip, endpoint.port][index]

    def filenos(self) -> dict[Address, list[int]]:
        """Descriptors of all sockets, for the program that takes over."""
        return {
            address: [sock.fileno() for sock in sockets]
            for address, sockets in self._sockets.items()
        }

    def provide(self, wanted: Mapping[Endpoint, int]) -> None:
        """Open what `wanted` (sockets per endpoint) lacks, close what it no longer names.

        All or nothing: raises StartError, naming the address, with the table as it was.
        """
        opened: list[tuple[Address, list[socket.socket]]] = []
        try:
            for endpoint, count in wanted.items():
                address = (endpoint.ip, endpoint.port)
                have = len(self._sockets.get(address, ()))
                if have < count:
                    opened.append((address, _open(endpoint, count - have, first=have == 0)))
        except StartError:
            _close([sock for _, sockets in opened for sock in sockets])
            raise
        for address, sockets in opened:
            self._sockets.setdefault(address, []).extend(sockets)
        self._trim({(endpoint.ip, endpoint.port): count for endpoint, count in wanted.items()})

    def close_all_but(self, keep: Sequence[socket.socket]) -> None:
        """In a child: close the sockets of the others."""
        kept = {sock.fileno() for sock in keep}
        for sockets in self._sockets.values():
            _close([sock for sock in sockets if sock.fileno() not in kept])

    def _trim(self, counts: Mapping[Address, int]) -> None:
        for address, sockets in list(self._sockets.items()):
            count = counts.get(address, 0)
            _close(sockets[count:])
            del sockets[count:]
            if not sockets:
                del self._sockets[address]


def _close(sockets: Sequence[socket.socket]) -> None:
    for sock in sockets:
        sock.close()


def _open(endpoint: Endpoint, count: int, *, first: bool) -> list[socket.socket]:
    opened: list[socket.socket] = []
    try:
        if first:
            # SO_REUSEPORT would let a second server of the same user share the port unnoticed.
            _bind(endpoint, reuse_port=False).close()
        for _ in range(count):
            opened.append(_bind(endpoint, reuse_port=True))
            opened[-1].listen(BACKLOG)
    except OSError as exc:
        _close(opened)
        raise StartError(f"cannot listen on {endpoint}: {_reason(exc)}") from exc
    return opened


def _bind(endpoint: Endpoint, *, reuse_port: bool) -> socket.socket:
    ip = ip_address(endpoint.ip)
    sock = _PlainSocket(socket.AF_INET6 if ip.version == 6 else socket.AF_INET)
    try:
        sock.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        if ip.version == 6:
            sock.setsockopt(socket.IPPROTO_IPV6, socket.IPV6_V6ONLY, 1)
        if reuse_port:
            sock.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEPORT, 1)
        sock.bind((endpoint.ip, endpoint.port))
    except OSError:
        sock.close()
        raise
    return sock


def _reason(exc: OSError) -> str:
    if exc.errno == errno.EADDRINUSE:
        return "another program uses this port"
    if exc.errno == errno.EADDRNOTAVAIL:
        return "this machine does not have this IP address"
    if exc.errno == errno.EACCES:
        return "only root may listen on this port"
    return os.strerror(exc.errno or 0)
