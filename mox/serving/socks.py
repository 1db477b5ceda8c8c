"""Connections through a SOCKS5 proxy (RFC 1928): the client's side of CONNECT, without login.

`SocksClient` is the protocol alone: bytes in, bytes out. `dial_through` has the connection.
"""

from __future__ import annotations

import time
from dataclasses import dataclass
from typing import Final

from mox.errors import MoxError
from mox.networks import IP
from mox.serving.dial import dial
from mox.serving.errors import ConnectionLost, ConnectionTimeout
from mox.serving.stream import Stream

_VERSION: Final = 5
_NO_AUTHENTICATION: Final = 0
_CONNECT: Final = 1
_IPV4, _NAME, _IPV6 = 1, 3, 4
_GREETING: Final = bytes((_VERSION, 1, _NO_AUTHENTICATION))
# RFC 1928 §6.
_FAILURES: Final = {
    1: "general failure",
    2: "not allowed by its rules",
    3: "network unreachable",
    4: "host unreachable",
    5: "connection refused",
    6: "TTL expired",
    7: "command not supported",
    8: "address type not supported",
}


class SocksError(MoxError):
    """The proxy does not connect us, or does not speak SOCKS5."""


class SocksClient:
    """One request. Send `outgoing`, then what each `receive` returns, until `is_connected`.

    `rest`: what came after the proxy's last octet, of the server behind it.
    """

    def __init__(self, ip: IP, port: int) -> None:
        self.outgoing = _GREETING
        self.is_connected = False
        self.rest = b""
        self._request = _request(ip, port)
        self._is_greeted = False
        self._received = b""

    def receive(self, data: bytes) -> bytes:
        """Take bytes of the proxy; returns what to send. b"" is its end. Raises SocksError."""
        if not data:
            raise SocksError("SOCKS proxy closed the connection")
        self._received += data
        if not self._is_greeted:
            return self._method()
        self._reply()
        return b""

    def _method(self) -> bytes:
        received = self._received
        if received[0] != _VERSION:
            raise SocksError("proxy does not speak SOCKS5")
        if len(received) < 2:
            return b""
        # RFC 1928 §3: the method that it chose, 255 for none.
        if received[1] != _NO_AUTHENTICATION:
            raise SocksError("SOCKS proxy wants a login, which is not supported")
        if len(received) > 2:
            raise SocksError("SOCKS proxy answered before it was asked")
        self._is_greeted = True
        self._received = b""
        return self._request

    def _reply(self) -> None:
        """Read version, reply, reserved, address type, bound address and port (RFC 1928 §6)."""
        received = self._received
        if received[0] != _VERSION:
            raise SocksError("proxy does not speak SOCKS5")
        if len(received) >= 2 and received[1]:
            code = received[1]
            raise SocksError(f"SOCKS proxy: {_FAILURES.get(code, f'failure {code}')}")
        if len(received) < 5:
            return
        lengths = {_IPV4: 4, _IPV6: 16, _NAME: 1 + received[4]}
        length = lengths.get(received[3])
        if length is None:
            raise SocksError("SOCKS proxy answered with an unknown type of address")
        end = 4 + length + 2
        if len(received) >= end:
            self.is_connected = True
            self.rest = received[end:]


def _request(ip: IP, port: int) -> bytes:
    # RFC 1928 §4.
    kind = _IPV4 if ip.version == 4 else _IPV6
    head = bytes((_VERSION, _CONNECT, 0, kind))
    return head + ip.packed + port.to_bytes(2, "big")


@dataclass(frozen=True, slots=True)
class Proxy:
    """A proxy by one of its addresses. `source_ips`: the addresses that it connects from."""

    ip: IP
    port: int
    source_ips: tuple[IP, ...] = ()


def dial_through(proxy: Proxy, ip: IP, port: int, *, timeout_s: float) -> Stream:
    """Connect to an address through a proxy; the stream is as if made to that address.

    Raises ConnectionTimeout and ConnectionLost, also for what the proxy refuses.
    """
    deadline = time.monotonic() + timeout_s
    stream = dial(proxy.ip, proxy.port, timeout_s=timeout_s)
    try:
        _connect(stream, SocksClient(ip, port), deadline)
    except SocksError as e:
        stream.close()
        raise ConnectionLost(str(e)) from e
    except BaseException:
        stream.close()
        raise
    stream.remote_ip, stream.remote_port = ip, port
    stream.local_ip = next((own for own in proxy.source_ips if own.version == ip.version), ip)
    return stream


def _connect(stream: Stream, client: SocksClient, deadline: float) -> None:
    stream.send(client.outgoing, _left(deadline))
    while not client.is_connected:
        answer = client.receive(stream.recv(_left(deadline)))
        if answer:
            stream.send(answer, _left(deadline))
    if client.rest:
        stream.unread(client.rest)


def _left(deadline: float) -> float:
    left_s = deadline - time.monotonic()
    if left_s <= 0:
        raise ConnectionTimeout("no connection through the SOCKS proxy within the time for it")
    return left_s
