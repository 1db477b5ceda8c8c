"""DMARC evaluations of incoming mail, kept until the domain's owner gets a report about them.

They are sorted by policy domain, then time. Each policy domain has a head with what is counted.
Evaluations that were lost with a crash are missing in a report, so nothing waits for these writes.
"""

from __future__ import annotations

import hashlib
import struct
from collections.abc import Collection, Iterator, Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING, Final

import lmdb
import msgspec
from msgspec import structs

from mox.mailauth.dmarcevaluation import DMARCEvaluation
from mox.store.env import Databases
from mox.store.reading import range_items

if TYPE_CHECKING:
    from mox.store.committer import WriteTxn
    from mox.store.store import Store

# What could not be reported for so long will not be reported any more.
KEEP_S: Final = 48 * 3600
# A sender needs no mailbox here to have evaluations kept, so all of it is bounded. Further ones
# are missing in reports.
MAX_OF_DOMAIN: Final = 10_000
MAX_RECORDS: Final = 1_000_000
MAX_OCTETS: Final = 8192
# Most evaluations that one transaction of `expire` removes.
EXPIRE_BATCH: Final = 1000

_HASH_OCTETS: Final = 16
# Hash of the policy domain, time, counter, hours between reports, whether it is optional. What
# decides about a report is in the key, so that finding what is due reads no values.
_KEY: Final = struct.Struct(">16sQIBB")
_COUNTER_END: Final = 1 << 32


class Head(msgspec.Struct, frozen=True, array_like=True):
    """What is known of a policy domain (Unicode). Its key is the hash alone, before the others."""

    policy_domain: str
    kept: int = 0
    counter: int = 0


@dataclass(frozen=True, slots=True)
class Due:
    """A policy domain with evaluations due. has_reason: not all that it has are optional."""

    policy_domain: str
    has_reason: bool


_encode: Final = msgspec.msgpack.Encoder().encode
_decode: Final = msgspec.msgpack.Decoder(DMARCEvaluation).decode
_decode_head: Final = msgspec.msgpack.Decoder(Head).decode


def add(txn: WriteTxn, evaluations: Sequence[DMARCEvaluation]) -> int:
    """Add evaluations, as far as there is room for them; returns how many were added."""
    return sum(_add(txn, evaluation) for evaluation in evaluations)


def _add(txn: WriteTxn, evaluation: DMARCEvaluation) -> bool:
    prefix = _hash(evaluation.policy_domain)
    value = txn.get(txn.dbs.dmarc_evaluation, prefix)
    head = Head(evaluation.policy_domain) if value is None else _decode_head(value)
    record = _encode(evaluation)
    if head.kept >= MAX_OF_DOMAIN or len(record) > MAX_OCTETS:
        return False
    if txn.txn.stat(txn.dbs.dmarc_evaluation)["entries"] >= MAX_RECORDS:
        return False
    key = _KEY.pack(
        prefix,
        max(0, evaluation.when),
        head.counter,
        evaluation.interval_hours,
        evaluation.optional,
    )
    txn.put(txn.dbs.dmarc_evaluation, key, record)
    counter = (head.counter + 1) % _COUNTER_END
    changed = structs.replace(head, kept=head.kept + 1, counter=counter)
    txn.put(txn.dbs.dmarc_evaluation, prefix, _encode(changed))
    return True


def of_domain(store: Store, policy_domain: str, before: int) -> list[DMARCEvaluation]:
    """Return all evaluations for a policy domain from before a time, the oldest first."""
    prefix, end = _hash(policy_domain), _end(policy_domain, before)
    found: list[DMARCEvaluation] = []
    with store.dbs.env.begin() as txn:
        for key, value in range_items(txn, store.dbs.dmarc_evaluation, prefix):
            if key >= end:
                break
            if len(key) == _KEY.size:
                found.append(_decode(value))
    return found


def domains_due(store: Store, before: int, intervals: Collection[int]) -> list[Due]:
    """Return policy domains with an evaluation from before a time that has one of `intervals`."""
    found: list[Due] = []
    with store.dbs.env.begin() as txn:
        for head in _heads(txn, store.dbs):
            keys = [_KEY.unpack(key) for key in _keys(txn, store.dbs, head.policy_domain, before)]
            if any(interval in intervals for _, _, _, interval, _ in keys):
                has_reason = not all(optional for *_, optional in keys)
                found.append(Due(head.policy_domain, has_reason))
    return sorted(found, key=lambda due: due.policy_domain)


def delete(txn: WriteTxn, policy_domain: str, before: int, most: int = MAX_OF_DOMAIN) -> int:
    """Remove the evaluations for a policy domain from before a time; returns how many."""
    keys = _keys(txn.txn, txn.dbs, policy_domain, before, most)
    for key in keys:
        txn.delete(txn.dbs.dmarc_evaluation, key)
    prefix = _hash(policy_domain)
    value = txn.get(txn.dbs.dmarc_evaluation, prefix) if keys else None
    if value is None:
        return 0
    head = _decode_head(value)
    kept = head.kept - len(keys)
    if kept > 0:
        changed = structs.replace(head, kept=kept)
        txn.put(txn.dbs.dmarc_evaluation, prefix, _encode(changed))
    else:
        txn.delete(txn.dbs.dmarc_evaluation, prefix)
    return len(keys)


def expire(txn: WriteTxn, now: float) -> int:
    """Remove what is too old to be reported, at most EXPIRE_BATCH; returns how many."""
    removed = 0
    for head in _heads(txn.txn, txn.dbs):
        removed += delete(txn, head.policy_domain, int(now - KEEP_S), EXPIRE_BATCH - removed)
        if removed == EXPIRE_BATCH:
            break
    return removed


def _heads(txn: lmdb.Transaction, dbs: Databases) -> Iterator[Head]:
    """Yield the heads of all policy domains. Each is looked up anew: what went may be removed."""
    prefix = b""
    while True:
        with txn.cursor(db=dbs.dmarc_evaluation) as cursor:
            if not cursor.set_range(prefix):
                return
            prefix, value = bytes(cursor.key()), bytes(cursor.value())
        yield _decode_head(value)
        # Past all keys that begin with the hash.
        prefix += b"\xff" * (_KEY.size - _HASH_OCTETS + 1)


def _keys(
    txn: lmdb.Transaction, dbs: Databases, policy_domain: str, before: int, most: int | None = None
) -> list[bytes]:
    """Return the keys of evaluations from before a time, the oldest first."""
    keys: list[bytes] = []
    end = _end(policy_domain, before)
    with txn.cursor(db=dbs.dmarc_evaluation) as cursor:
        # The first key after that of the head.
        ok = cursor.set_range(_hash(policy_domain) + b"\0")
        while ok and len(keys) != most and (key := bytes(cursor.key())) < end:
            keys.append(key)
            ok = cursor.next()
    return keys


def _end(policy_domain: str, before: int) -> bytes:
    return _KEY.pack(_hash(policy_domain), max(0, before), 0, 0, 0)


def _hash(policy_domain: str) -> bytes:
    # A name in Unicode may be longer than a key.
    return hashlib.blake2b(policy_domain.encode(), digest_size=_HASH_OCTETS).digest()
