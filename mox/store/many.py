"""Many records of one database in a write transaction: a tenth of the calls, half the time."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from typing import TYPE_CHECKING, cast

if TYPE_CHECKING:
    import lmdb

    from mox.store.committer import WriteTxn


def get_many(write: WriteTxn, db: lmdb._Database, keys: Sequence[bytes]) -> dict[bytes, bytes]:
    """The values of those keys that there are."""
    with write.txn.cursor(db=db) as cursor:
        return dict(cast("list[tuple[bytes, bytes]]", cursor.getmulti(keys)))


def put_many(write: WriteTxn, db: lmdb._Database, items: Sequence[tuple[bytes, bytes]]) -> None:
    """Put all; fastest in the order of the keys."""
    with write.txn.cursor(db=db) as cursor:
        cursor.putmulti(items)


def delete_many(write: WriteTxn, db: lmdb._Database, keys: Iterable[bytes]) -> None:
    """Delete those that there are."""
    delete = write.txn.delete
    for key in keys:
        delete(key, db=db)


def has_any(write: WriteTxn, db: lmdb._Database, prefix: bytes) -> bool:
    """Whether a key begins with `prefix`."""
    with write.txn.cursor(db=db) as cursor:
        return cursor.set_range(prefix) and bytes(cursor.key()).startswith(prefix)
