"""The index of webhooks by address and time, and the questions that the queue process asks it.

A key is a hash of the URL, the time of the next attempt, and the hook's id. So what is due is found
URL by URL, however many calls wait for one that does not answer.
"""

from __future__ import annotations

import hashlib
from dataclasses import dataclass
from typing import Final

from mox.store.env import Databases
from mox.store.hook_records import Hook, HookId
from mox.store.outgoing_due import TIME_ID, micros

_HASH_OCTETS: Final = 16
# Sorts after all entries of a URL.
_LAST: Final = b"\xff" * (TIME_ID.size + 1)


@dataclass(frozen=True, slots=True)
class Line:
    """A URL that has calls waiting: the key of it, and when the earliest is due."""

    key: bytes
    when: float


@dataclass(frozen=True, slots=True)
class Due:
    """A call that is due, and since when (microseconds)."""

    id: HookId
    when: int


def url_key(url: str) -> bytes:
    return hashlib.blake2b(url.encode("utf-8", "surrogatepass"), digest_size=_HASH_OCTETS).digest()


def entry(hook: Hook) -> bytes:
    """Return the key of a hook's entry."""
    return url_key(hook.url) + TIME_ID.pack(micros(hook.next_attempt), hook.id)


def lines(dbs: Databases, after: bytes, limit: int) -> list[Line]:
    """Return URLs in the order of their keys, at most `limit`, from the one after `after`."""
    found: list[Line] = []
    with dbs.env.begin() as txn, txn.cursor(db=dbs.hook_due) as cursor:
        there = cursor.set_range(after + _LAST) if after else cursor.first()
        while there and len(found) < limit:
            key = bytes(cursor.key())
            when, _ = TIME_ID.unpack_from(key, _HASH_OCTETS)
            found.append(Line(key[:_HASH_OCTETS], when / 1e6))
            there = cursor.set_range(found[-1].key + _LAST)
    return found


def due(dbs: Databases, key: bytes, now: float, limit: int) -> list[Due]:
    """Return what is due of one URL, earliest first, at most `limit`."""
    end = micros(now)
    found: list[Due] = []
    with dbs.env.begin() as txn, txn.cursor(db=dbs.hook_due) as cursor:
        there = cursor.set_range(key)
        while there and len(found) < limit and bytes(cursor.key()).startswith(key):
            when, number = TIME_ID.unpack_from(cursor.key(), _HASH_OCTETS)
            if when > end:
                break
            found.append(Due(HookId(number), when))
            there = cursor.next()
    return found
