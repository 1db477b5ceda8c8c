"""Counts of open connections per network, kept apart by worker slot.

A worker that crashed cannot count down; the one that takes its slot clears what it left.
A record's key is group, network, slot; its value a count.
"""

from __future__ import annotations

import struct

import lmdb

from mox.serving.windows import count_of, set_count

_SLOT = struct.Struct(">I")


def _network_prefix(group: str, network: bytes) -> bytes:
    return b"o" + group.encode("ascii") + b"\0" + network


def open_of(txn: lmdb.Transaction, group: str, network: bytes) -> int:
    """Return how many connections of a group are open from a network, over all slots."""
    prefix = _network_prefix(group, network)
    total = 0
    with txn.cursor() as cursor:
        found = cursor.set_range(prefix)
        while found and (key := bytes(cursor.key())).startswith(prefix):
            total += count_of(txn, key)
            found = cursor.next()
    return total


def change_open(txn: lmdb.Transaction, group: str, network: bytes, slot: int, by: int) -> None:
    """Count connections of one slot up or down."""
    key = _network_prefix(group, network) + _SLOT.pack(slot)
    set_count(txn, key, count_of(txn, key) + by)


def clear_slot(txn: lmdb.Transaction, slot: int) -> None:
    """Forget all that a worker slot had open."""
    suffix = _SLOT.pack(slot)
    with txn.cursor() as cursor:
        found = cursor.set_range(b"o")
        while found and (key := bytes(cursor.key())).startswith(b"o"):
            if key.endswith(suffix):
                # Deleting moves the cursor to the next record.
                cursor.delete()
                found = bool(cursor.key())
            else:
                found = cursor.next()
