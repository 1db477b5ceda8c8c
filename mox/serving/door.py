"""One listening socket of a worker: accepting from it, and what holds for all it lets in."""

from __future__ import annotations

import _socket
import errno
import os
import resource
from collections.abc import Callable
from ipaddress import IPv4Network, IPv6Network, ip_network
from typing import TYPE_CHECKING

import gevent
from gevent.hub import get_hub

from mox import logfmt, metrics
from mox.networks import IP
from mox.serving.parking import READ, new_waiter, park

if TYPE_CHECKING:
    from prometheus_client import Counter, Gauge

    from mox.serving.context import Context, Listen

# Connections taken per turn of the loop: few, so that workers on one socket share.
_ACCEPT_AT_ONCE = 2
_PAUSE_S = 0.2
_WATCH_S = 3600.0
# Descriptors kept for files, the store and DNS.
_RESERVED_FDS = 256
_KEEPALIVE_S = 300
_EXHAUSTED = frozenset({errno.EMFILE, errno.ENFILE, errno.ENOBUFS, errno.ENOMEM})

_connections = metrics.gauge(
    "mox_connections_count", "Connections open now.", ("protocol", "listener")
)
_handed_over = metrics.counter(
    "mox_connections_handed_over_total",
    "Connections that a worker gave to one that had fewer.",
    ("protocol", "listener"),
)
_log = logfmt.logger("serve")


class Door:
    """A listening socket with the networks of its proxies and its metrics."""

    __slots__ = ("_networks", "_sock", "gauge", "handed_over", "listen")

    def __init__(self, ctx: Context, listen: Listen) -> None:
        self.listen = listen
        self._networks = _proxy_networks(ctx, listen)
        self._sock = _duplicate(listen)
        self.gauge: Gauge = _connections.labels(listen.service, listen.listener)
        self.handed_over: Counter = _handed_over.labels(listen.service, listen.listener)

    def is_proxy(self, ip: IP) -> bool:
        """Say whether connections from this address must begin with a PROXY header."""
        return any(ip in network for network in self._networks)

    def accept(self, take: Callable[[_socket.socket], None], is_full: Callable[[], bool]) -> None:
        """Hand accepted sockets to `take`, until killed; pause while `is_full`."""
        watcher = get_hub().loop.io(self._sock.fileno(), READ)
        try:
            while True:
                if is_full():
                    gevent.sleep(_PAUSE_S)
                elif park(new_waiter(), watcher, _WATCH_S) == "ready":
                    self._accept_some(take, is_full)
        finally:
            watcher.close()

    def _accept_some(
        self, take: Callable[[_socket.socket], None], is_full: Callable[[], bool]
    ) -> None:
        for _ in range(_ACCEPT_AT_ONCE):
            if is_full():
                return
            try:
                fd, _address = self._sock._accept()  # type: ignore[attr-defined]  # gives a bare fd
            except BlockingIOError:
                return
            except OSError as e:
                if e.errno in _EXHAUSTED:
                    _log.error("cannot accept connections, raise the limit on files", err=e)
                    gevent.sleep(_PAUSE_S)
                    return
                # A client that gave up while it waited.
                _log.debug("accepting connection", err=e)
                continue
            take(self.accepted(fd))

    def accepted(self, fd: int) -> _socket.socket:
        """Make the socket of a descriptor that was accepted here, or by another worker's door."""
        return _socket.socket(self._sock.family, self._sock.type, self._sock.proto, fd)

    def close(self) -> None:
        """Give up this process's handle; the supervisor keeps its own."""
        self._sock.close()


def most_connections() -> int:
    """Return how many connections the limit on open files leaves room for."""
    soft, _ = resource.getrlimit(resource.RLIMIT_NOFILE)
    if soft == resource.RLIM_INFINITY:
        return 1 << 30
    return max(soft - _RESERVED_FDS, soft // 2)


def _proxy_networks(ctx: Context, listen: Listen) -> tuple[IPv4Network | IPv6Network, ...]:
    listener = ctx.config.static.listeners.get(listen.listener)
    if listener is None or listener.proxy_protocol is None:
        return ()
    return tuple(ip_network(text, strict=False) for text in listener.proxy_protocol.networks)


def _duplicate(listen: Listen) -> _socket.socket:
    """Return a raw, non-blocking handle on the socket; accepted ones inherit its options."""
    sock = _socket.socket(fileno=os.dup(listen.sock.fileno()))
    sock.setblocking(False)
    sock.setsockopt(_socket.IPPROTO_TCP, _socket.TCP_NODELAY, 1)
    sock.setsockopt(_socket.SOL_SOCKET, _socket.SO_KEEPALIVE, 1)
    sock.setsockopt(_socket.IPPROTO_TCP, _socket.TCP_KEEPIDLE, _KEEPALIVE_S)
    sock.setsockopt(_socket.IPPROTO_TCP, _socket.TCP_KEEPINTVL, _KEEPALIVE_S // 5)
    return sock
