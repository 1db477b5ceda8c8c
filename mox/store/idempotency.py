"""Answers to requests that a client marked with a key, so that repeating one does nothing again.

The answer is written in the transaction of what the request did: however a repetition races with
the first try, on whatever worker and across a crash, one of them acts and both get its answer.
"""

from __future__ import annotations

import hashlib
from typing import TYPE_CHECKING, Final

import msgspec

from mox.store.errors import ErrorKind, StoreError
from mox.store.outgoing_due import micros
from mox.store.records import KEY_A, KEY_SEQ

if TYPE_CHECKING:
    from mox.store import Store
    from mox.store.committer import WriteTxn

# Each new answer removes so many that are too old.
_PRUNE: Final = 4
_DIGEST_OCTETS: Final = 16


class Answer(msgspec.Struct, frozen=True, kw_only=True, array_like=True):
    """What the first request with a key got. `digest` is of that request."""

    digest: bytes
    body: bytes
    is_error: bool = False
    until: float  # seconds since the epoch


class Repeated(StoreError):
    """A request with the same key was first; nothing was done for this one."""

    def __init__(self, answer: Answer) -> None:
        super().__init__(ErrorKind.EXISTS, "the request was repeated")
        self.answer = answer


_encode: Final = msgspec.msgpack.Encoder().encode
_decode: Final = msgspec.msgpack.Decoder(Answer).decode


def find(store: Store, account_id: int, key: str, now: float) -> Answer | None:
    """Return the answer that a key has; None for a new key."""
    with store.dbs.env.begin() as txn:
        value = txn.get(_key(account_id, key), db=store.dbs.idempotency)
    return _live(value, now)


def refuse_repetition(txn: WriteTxn, account_id: int, key: str, now: float) -> None:
    """Raise Repeated when the key has an answer already."""
    answer = _live(txn.get(txn.dbs.idempotency, _key(account_id, key)), now)
    if answer is not None:
        raise Repeated(answer)


def keep(txn: WriteTxn, account_id: int, key: str, answer: Answer, now: float) -> None:
    """Remember an answer; in the place of the key's last one, if it has one."""
    own = _key(account_id, key)
    txn.put(txn.dbs.idempotency, own, _encode(answer))
    txn.put(txn.dbs.idempotency_until, KEY_SEQ.pack(micros(answer.until)) + own, b"")
    _prune(txn, now)


def _live(value: bytes | None, now: float) -> Answer | None:
    answer = None if value is None else _decode(value)
    return answer if answer is not None and answer.until > now else None


def _key(account_id: int, key: str) -> bytes:
    digest = hashlib.blake2b(key.encode(), digest_size=_DIGEST_OCTETS).digest()
    return KEY_A.pack(account_id) + digest


def _prune(txn: WriteTxn, now: float) -> None:
    limit = KEY_SEQ.pack(micros(now))
    with txn.txn.cursor(db=txn.dbs.idempotency_until) as cursor:
        for _ in range(_PRUNE):
            if not cursor.first() or (entry := bytes(cursor.key())) >= limit:
                return
            cursor.delete()
            # The key may have been used again since.
            if _live(txn.get(txn.dbs.idempotency, entry[KEY_SEQ.size :]), now) is None:
                txn.delete(txn.dbs.idempotency, entry[KEY_SEQ.size :])
