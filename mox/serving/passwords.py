"""Checking passwords without holding up the loop, and not more often than needed.

scrypt runs in a few threads; who comes when too many wait is told to try later. Passwords that
were right are remembered for a while as a keyed hash, so that clients that log in every minute
cost next to nothing; a new password changes the record's version and with it ends the memory.
"""

from __future__ import annotations

import hmac
import os
import time
from collections import OrderedDict
from collections.abc import Callable

from gevent.threadpool import ThreadPool

from mox.errors import MoxError
from mox.store.credentials import Credentials, verify_password

THREADS = 2
# At some 40 ms each, the last of them waits two and a half seconds on two processors.
MAX_WAITING = 64
REMEMBER_S = 15 * 60
MAX_REMEMBERED = 10_000


class Busy(MoxError):
    """Too many passwords are being checked already."""


class Passwords:
    """The password checks of one worker process; make it after the fork."""

    def __init__(self, clock: Callable[[], float] = time.monotonic) -> None:
        self._clock = clock
        self._key = os.urandom(32)
        self._good: OrderedDict[bytes, tuple[bytes, float]] = OrderedDict()
        self._pool: ThreadPool | None = None
        self._waiting = 0

    def check(self, username: str, record: Credentials | None, password: str) -> bool:
        """Say whether the password is right; waits for a thread unless it is remembered.

        Without a record the answer is no, after as much work. Raises Busy.
        """
        text = f"{username}\0{password}".encode("utf-8", "surrogatepass")
        key = hmac.digest(self._key, text, "sha256")
        if record is not None and self._is_remembered(key, record.version):
            return True
        good = self._in_thread(record, password)
        if good and record is not None:
            self._remember(key, record.version)
        return good

    def _is_remembered(self, key: bytes, version: bytes) -> bool:
        known = self._good.get(key)
        return known is not None and known[0] == version and known[1] > self._clock()

    def _remember(self, key: bytes, version: bytes) -> None:
        self._good[key] = (version, self._clock() + REMEMBER_S)
        self._good.move_to_end(key)
        while len(self._good) > MAX_REMEMBERED:
            self._good.popitem(last=False)

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
