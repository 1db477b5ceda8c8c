"""Octets that are read when they are asked for: a large message is looked at through a window.

It answers as bytes do what the reader of messages asks of them, and gives bytes. What is missing
because it could not be read is as if the octets ended there.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Final, overload

WINDOW_OCTETS: Final = 1 << 18


class Windowed:
    """`read` takes a place and a number of octets, and returns as many as there are."""

    __slots__ = ("_base", "_read", "_size", "_width", "_window")

    def __init__(
        self, size: int, read: Callable[[int, int], bytes], *, window: int = WINDOW_OCTETS
    ) -> None:
        self._size = size
        self._read = read
        self._width = window
        self._base = -1  # where the window is
        self._window = b""

    def __len__(self) -> int:
        return self._size

    def __bytes__(self) -> bytes:
        return self[:]

    def _open(self, base: int) -> bytes:
        if base != self._base:
            self._window = self._read(base, min(self._width, self._size - base))
            self._base = base
        return self._window

    @overload
    def __getitem__(self, where: int) -> int: ...

    @overload
    def __getitem__(self, where: slice) -> bytes: ...

    def __getitem__(self, where: int | slice) -> int | bytes:
        if isinstance(where, int):
            octet = self[where : where + 1]
            return octet[0] if octet else 0
        start, stop, _ = where.indices(self._size)
        base = start // self._width * self._width
        if start < stop <= base + self._width:
            return self._open(base)[start - base : stop - base]
        return self._read(start, stop - start) if start < stop else b""

    def find(self, sub: bytes, start: int = 0, end: int | None = None) -> int:
        end = self._size if end is None else min(end, self._size)
        while start + len(sub) <= end:
            base = start // self._width * self._width
            stop = min(base + self._width, end)
            found = self._open(base).find(sub, start - base, stop - base)
            if found >= 0:
                return base + found
            if len(sub) == 1:
                start = stop
                continue
            # It may lie over the edge of the window.
            edge = max(start, stop - len(sub) + 1)
            across = self._read(edge, min(stop + len(sub) - 1, end) - edge).find(sub)
            if across >= 0:
                return edge + across
            start = stop
        return -1

    def count(self, octet: bytes, start: int = 0, end: int | None = None) -> int:
        """Count a single octet."""
        end = self._size if end is None else min(end, self._size)
        total = 0
        while start < end:
            base = start // self._width * self._width
            stop = min(base + self._width, end)
            total += self._open(base).count(octet, start - base, stop - base)
            start = stop
        return total

    def startswith(self, prefix: bytes, start: int = 0, end: int | None = None) -> bool:
        end = self._size if end is None else min(end, self._size)
        return start + len(prefix) <= end and self[start : start + len(prefix)] == prefix

    def census(self) -> tuple[bool, bool]:
        """Return if all octets are ASCII, and if there is a NUL: in one pass."""
        is_ascii, has_nul = True, False
        for base in range(0, self._size, self._width):
            window = self._open(base)
            is_ascii = is_ascii and window.isascii()
            has_nul = has_nul or b"\0" in window
        return is_ascii, has_nul

    def isascii(self) -> bool:
        return all(self._open(base).isascii() for base in range(0, self._size, self._width))

    def __contains__(self, octet: bytes) -> bool:
        return self.find(octet) >= 0
