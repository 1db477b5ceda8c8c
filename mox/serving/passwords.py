"""Checking passwords without holding up the loop, and not more often than needed.

scrypt runs in a few threads; who comes when too many wait is told to try later. Passwords that
were right are remembered for a while as a keyed hash, so that clients that log in every minute
cost next to nothing; a new password changes the record's version and with it ends the memory.
"""

from __future__ import annotations

import hmac
import mmap
import os
import struct
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from typing import Final

from gevent.event import Event
from gevent.threadpool import ThreadPool

from mox.errors import MoxError
from mox.store.credentials import Credentials, verify_password

THREADS = 2
# At some 40 ms each, the last of them waits two and a half seconds on two processors.
MAX_WAITING = 64
REMEMBER_S = 15 * 60


class Busy(MoxError):
    """Too many passwords are being checked already."""


class GoodPasswords:
    """Passwords that were right, in memory that workers forked later share.

    A table of keyed hashes, each in the slot that its first octets choose; a newer one takes the
    slot. Nothing is locked: what another process is just writing does not equal any hash. The key
    is only in memory, as is the table.
    """

    _SLOTS: Final = 8192
    _SLOT: Final = struct.Struct(">32sd")  # hash, good until (time.monotonic())

    def __init__(self) -> None:
        self._key = os.urandom(32)
        self._table = mmap.mmap(-1, self._SLOTS * self._SLOT.size)

    def digest(self, username: str, password: str, version: bytes) -> bytes:
        """Return what stands for a password in the table."""
        text = f"{username}\0{password}\0".encode("utf-8", "surrogatepass") + version
        return hmac.digest(self._key, text, "sha256")

    def knows(self, digest: bytes, now: float) -> bool:
        known, until = self._SLOT.unpack_from(self._table, self._offset(digest))
        return hmac.compare_digest(known, digest) and until > now

    def remember(self, digest: bytes, until: float) -> None:
        self._SLOT.pack_into(self._table, self._offset(digest), digest, until)

    def _offset(self, digest: bytes) -> int:
        return int.from_bytes(digest[:4], "big") % self._SLOTS * self._SLOT.size


# Made when the supervisor imports this module, before it forks: so all workers have the same.
_SHARED: Final = GoodPasswords()


class Passwords:
    """The password checks of one worker process; make it after the fork."""

    def __init__(
        self, clock: Callable[[], float] = time.monotonic, good: GoodPasswords = _SHARED
    ) -> None:
        self._clock = clock
        self._good = good
        self._pool: ThreadPool | None = None
        self._waiting = 0
        self._under_way: dict[bytes, Event] = {}

    def check(self, username: str, record: Credentials | None, password: str) -> bool:
        """Say whether the password is right; waits for a thread unless it is remembered.

        Without a record the answer is no, after as much work. Raises Busy.
        """
        if record is None:
            return self._in_thread(None, password)
        digest = self._good.digest(username, password, record.version)
        while not self._good.knows(digest, self._clock()):
            # A program that begins with many connections costs one check, not one for each.
            same = self._under_way.get(digest)
            if same is None:
                return self._is_good(digest, record, password)
            with self._waits():
                same.wait()
        return True

    def _is_good(self, digest: bytes, record: Credentials, password: str) -> bool:
        done = self._under_way[digest] = Event()
        try:
            good = self._in_thread(record, password)
            if good:
                self._good.remember(digest, self._clock() + REMEMBER_S)
            return good
        finally:
            del self._under_way[digest]
            done.set()

    def _in_thread(self, record: Credentials | None, password: str) -> bool:
        if self._pool is None:
            self._pool = ThreadPool(THREADS)
        with self._waits():
            good: bool = self._pool.apply(verify_password, (record, password))
        return good

    @contextmanager
    def _waits(self) -> Iterator[None]:
        if self._waiting >= MAX_WAITING:
            raise Busy("too many passwords are being checked")
        self._waiting += 1
        try:
            yield
        finally:
            self._waiting -= 1
