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
from collections.abc import Callable
from typing import Final

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

    def knows(self, username: str, password: str, version: bytes, now: float) -> bool:
        digest, offset = self._place(username, password, version)
        known, until = self._SLOT.unpack_from(self._table, offset)
        return hmac.compare_digest(known, digest) and until > now

    def remember(self, username: str, password: str, version: bytes, until: float) -> None:
        digest, offset = self._place(username, password, version)
        self._SLOT.pack_into(self._table, offset, digest, until)

    def _place(self, username: str, password: str, version: bytes) -> tuple[bytes, int]:
        text = f"{username}\0{password}\0".encode("utf-8", "surrogatepass") + version
        digest = hmac.digest(self._key, text, "sha256")
        return digest, int.from_bytes(digest[:4], "big") % self._SLOTS * self._SLOT.size


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

    def check(self, username: str, record: Credentials | None, password: str) -> bool:
        """Say whether the password is right; waits for a thread unless it is remembered.

        Without a record the answer is no, after as much work. Raises Busy.
        """
        now = self._clock()
        if record is not None and self._good.knows(username, password, record.version, now):
            return True
        good = self._in_thread(record, password)
        if good and record is not None:
            until = self._clock() + REMEMBER_S
            self._good.remember(username, password, record.version, until)
        return good

    def _in_thread(self, record: Credentials | None, password: str) -> bool:
        if self._waiting >= MAX_WAITING:
            raise Busy("too many passwords are being checked")
        if self._pool is None:
            self._pool = ThreadPool(THREADS)
        self._waiting += 1
        try:
            good: bool = self._pool.apply(verify_password, (record, password))
        finally:
            self._waiting -= 1
        return good
