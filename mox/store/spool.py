"""A message on its way into the store.

Kept in memory up to about 1 MB, so that it is written once, where it stays (ext4 punishes spool
files that are made and removed for each message); beyond that in an unnamed file.
"""

from __future__ import annotations

import mmap
import os
import tempfile
from typing import IO

from mox.store.durable import space_error, write_all
from mox.store.pool import BlockingPool

MEMORY_LIMIT = 1 << 20
_PIECE = 1 << 20


class Spool:
    """Collects a message in wire form and holds it in stored form (CRLF became LF).

    size: octets written so far, in wire form as given. Errors of the disk are StoreError.
    """

    __slots__ = ("_chunks", "_file", "_map", "_memory", "_pool", "_stored", "_tail", "_tmp", "size")

    def __init__(self, tmp_dir: str, pool: BlockingPool) -> None:
        self._tmp = tmp_dir
        self._pool = pool
        self._chunks: list[bytes] = []
        self._memory = 0
        self._file: IO[bytes] | None = None
        self._tail = b""  # a CR at the end of what was written to the file: LF may follow
        self._stored: bytes | None = None
        self._map: mmap.mmap | None = None
        self.size = 0

    def write(self, chunk: bytes) -> None:
        """Add octets in wire form, split anywhere."""
        self.size += len(chunk)
        self._chunks.append(chunk)
        self._memory += len(chunk)
        if self._memory > MEMORY_LIMIT:
            self._spill()

    def stored(self) -> bytes | mmap.mmap:
        """The whole message in stored form; nothing may be written afterwards."""
        if self._map is not None:
            return self._map
        if self._file is None:
            if self._stored is None:
                self._stored = b"".join(self._chunks).replace(b"\r\n", b"\n")
                self._chunks.clear()
            return self._stored
        self.finish()
        self._map = mmap.mmap(self._file.fileno(), 0, access=mmap.ACCESS_READ)
        return self._map

    def finish(self) -> None:
        """Take note that nothing more is written; what waits goes to the file of a large one."""
        if self._file is not None and (self._chunks or self._tail):
            self._spill(last=True)

    def copy_to(self, fd: int) -> None:
        """Write the stored form of a large message, after finish(), to a file in pieces. Blocks.

        Raises OSError.
        """
        assert self._file is not None, "a small one is in memory"
        at = 0
        while piece := os.pread(self._file.fileno(), _PIECE, at):
            write_all(fd, [piece])
            at += len(piece)

    @property
    def stored_size(self) -> int:
        """Octets of the stored form of a large message, after finish()."""
        assert self._file is not None, "a small one is in memory"
        return os.fstat(self._file.fileno()).st_size

    def read_at(self, at: int, length: int) -> bytes:
        """Read a piece of the stored form of a large message, after finish(). Raises OSError."""
        assert self._file is not None, "a small one is in memory"
        return os.pread(self._file.fileno(), length, at)

    def replace_start(self, length: int, start: bytes) -> None:
        """Put `start` in the place of the first `length` octets of the stored form."""
        stored = self.stored()
        if self._map is None:
            self._stored = start + bytes(stored[length:])
            return
        old_map, old_file = self._map, self._file
        assert old_file is not None, "the map is of a file"
        try:
            self._file = tempfile.TemporaryFile(dir=self._tmp, buffering=0)  # noqa: SIM115
            self._pool.apply(_copy, (start, old_map, length, self._file.fileno()))
        except OSError as e:
            raise space_error(e, self._tmp) from e
        finally:
            old_map.close()
            old_file.close()
        self._map = mmap.mmap(self._file.fileno(), 0, access=mmap.ACCESS_READ)

    @property
    def is_large(self) -> bool:
        return self._file is not None

    def close(self) -> None:
        """Free memory and file. May be called more than once."""
        self._chunks.clear()
        self._stored = None
        if self._map is not None:
            self._map.close()
            self._map = None
        if self._file is not None:
            self._file.close()
            self._file = None

    def __enter__(self) -> Spool:
        return self

    def __exit__(self, *_: object) -> None:
        self.close()

    def _spill(self, *, last: bool = False) -> None:
        data = self._tail + b"".join(self._chunks)
        self._chunks.clear()
        self._memory = 0
        self._tail = b""
        if data.endswith(b"\r") and not last:
            data, self._tail = data[:-1], b"\r"
        try:
            if self._file is None:
                # Lives as long as the spool; close() closes it.
                self._file = tempfile.TemporaryFile(dir=self._tmp, buffering=0)  # noqa: SIM115
            fd = self._file.fileno()
            self._pool.apply(lambda: write_all(fd, [data.replace(b"\r\n", b"\n")]))
        except OSError as e:
            raise space_error(e, self._tmp) from e


def _copy(start: bytes, source: mmap.mmap, begin: int, fd: int) -> None:
    """Write `start`, then the source from `begin` on."""
    write_all(fd, [start])
    for at in range(begin, len(source), _PIECE):
        write_all(fd, [source[at : at + _PIECE]])
