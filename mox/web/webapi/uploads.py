"""Files that come with a request, on their way into a message.

A few kilobytes stay in memory; beyond that all of a request's files go into one unnamed file.
"""

from __future__ import annotations

import hashlib
import os
import tempfile
from collections.abc import Iterator
from dataclasses import dataclass
from typing import IO, TYPE_CHECKING, Final

from mox.message.composebodies import File
from mox.store.durable import space_error, write_all

if TYPE_CHECKING:
    from mox.store import Store

MEMORY_OCTETS: Final = 256 << 10
_PIECE_OCTETS: Final = 256 << 10


@dataclass(frozen=True, slots=True, kw_only=True)
class Upload:
    """A file that has come whole. `field` is the name of its form field."""

    field: str
    file: File
    digest: bytes  # SHA-256 of the content


class Uploads:
    """The files of one request. Errors of the disk are StoreError. Close it after use."""

    def __init__(self, store: Store) -> None:
        self._pool = store.pool
        self._directory = store.tmp_dir
        self._waiting: list[bytes] = []
        self._waiting_octets = 0
        self._file: IO[bytes] | None = None
        self._hash = hashlib.sha256()
        self._start = 0
        self.octets = 0
        self.found: list[Upload] = []

    def write(self, piece: bytes) -> None:
        """Take the next octets of the present file."""
        self._waiting.append(piece)
        self._waiting_octets += len(piece)
        self.octets += len(piece)
        self._hash.update(piece)
        if self._waiting_octets > MEMORY_OCTETS:
            self._spill()

    def end(self, *, field: str, name: str, content_type: str, content_id: str) -> None:
        """Take note that the present file is whole, and what it is."""
        start, end = self._start, self.octets
        file = File(
            content=lambda: self._read(start, end),
            name=name,
            content_type=content_type,
            content_id=content_id,
        )
        self.found.append(Upload(field=field, file=file, digest=self._hash.digest()))
        self._start, self._hash = end, hashlib.sha256()

    def close(self) -> None:
        self._waiting.clear()
        if self._file is not None:
            self._file.close()
            self._file = None

    def _spill(self) -> None:
        data, self._waiting, self._waiting_octets = b"".join(self._waiting), [], 0
        try:
            if self._file is None:
                # Lives as long as the uploads; close() closes it.
                self._file = tempfile.TemporaryFile(dir=self._directory, buffering=0)  # noqa: SIM115
            self._pool.apply(write_all, (self._file.fileno(), [data]))
        except OSError as e:
            raise space_error(e, self._directory) from e

    def _read(self, start: int, end: int) -> Iterator[bytes]:
        if self._file is None:
            yield b"".join(self._waiting)[start:end]
            return
        if self._waiting:
            self._spill()
        for at in range(start, end, _PIECE_OCTETS):
            size = min(_PIECE_OCTETS, end - at)
            yield self._pool.apply(os.pread, (self._file.fileno(), size, at))
