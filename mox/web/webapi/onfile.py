"""A stored message that stays on disk while it is sent: a client may take its time for 100 MB."""

from __future__ import annotations

import os
from collections.abc import Iterator
from typing import IO, TYPE_CHECKING, Final

if TYPE_CHECKING:
    from mox.store.pool import BlockingPool

_PIECE_OCTETS: Final = 256 << 10


class FileOctets:
    """The octets of a file, read when they are asked for; not mapped: it may be cut meanwhile."""

    def __init__(self, file: IO[bytes], pool: BlockingPool) -> None:
        self._file = file
        self._pool = pool
        self._size = os.fstat(file.fileno()).st_size

    def __len__(self) -> int:
        return self._size

    def __getitem__(self, where: slice) -> bytes:
        start, stop, _ = where.indices(self._size)
        return self._pool.apply(os.pread, (self._file.fileno(), max(stop - start, 0), start))

    def find(self, octet: bytes, start: int, end: int) -> int:
        """Return where a single octet is, -1 when it is not there."""
        for at in range(start, end, _PIECE_OCTETS):
            found = self[at : min(at + _PIECE_OCTETS, end)].find(octet)
            if found >= 0:
                return at + found
        return -1


def closing(file: IO[bytes], pieces: Iterator[bytes]) -> Iterator[bytes]:
    """Yield the pieces, and close the file whatever becomes of the answer."""
    with file:
        yield from pieces
