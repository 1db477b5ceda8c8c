"""A connection as gunicorn wants it, a socket with `recv` and `sendall`, with limits on time.

gunicorn's own workers have none: a client that sends an octet a minute holds them for hours.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Final

from gunicorn.http.errors import LimitRequestHeaders

from mox.serving.errors import ConnectionLost, ConnectionTimeout

if TYPE_CHECKING:
    from mox.serving.connection import Connection

MAX_HEAD_OCTETS: Final = 64 << 10
BODY_OCTETS_PER_S: Final = 4096


@dataclass(frozen=True, slots=True)
class Patience:
    """How long clients may take, in seconds.

    `head_s`: from the beginning of a request to the end of its header fields. `body_s`: how late
    a body may be, against one that comes at 4 KB a second. `idle_s`: between two requests.
    """

    head_s: float = 30.0
    body_s: float = 60.0
    idle_s: float = 65.0


class Wire:
    """What the parser reads from and the response writes to."""

    __slots__ = ("_ahead", "_conn", "_deadline", "_head_left", "_in_body", "_patience")

    def __init__(self, conn: Connection, patience: Patience) -> None:
        self._conn = conn
        self._patience = patience
        self._ahead = b""  # received, and not asked for yet
        self.expect_head()

    def expect_head(self) -> None:
        """The next octets are a request's head."""
        self._in_body = False
        self._deadline = self._conn.clock() + self._patience.head_s
        self._head_left = MAX_HEAD_OCTETS

    def expect_body(self) -> None:
        """The next octets are a request's body."""
        self._in_body = True
        self._deadline = self._conn.clock() + self._patience.body_s

    def is_silent(self, timeout_s: float) -> bool:
        """Wait for the next request for this long; false: something is there, or the end."""
        if self._ahead:
            return False
        try:
            self._ahead = self._conn.recv(timeout_s, idle=True)
        except ConnectionTimeout:
            return True
        return False

    def recv(self, size: int) -> bytes:
        """Return up to `size` octets, b"" at the end of the stream if a body is not cut by it.

        Raises ConnectionTimeout, ConnectionLost, LimitRequestHeaders.
        """
        conn = self._conn
        if not self._in_body and self._head_left <= 0:
            raise LimitRequestHeaders("request head is too long")
        data, self._ahead = self._ahead, b""
        if not data:
            data = conn.recv(max(self._deadline - conn.clock(), 0.0))
        if len(data) > size:
            self._ahead = data[size:]
            data = data[:size]
        if not self._in_body:
            self._head_left -= len(data)
        elif data:
            late = self._deadline + len(data) / BODY_OCTETS_PER_S
            self._deadline = min(late, conn.clock() + self._patience.body_s)
        else:
            # Otherwise what has come would pass for all of it.
            raise ConnectionLost("client ended in the middle of a request's body")
        return data

    def sendall(self, data: bytes) -> None:
        """Send; raises ConnectionTimeout, ConnectionLost."""
        self._conn.send(data)
