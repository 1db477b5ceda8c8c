"""Making a connection to another server."""

from __future__ import annotations

import _socket
import os

from gevent.socket import wait_write

from mox.networks import IP
from mox.serving.errors import ConnectionLost, ConnectionTimeout
from mox.serving.stream import Stream

_FAMILIES = {4: _socket.AF_INET, 6: _socket.AF_INET6}


def dial(ip: IP, port: int, *, timeout_s: float, source: IP | None = None) -> Stream:
    """Connect to an address, from `source` if given.

    Raises ConnectionTimeout, and ConnectionLost when refused, unreachable or without source.
    """
    kind = _socket.SOCK_STREAM | _socket.SOCK_NONBLOCK | _socket.SOCK_CLOEXEC
    sock = _socket.socket(_FAMILIES[ip.version], kind)
    try:
        if source is not None:
            sock.bind((str(source), 0))
        _connect(sock, (str(ip), port), timeout_s)
        sock.setsockopt(_socket.IPPROTO_TCP, _socket.TCP_NODELAY, 1)
        return Stream(sock)
    except OSError as e:
        sock.close()
        raise ConnectionLost(e.strerror or str(e)) from e
    except BaseException:
        sock.close()
        raise


def _connect(sock: _socket.socket, address: tuple[str, int], timeout_s: float) -> None:
    try:
        sock.connect(address)
    except BlockingIOError:
        expired = ConnectionTimeout(f"no connection within {timeout_s:g} s")
        wait_write(sock.fileno(), timeout_s, expired)
        code = sock.getsockopt(_socket.SOL_SOCKET, _socket.SO_ERROR)
        if code:
            raise OSError(code, os.strerror(code)) from None
