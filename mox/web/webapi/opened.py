"""A stored message that is read for a call. A large one stays on disk: clients may be slow."""

from __future__ import annotations

import os
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from typing import IO, TYPE_CHECKING, Final, TypeVar

from mox.message.windowed import Windowed
from mox.store.model import M_FLAGS, M_SIZE, M_UID
from mox.store.records import FILE_IS_WIRE

if TYPE_CHECKING:
    from mox.store.account import Account
    from mox.store.places import Place
    from mox.store.pool import BlockingPool

T = TypeVar("T")

LONG_OCTETS: Final = 256 << 10


@dataclass(frozen=True, slots=True)
class Opened:
    """The octets of a message. `wire` False: LF line ends. Close it, or use up its `pieces`."""

    octets: bytes | Windowed  # the latter for threads of the pool
    wire: bool
    pool: BlockingPool
    file: IO[bytes] | None = None

    def aside(self, read: Callable[[], T]) -> T:
        """Do what reads the octets; on a thread if they are many, so that other calls go on."""
        is_long = self.file is not None or len(self.octets) > LONG_OCTETS
        return self.pool.apply(read) if is_long else read()

    def pieces(self, of: Callable[[bytes | Windowed], Iterator[bytes]]) -> Iterator[bytes]:
        """Yield what `of` makes of the octets, on the event loop; then close the file."""
        if self.file is None:
            yield from of(self.octets)
            return
        with self.file:
            yield from of(_window_on(self.file, self._read_on_thread))

    def _read_on_thread(self, fd: int, size: int, at: int) -> bytes:
        return self.pool.apply(os.pread, (fd, size, at))

    def close(self) -> None:
        if self.file is not None:
            self.file.close()


def open_message(account: Account, place: Place) -> Opened:
    """Open a message of a mailbox. Raises MessageGone, StoreError."""
    message, pool = place.message, account.store.pool
    if message[M_SIZE] > LONG_OCTETS:
        file = account.open_file(place.mailbox_id, message[M_UID])
        if file is not None:
            wire = bool(message[M_FLAGS] & FILE_IS_WIRE)
            return Opened(_window_on(file, os.pread), wire, pool, file)
    stored = account.read(place.mailbox_id, message[M_UID])
    return Opened(stored.data, stored.wire, pool)


def _window_on(file: IO[bytes], pread: Callable[[int, int, int], bytes]) -> Windowed:
    """Not a map of the file: another program may cut it meanwhile."""
    fd = file.fileno()
    return Windowed(os.fstat(fd).st_size, lambda at, size: pread(fd, size, at))
