"""How much mail came in for an account from each network lately: what rate limits are made of.

Two numbers a day and two a minute for each network, so the cost does not depend on how much there
was. "The past minute" and "the past day" are estimated from the present and the previous fixed
window: what came in the previous one counts for the part that still lies within reach.
"""

from __future__ import annotations

import struct
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING, Final

from mox.store.records import KEY_A, KEY_AM

if TYPE_CHECKING:
    import lmdb

    from mox.store.committer import WriteTxn
    from mox.store.env import Databases

MINUTE_S: Final = 60
DAY_S: Final = 86400

# Messages and octets of the day; number of the last minute with arrivals, its messages and octets,
# and those of the minute before it.
COUNTERS: Final = struct.Struct(">IQIIQIQ")
_NONE: Final = COUNTERS.pack(0, 0, 0, 0, 0, 0, 0)

Lookup = Callable[[bytes], bytes | None]


@dataclass(frozen=True, slots=True)
class Rate:
    """Messages and octets (wire form) that came within the past minute and day."""

    minute_messages: float
    minute_octets: float
    day_messages: float
    day_octets: float


def count(
    write: WriteTxn, account_id: int, networks: Sequence[bytes], octets: int, now: int
) -> None:
    """Count one message for each of its networks."""
    db = write.dbs.arrivals
    minute = now // MINUTE_S
    for network in networks:
        key = _key(account_id, now // DAY_S, network)
        value = write.get(db, key) or _NONE
        messages, size, last, own, own_size, previous, previous_size = COUNTERS.unpack(value)
        if last != minute:
            previous, previous_size = (own, own_size) if last == minute - 1 else (0, 0)
            own = own_size = 0
        write.put(
            db,
            key,
            COUNTERS.pack(
                messages + 1,
                size + octets,
                minute,
                own + 1,
                own_size + octets,
                previous,
                previous_size,
            ),
        )


def rate(lookup: Lookup, account_id: int, network: bytes, now: int) -> Rate:
    """Return what came from a network."""
    day, into_day = divmod(now, DAY_S)
    today = COUNTERS.unpack(lookup(_key(account_id, day, network)) or _NONE)
    yesterday = COUNTERS.unpack(lookup(_key(account_id, day - 1, network)) or _NONE)
    left = 1 - into_day / DAY_S
    # Across midnight the minute before may stand in the record of the day before.
    minute, into_minute = divmod(now, MINUTE_S)
    own = previous = (0, 0)
    for counters in (yesterday, today):
        _, _, last, *pairs = counters
        if last == minute:
            own = (pairs[0], pairs[1])
            previous = (previous[0] + pairs[2], previous[1] + pairs[3])
        elif last == minute - 1:
            previous = (previous[0] + pairs[0], previous[1] + pairs[1])
    minute_left = 1 - into_minute / MINUTE_S
    return Rate(
        own[0] + previous[0] * minute_left,
        own[1] + previous[1] * minute_left,
        today[0] + yesterday[0] * left,
        today[1] + yesterday[1] * left,
    )


def has_before(txn: lmdb.Transaction, dbs: Databases, account_id: int, now: int) -> bool:
    """Whether there are counters of days that are out of reach."""
    end = KEY_AM.pack(account_id, now // DAY_S - 1)
    with txn.cursor(db=dbs.arrivals) as cursor:
        return cursor.set_range(end[:4]) and end[:4] <= bytes(cursor.key()) < end


def forget_before(account_id: int, now: int, most: int, write: WriteTxn) -> int:
    """Drop counters of days that are out of reach, at most `most`; returns how many."""
    end = KEY_AM.pack(account_id, now // DAY_S - 1)
    with write.txn.cursor(db=write.dbs.arrivals) as cursor:
        cursor.set_range(KEY_A.pack(account_id))
        for done in range(most):
            key = bytes(cursor.key())
            if key[:4] != end[:4] or key >= end:
                return done
            cursor.delete()
    return most


def _key(account_id: int, day: int, network: bytes) -> bytes:
    return KEY_AM.pack(account_id, day) + network
