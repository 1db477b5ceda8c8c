"""Message octets on their way out: dots stuffed, line ends checked (RFC 5321 §4.5.2)."""

from __future__ import annotations

from mox.smtp.content import STUFFED
from mox.smtp.errors import BadMessage


class DotWriter:
    """Makes the octets that follow 354. Chunks in wire form of any size, cut anywhere."""

    __slots__ = ("_tail",)

    def __init__(self) -> None:
        self._tail = b"\r\n"  # the last chunk's final CRLF or CR, if any

    def feed(self, chunk: bytes) -> bytes:
        """Return what to send for a chunk. Raises BadMessage for a bare CR or LF."""
        if not chunk:
            return b""
        data = self._tail + chunk
        skip = len(self._tail)
        self._check(data)
        if STUFFED not in data:
            return chunk
        return data.replace(STUFFED, b"\r\n..")[skip:]

    def finish(self) -> bytes:
        """Return the end mark. Raises BadMessage when the message ends with a CR.

        RFC 5321 §4.1.1.4: a message (received with BDAT) that ends within a line gets its line
        end here; DATA has no other way to send it.
        """
        if self._tail == b"\r":
            raise BadMessage("message has a bare carriage return")
        return b".\r\n" if self._tail else b"\r\n.\r\n"

    def _check(self, data: bytes) -> None:
        pairs = data.count(b"\r\n")
        ends_cr = data.endswith(b"\r")
        if data.count(b"\n") != pairs or data.count(b"\r") != pairs + ends_cr:
            raise BadMessage("message has a bare carriage return or line feed")
        self._tail = b"\r" if ends_cr else b"\r\n" if data.endswith(b"\n") else b""
