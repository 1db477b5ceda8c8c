"""A message on its way into the store.

Kept in memory up to about 1 MB, so that it is written once, where it stays (ext4 punishes spool
files that are made and removed for each message); beyond that in an unnamed file.
"""

from __future__ import annotations

import mmap
import os
import tempfile
from collections.abc import Iterable, Iterator
from io import FileIO

from mox.message.windowed import Windowed
from mox.store.durable import space_error, write_all
from mox.store.pool import BlockingPool

MEMORY_LIMIT = 1 << 20
_COPIED = 1 << 20  # in one go, on a thread
# What waits in memory once there is a file.
_WAITING = 1 << 18
# Converted at once on the event loop. Pieces have less than twice as much.
_PIECE = 1 << 17


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
        self._file: FileIO | None = None
        self._tail = b""  # a CR at the end of what was written to the file: LF may follow
        self._stored: bytes | None = None
        self._map: mmap.mmap | None = None
        self.size = 0

    def write(self, chunk: bytes) -> None:
        """Add octets in wire form, split anywhere."""
        self.size += len(chunk)
        self._chunks.append(chunk)
        self._memory += len(chunk)
        if self._memory > (MEMORY_LIMIT if self._file is None else _WAITING):
            self._spill()

    def stored(self) -> bytes | mmap.mmap:
        """The whole message in stored form; nothing may be written afterwards."""
        if self._map is not None:
            return self._map
        if self._file is None:
            if self._stored is None:
                self._stored = _stored_form(b"".join(self._chunks))
                self._chunks.clear()
            return self._stored
        self.finish()
        self._map = mmap.mmap(self._file.fileno(), 0, access=mmap.ACCESS_READ)
        return self._map

    def octets(self) -> bytes | Windowed:
        """The whole message in stored form, for the event loop; nothing may be written afterwards.

        A large one is read in the thread pool, window by window: others have their turns then.
        Reading it raises StoreError.
        """
        self.finish()
        if self._file is None:
            stored = self.stored()
            assert isinstance(stored, bytes), "there is no file"
            return stored
        return Windowed(self.stored_size, self._read_in_pool)

    def _read_in_pool(self, at: int, length: int) -> bytes:
        try:
            return self._pool.apply(self.read_at, (at, length))
        except OSError as e:
            raise space_error(e, self._tmp) from e

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
        while piece := os.pread(self._file.fileno(), _COPIED, at):
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
        self.finish()
        old = self._file
        if old is None:
            self._stored = start + bytes(self.stored()[length:])
            return
        try:
            self._file = self._pool.apply(_copy, (self._tmp, start, old, length))
        except OSError as e:
            raise space_error(e, self._tmp) from e
        self._forget_map()
        self._pool.start(old.close)

    @property
    def is_large(self) -> bool:
        return self._file is not None

    def close(self) -> None:
        """Free memory and file. May be called more than once."""
        self._chunks.clear()
        self._stored = None
        self._forget_map()
        if self._file is not None:
            # The octets go with it, which takes milliseconds for a large one.
            self._pool.start(self._file.close)
            self._file = None

    def _forget_map(self) -> None:
        if self._map is not None:
            self._map.close()
            self._map = None

    def __enter__(self) -> Spool:
        return self

    def __exit__(self, *_: object) -> None:
        self.close()

    def _spill(self, *, last: bool = False) -> None:
        """Move what waits in memory to the file, in stored form."""
        chunks, self._chunks, self._memory = self._chunks, [], 0
        try:
            if self._file is None:
                self._file = self._pool.apply(_new_file, (self._tmp,))
            for piece in self._converted(chunks, last=last):
                self._pool.apply(_write, (self._file, piece))
        except OSError as e:
            raise space_error(e, self._tmp) from e

    def _converted(self, chunks: Iterable[bytes], *, last: bool) -> Iterator[bytes]:
        """Yield octets in stored form. Those that decide about a line end wait, but for the last.

        Done by the caller between the writes, not by the threads: there it would keep the event
        loop waiting for the interpreter.
        """
        for piece in _pieces(chunks):
            data, self._tail = self._tail + piece, b""
            if data.endswith(b"\r"):
                data, self._tail = data[:-1], b"\r"
            yield _stored_form(data)
        if last and self._tail:
            yield self._tail
            self._tail = b""


def _stored_form(data: bytes) -> bytes:
    """Make CRLF LF. Without lone CRs, which stay, this takes half the time of `replace`."""
    without_cr = data.replace(b"\r", b"")
    if len(data) - len(without_cr) == data.count(b"\r\n"):
        return without_cr
    return data.replace(b"\r\n", b"\n")


def _pieces(chunks: Iterable[bytes]) -> Iterator[bytes]:
    """Yield the same octets with short chunks put together and long ones cut."""
    some: list[bytes] = []
    size = 0
    for chunk in chunks:
        for at in range(0, len(chunk), _PIECE):
            some.append(chunk[at : at + _PIECE])
            size += len(some[-1])
            if size >= _PIECE:
                yield b"".join(some)
                some.clear()
                size = 0
    if some:
        yield b"".join(some)


# What follows runs in the thread pool, and raises OSError. The file is given as such: once it is
# closed nothing gets into another file with the same descriptor.


def _new_file(directory: str) -> FileIO:
    # Lives as long as the spool; close() closes it.
    return tempfile.TemporaryFile(dir=directory, buffering=0)


def _write(file: FileIO, data: bytes) -> None:
    write_all(file.fileno(), [data])


def _copy(directory: str, start: bytes, source: FileIO, begin: int) -> FileIO:
    """Write `start`, then the source from `begin` on, to a new file."""
    file = _new_file(directory)
    try:
        write_all(file.fileno(), [start])
        while piece := os.pread(source.fileno(), _COPIED, begin):
            write_all(file.fileno(), [piece])
            begin += len(piece)
    except OSError:
        file.close()
        raise
    return file
