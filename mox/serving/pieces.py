"""Cutting and joining output so that each piece is worth a system call."""

from __future__ import annotations

from collections.abc import Iterator, Sequence

Bytes = bytes | memoryview
PIECE_BYTES = 65536


def pieces(data: Bytes | Sequence[Bytes]) -> Iterator[Bytes]:
    """Yield all of `data` in order, in pieces of at most 64 KB; small items are joined."""
    if isinstance(data, bytes | memoryview):
        yield from _cut(data)
        return
    joined: list[Bytes] = []
    size = 0
    for item in data:
        if size + len(item) > PIECE_BYTES:
            yield b"".join(joined)
            joined, size = [], 0
        if len(item) > PIECE_BYTES:
            yield from _cut(item)
        else:
            joined.append(item)
            size += len(item)
    yield b"".join(joined)


def _cut(data: Bytes) -> Iterator[Bytes]:
    if len(data) <= PIECE_BYTES:
        yield data
        return
    view = memoryview(data)
    for start in range(0, len(view), PIECE_BYTES):
        yield view[start : start + PIECE_BYTES]
