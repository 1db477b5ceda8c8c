"""Fixed-window counters in LMDB: what limits are made of.

A record's key is kind, window length, window number, counted thing; its value a count. When a
window has passed its records are dropped, a bounded number per transaction.
"""

from __future__ import annotations

import hashlib
import struct
from collections.abc import Iterable
from dataclasses import dataclass

import lmdb

_WINDOW = struct.Struct(">IQ")
_COUNT = struct.Struct(">Q")
_MAX_KEY_BYTES = 64
_SWEEP_RECORDS = 2000


@dataclass(frozen=True, slots=True)
class Window:
    """At most `limit` events in each fixed window of `seconds`."""

    seconds: int
    limit: int


def counter_key(kind: str, window: Window, now: float, thing: bytes) -> bytes:
    """Return the key of one counter at this time; long things are hashed."""
    if len(thing) > _MAX_KEY_BYTES:
        thing = hashlib.blake2b(thing, digest_size=32).digest()
    return _prefix(kind) + _WINDOW.pack(*_position(window, now)) + thing


def _prefix(kind: str) -> bytes:
    return b"w" + kind.encode("ascii") + b"\0"


def _position(window: Window, now: float) -> tuple[int, int]:
    return window.seconds, int(now // window.seconds)


def count_of(txn: lmdb.Transaction, key: bytes) -> int:
    """Return the count, 0 when there is none."""
    value = txn.get(key)
    return 0 if value is None else _COUNT.unpack(value)[0]


def set_count(txn: lmdb.Transaction, key: bytes, count: int) -> None:
    """Store a count; zero and less remove the record."""
    if count > 0:
        txn.put(key, _COUNT.pack(count))
    else:
        txn.delete(key)


def add_within(txn: lmdb.Transaction, n: int, counters: Iterable[tuple[bytes, int]]) -> bool:
    """Add `n` to each (key, limit), or to none when one of them would pass its limit."""
    new: list[tuple[bytes, int]] = []
    for key, limit in counters:
        count = count_of(txn, key) + n
        if count > limit:
            return False
        new.append((key, count))
    for key, count in new:
        set_count(txn, key, count)
    return True


def would_fit(txn: lmdb.Transaction, n: int, counters: Iterable[tuple[bytes, int]]) -> bool:
    """Say whether `add_within` would add; reads only."""
    return all(count_of(txn, key) + n <= limit for key, limit in counters)


class Sweeper:
    """Drops records of windows that have passed; remembers up to where it has been."""

    __slots__ = ("_swept",)

    def __init__(self) -> None:
        self._swept: dict[tuple[str, int], int] = {}

    def sweep(self, txn: lmdb.Transaction, kind: str, window: Window, now: float) -> None:
        """Remove records of `kind` older than the present window, some of them at a time."""
        seconds, number = _position(window, now)
        if self._swept.get((kind, seconds)) == number:
            return
        start = _prefix(kind) + _WINDOW.pack(seconds, 0)
        end = _prefix(kind) + _WINDOW.pack(seconds, number)
        if _delete_range(txn, start, end, _SWEEP_RECORDS):
            self._swept[kind, seconds] = number


def _delete_range(txn: lmdb.Transaction, start: bytes, end: bytes, most: int) -> bool:
    """Delete keys in [start, end), at most `most`; true when none is left."""
    with txn.cursor() as cursor:
        cursor.set_range(start)
        for _ in range(most):
            key = bytes(cursor.key())  # empty behind the last record
            if not key or key >= end:
                return True
            # Deleting moves the cursor to the next record.
            cursor.delete()
    return False
