"""MTA-STS policies of other domains, kept so that nobody can make us forget them.

One record per domain. Readers ask at any time; what changes one is a function of a write
transaction, for `Store.write` and `Store.later_write`.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Final

import msgspec
from msgspec import structs

from mox.store.reading import lookup, range_items
from mox.tlspolicy.stscache import CachedPolicy

if TYPE_CHECKING:
    from mox.store.committer import WriteTxn
    from mox.store.store import Store

_encode: Final = msgspec.msgpack.Encoder().encode
_decode: Final = msgspec.msgpack.Decoder(CachedPolicy).decode


def get(store: Store, domain: str) -> CachedPolicy | None:
    """Return what is kept of a domain (A-labels)."""
    with store.dbs.env.begin() as txn:
        value = lookup(txn, store.dbs.sts_policy, domain.encode())
    return None if value is None else _decode(value)


def all_policies(store: Store) -> list[CachedPolicy]:
    """Return everything that is kept, by domain."""
    with store.dbs.env.begin() as txn:
        return [_decode(value) for _, value in range_items(txn, store.dbs.sts_policy, b"")]


def put(txn: WriteTxn, entry: CachedPolicy) -> None:
    """Keep an entry, unless a newer one has been kept meanwhile."""
    key = entry.domain.encode()
    value = txn.get(txn.dbs.sts_policy, key)
    if value is not None and _decode(value).last_update > entry.last_update:
        return
    txn.put(txn.dbs.sts_policy, key, _encode(entry))


def refreshed(txn: WriteTxn, entry: CachedPolicy) -> None:
    """Keep a refreshed entry with the last use that was noted meanwhile."""
    value = txn.get(txn.dbs.sts_policy, entry.domain.encode())
    if value is not None:
        entry = structs.replace(entry, last_use=max(entry.last_use, _decode(value).last_use))
        put(txn, entry)


def delete(txn: WriteTxn, domain: str) -> None:
    txn.delete(txn.dbs.sts_policy, domain.encode())
