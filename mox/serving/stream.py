"""A byte stream over one socket, plain or TLS, for servers and clients under gevent.

It owns its socket: nothing else may read or write it. One greenlet uses a stream at a time.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import TYPE_CHECKING, Literal

from mox.errors import MoxError

if TYPE_CHECKING:
    from ipaddress import IPv4Address, IPv6Address

    from mox.tlsio.contexts import ClientContext, ServerContext
    from mox.tlsio.session import TLSInfo


class ConnectionLost(MoxError):
    """The peer went away, reset the connection or broke TLS; nothing more can be sent."""


class ConnectionTimeout(MoxError):
    """The peer did not send, or did not take, bytes in the time it was given."""


class ConnectionDraining(MoxError):
    """The process drains and the connection is between commands: say goodbye and return."""


class Wake:
    """A bell for `Stream.wait`: ring it from the loop's thread (a store callback, a greenlet)."""

    __slots__ = ()

    def ring(self) -> None:
        """Make the stream's current or next `wait` return "wake". Rings before that merge."""
        raise NotImplementedError

    def clear(self) -> None:
        """Forget a ring that no `wait` has reported yet."""
        raise NotImplementedError


class Stream:
    """One connected socket with time limits, optional TLS and byte counters.

    `remote_ip` is an address object; IPv4-mapped IPv6 addresses appear as IPv4.
    `bytes_received` and `bytes_sent` count protocol bytes (after decryption).
    """

    __slots__ = ()

    remote_ip: IPv4Address | IPv6Address
    remote_port: int
    local_ip: IPv4Address | IPv6Address
    local_port: int
    tls: TLSInfo | None
    bytes_received: int
    bytes_sent: int
    slow: bool

    def recv(self, timeout_s: float, *, idle: bool = False) -> bytes:
        """Return the next bytes (at most 64 KB), b"" at the end of the stream.

        `idle=True` means "waiting for the next command": then, and only then, draining
        interrupts the wait. Raises ConnectionTimeout, ConnectionLost, ConnectionDraining.
        """
        raise NotImplementedError

    def send(self, data: bytes | Sequence[bytes], timeout_s: float = 30.0) -> None:
        """Send all of `data`; return when the kernel has it.

        The time limit is for the peer to take *something*: a slow reader of a large answer
        is not cut off while it reads. Raises ConnectionTimeout, ConnectionLost.
        """
        raise NotImplementedError

    def wait(self, timeout_s: float, wake: Wake) -> Literal["readable", "wake", "timeout"]:
        """Wait for bytes (or the end), a ring or the time; starts no greenlet.

        "readable": `recv` returns at once. "wake" is also returned when draining begins:
        look at `draining`. Raises ConnectionLost.
        """
        raise NotImplementedError

    def start_tls(self, context: ServerContext, timeout_s: float = 60.0) -> None:
        """Do the server side of a handshake; call after the go-ahead reply has been sent.

        Raises ConnectionLost (with the reason) when it fails, also when bytes from the peer
        arrived before the handshake and were read but not handed out.
        """
        raise NotImplementedError

    def start_tls_client(
        self, context: ClientContext, server_name: str, timeout_s: float = 60.0
    ) -> None:
        """Do the client side of a handshake. Raises TLSError (mox.tlsio), ConnectionLost, ConnectionTimeout."""
        raise NotImplementedError

    def channel_binding(
        self, kind: Literal["tls-exporter", "tls-unique", "tls-server-end-point"]
    ) -> bytes | None:
        """Return the binding data of RFC 9266 / RFC 5929, None where it does not exist."""
        raise NotImplementedError

    def close(self) -> None:
        """Close without waiting: close_notify if it fits, then the socket. Harmless twice."""
        raise NotImplementedError


def dial(
    ip: IPv4Address | IPv6Address,
    port: int,
    *,
    timeout_s: float,
    source: IPv4Address | IPv6Address | None = None,
) -> Stream:
    """Connect to an address. Raises ConnectionTimeout, ConnectionLost (refused, unreachable)."""
    raise NotImplementedError
