"""The compression layer of a connection (RFC 4978): raw DEFLATE both ways, flushed per piece.

A `Compression` takes octets and gives octets; what comes in is handed out in bounded pieces, so
that a few octets from the wire cannot become a thousand times as many in memory.

>>> one, other = Compression(), Compression()
>>> other.feed(one.compress(b"* OK still here"))
>>> other.read()
b'* OK still here'
"""

from __future__ import annotations

import zlib

from mox.errors import MoxError

# RFC 4978 §3: raw deflate; a window of 32 KB may be used and so has to be understood.
_RAW = -15
# Mail is mostly text or compressed already: higher levels cost more time than they save octets.
_LEVEL = 3
# Most octets that one read() gives.
PIECE = 64 * 1024


class DeflateError(MoxError):
    """What came in is no DEFLATE stream, or the stream has ended."""


class Compression:
    """Both directions of one connection, from the octet after COMPRESS's OK on."""

    __slots__ = ("_deflate", "_fed", "_inflate", "_more")

    def __init__(self) -> None:
        self._inflate = zlib.decompressobj(_RAW)
        self._deflate: zlib._Compress | None = None
        self._fed = b""
        self._more = False  # the last read() may have left something

    def compress(self, data: bytes) -> bytes:
        """Everything that the peer needs to see all of `data`."""
        if self._deflate is None:
            self._deflate = zlib.compressobj(_LEVEL, zlib.DEFLATED, _RAW)
        return self._deflate.compress(data) + self._deflate.flush(zlib.Z_SYNC_FLUSH)

    def feed(self, data: bytes) -> None:
        """Add received octets; only when `pending` is false."""
        self._fed = self._fed + data if self._fed else data
        self._more = True

    @property
    def pending(self) -> bool:
        """Whether read() may give something without more being fed."""
        return self._more

    def read(self) -> bytes:
        """At most PIECE octets, b"" when more has to be fed. Raises DeflateError."""
        if not self._more:
            return b""
        try:
            data = self._inflate.decompress(self._fed, PIECE)
        except zlib.error as e:
            raise DeflateError(f"malformed compressed data: {e}") from e
        self._fed = self._inflate.unconsumed_tail
        self._more = bool(self._fed) or len(data) == PIECE
        if self._inflate.eof and not data:
            raise DeflateError("the compressed stream has ended")
        return data

    def rest(self) -> None:
        """Give back 260 KB before a long wait.

        After a flush the next block stands for itself, so another compressor may write it.
        """
        self._deflate = None
