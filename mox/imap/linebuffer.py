"""Octets received and not yet used, with a mark up to where a line end was searched for."""

from __future__ import annotations


class LineOverflow(Exception):
    """No line end within the allowed number of octets."""


class LineBuffer:
    """Every octet is searched once for a line end and copied once on its way out.

    Taking from the front of a bytearray moves its start, not its content.
    """

    __slots__ = ("_data", "_searched")

    def __init__(self) -> None:
        self._data = bytearray()
        self._searched = 0

    def __len__(self) -> int:
        return len(self._data)

    def feed(self, data: bytes) -> None:
        self._data += data

    def take_line(self, limit: int) -> bytes | None:
        """Take a line of at most `limit` octets without its CRLF or LF; None: not complete yet.

        Deviation from RFC 9051 §2.2: a bare LF ends a line too, as tools and old clients send it.
        """
        if limit < 0:
            raise LineOverflow
        end = self._data.find(b"\n", self._searched, limit + 2)
        if end < 0:
            self._searched = len(self._data)
            # One more octet may be the CR of a line that is exactly as long as allowed.
            if len(self._data) > limit + 1:
                raise LineOverflow
            return None
        stop = end - 1 if end and self._data[end - 1] == 0x0D else end
        if stop > limit:
            raise LineOverflow
        line = bytes(memoryview(self._data)[:stop])
        self._drop(end + 1)
        return line

    def take(self, most: int) -> bytes:
        """Take up to `most` octets."""
        if most >= len(self._data):
            return self.drain()
        taken = bytes(memoryview(self._data)[:most])
        self._drop(most)
        return taken

    def discard(self, most: int) -> int:
        """Drop up to `most` octets; tells how many."""
        count = min(most, len(self._data))
        self._drop(count)
        return count

    def drain(self) -> bytes:
        """Take everything."""
        taken = bytes(self._data)
        self._data.clear()
        self._searched = 0
        return taken

    def _drop(self, count: int) -> None:
        del self._data[:count]
        self._searched = 0
