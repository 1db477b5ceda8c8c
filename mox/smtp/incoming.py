"""A message on its way in: its octets are cleaned, counted, and dropped once it is refused."""

from __future__ import annotations

from mox.smtp.config import ServerConfig
from mox.smtp.content import ChunkReader, DotReader
from mox.smtp.replies import BARE_LINE_END, TOO_LARGE
from mox.smtp.reply import Reply


class Incoming:
    """The content of one transaction, from DATA or from any number of BDATs.

    After the first `problem` no content comes out any more. `exhausted` says that the client goes
    on sending a refused message for longer than we want to read.
    """

    __slots__ = ("_chunks", "_dots", "_drain", "_drained", "_max_size", "problem", "size")

    def __init__(self, config: ServerConfig) -> None:
        self.size = 0
        self.problem: Reply | None = None
        self._max_size = config.max_size
        self._drain = config.limits.drain
        self._drained = 0
        self._dots = DotReader()
        self._chunks = ChunkReader()

    @property
    def exhausted(self) -> bool:
        return self._drained > self._drain

    def data(self, octets: bytes) -> tuple[bytes, bytes | None]:
        """Take octets after 354; return content, and what follows the end once that is there."""
        content, rest = self._dots.feed(octets)
        return self._count(content, len(octets), self._dots.broken), rest

    def chunk(self, octets: bytes) -> bytes:
        """Take octets of a BDAT; return content."""
        return self._count(self._chunks.feed(octets), len(octets), self._chunks.broken)

    def last_chunk_done(self) -> None:
        """Take note that the message is complete."""
        self._chunks.finish()
        self._count(b"", 0, self._chunks.broken)

    def _count(self, content: bytes, octets: int, broken: bool) -> bytes:
        if self.problem is None:
            if broken:
                self.problem = BARE_LINE_END
            elif self.size + len(content) > self._max_size:
                self.problem = TOO_LARGE
        if self.problem is not None:
            self._drained += octets
            return b""
        self.size += len(content)
        return content
