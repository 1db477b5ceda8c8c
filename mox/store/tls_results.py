"""How TLS to other servers went, by day, for the reports that are sent about it (RFC 8460).

One record per UTC day, policy domain and domain of the recipients. Counts of sessions that were
lost with a crash are missing in a report, so nothing waits for these writes.
"""

from __future__ import annotations

import hashlib
import time
from typing import TYPE_CHECKING, Final

import msgspec
from msgspec import structs

from mox.store.reading import lookup, range_items
from mox.tlspolicy.collect import PolicyResults
from mox.tlspolicy.report import TLSResult, merged

if TYPE_CHECKING:
    from mox.store.committer import WriteTxn
    from mox.store.store import Store

# A report is about yesterday; days that are older than this will not be reported any more.
KEEP_DAYS: Final = 3
# Policies of one domain on one day that are kept apart.
MAX_POLICIES: Final = 20
# Most records that one transaction removes.
EXPIRE_BATCH: Final = 1000


class TLSResultRecord(msgspec.Struct, frozen=True, kw_only=True, array_like=True):
    """Domains are A-labels; `day` is YYYYMMDD in UTC. Times are seconds since the epoch.

    is_host: the policy domain is a mail host. send: there is something that is no report of ours,
    so that a report is due.
    """

    day: str
    policy_domain: str
    recipient_domain: str
    created: float
    updated: float
    is_host: bool
    send: bool
    results: tuple[TLSResult, ...]


_encode: Final = msgspec.msgpack.Encoder().encode
_decode: Final = msgspec.msgpack.Decoder(TLSResultRecord).decode


def day_of(now: float) -> str:
    """Return the UTC day of a time, as in records."""
    return time.strftime("%Y%m%d", time.gmtime(now))


def add(txn: WriteTxn, recipient_domain: str, found: PolicyResults, now: float, send: bool) -> None:
    """Add the results of an attempt to those of the day."""
    day = day_of(now)
    key = _key(day, found.policy_domain, recipient_domain)
    value = txn.get(txn.dbs.tls_result, key)
    if value is None:
        record = TLSResultRecord(
            day=day,
            policy_domain=found.policy_domain,
            recipient_domain=recipient_domain,
            created=now,
            updated=now,
            is_host=found.is_host,
            send=send,
            results=found.results,
        )
    else:
        earlier = _decode(value)
        record = structs.replace(
            earlier,
            updated=now,
            send=earlier.send or send,
            results=merged((*earlier.results, *found.results))[:MAX_POLICIES],
        )
    txn.put(txn.dbs.tls_result, key, _encode(record))


def of_day(store: Store, day: str) -> list[TLSResultRecord]:
    """Return all records of a day, "" for those of all days, the oldest first."""
    with store.dbs.env.begin() as txn:
        return [_decode(value) for _, value in range_items(txn, store.dbs.tls_result, day.encode())]


def get(
    store: Store, day: str, policy_domain: str, recipient_domain: str
) -> TLSResultRecord | None:
    with store.dbs.env.begin() as txn:
        key = _key(day, policy_domain, recipient_domain)
        value = lookup(txn, store.dbs.tls_result, key)
    return None if value is None else _decode(value)


def delete(txn: WriteTxn, record: TLSResultRecord) -> None:
    key = _key(record.day, record.policy_domain, record.recipient_domain)
    txn.delete(txn.dbs.tls_result, key)


def expire(txn: WriteTxn, now: float) -> int:
    """Remove records of days that are over for good, at most EXPIRE_BATCH; returns how many."""
    oldest = day_of(now - KEEP_DAYS * 86400).encode()
    keys: list[bytes] = []
    with txn.txn.cursor(db=txn.dbs.tls_result) as cursor:
        for key in cursor.iternext(values=False):
            if bytes(key[:8]) >= oldest or len(keys) == EXPIRE_BATCH:
                break
            keys.append(bytes(key))
    for key in keys:
        txn.delete(txn.dbs.tls_result, key)
    return len(keys)


def _key(day: str, policy_domain: str, recipient_domain: str) -> bytes:
    # Two names may together be longer than a key.
    names = f"{policy_domain}\0{recipient_domain}".encode()
    return day.encode() + hashlib.blake2b(names, digest_size=16).digest()
