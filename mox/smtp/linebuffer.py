"""Input not yet used up: command lines and raw octets come out of it.

Only CRLF ends a line (RFC 5321 §2.3.8). A line with a bare LF is reported as soon as the LF is
there, so that a peer that never sends CR gets an answer, and the rest of it up to CRLF is skipped.
No octet is searched twice.
"""

from __future__ import annotations

from enum import Enum, auto

CR = 0x0D


class Bad(Enum):
    """Why the next line cannot be used. What is left of it has to be skipped."""

    TOO_LONG = auto()
    BARE_LF = auto()


class LineBuffer:
    """A byte queue with a read position and a mark up to where line ends were looked for."""

    __slots__ = ("_data", "_pos", "_searched")

    def __init__(self) -> None:
        self._data = b""
        self._pos = 0
        self._searched = 0

    def __len__(self) -> int:
        return len(self._data) - self._pos

    def feed(self, data: bytes) -> None:
        if self._pos == len(self._data):
            self._data = data
            self._pos = self._searched = 0
            return
        self._data = self._data[self._pos :] + data
        self._searched -= self._pos
        self._pos = 0

    def starts_with(self, prefix: bytes) -> bool:
        """Compare the first octets with `prefix` (upper case) without regard to case."""
        return self._data[self._pos : self._pos + len(prefix)].upper() == prefix

    def line(self, limit: int) -> bytes | Bad | None:
        """Take the next line, without its CRLF; None while it is incomplete.

        `limit` is the line's greatest length in octets with CRLF.
        """
        at = self._data.find(b"\n", self._searched)
        if at < 0:
            self._searched = len(self._data)
            return Bad.TOO_LONG if len(self) > limit else None
        if at == self._pos or self._data[at - 1] != CR:
            self._advance(at + 1)
            return Bad.BARE_LF
        if at + 1 - self._pos > limit:
            self._advance(at - 1)  # skip_line finds the CRLF at once
            return Bad.TOO_LONG
        line = self._data[self._pos : at - 1]
        self._advance(at + 1)
        return line

    def skip_line(self) -> tuple[int, bool]:
        """Drop octets up to and with the next CRLF; return how many, and whether it was there."""
        at = self._data.find(b"\r\n", self._pos)
        if at >= 0:
            dropped = at + 2 - self._pos
            self._advance(at + 2)
            return dropped, True
        end = len(self._data)
        if self._data.endswith(b"\r") and end > self._pos:
            end -= 1
        dropped = end - self._pos
        self._advance(end)
        return dropped, False

    def take(self, most: int | None = None) -> bytes:
        """Take all octets, or at most `most`."""
        end = len(self._data) if most is None else min(len(self._data), self._pos + most)
        if self._pos == 0 and end == len(self._data):
            data = self._data
        else:
            data = self._data[self._pos : end]
        self._advance(end)
        return data

    def push_back(self, data: bytes) -> None:
        """Put back the end of what `take` returned."""
        self._data = data + self._data[self._pos :]
        self._pos = self._searched = 0

    def clear(self) -> None:
        self._data = b""
        self._pos = self._searched = 0

    def _advance(self, to: int) -> None:
        self._pos = self._searched = to
