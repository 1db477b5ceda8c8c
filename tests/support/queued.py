"""What a server has in its queue, read from its index beside it."""

from __future__ import annotations

import contextlib
from collections.abc import Iterator
from pathlib import Path

import lmdb


@contextlib.contextmanager
def _reading(directory: Path, database: str) -> Iterator[tuple[lmdb.Transaction, lmdb._Database]]:
    env = lmdb.open(str(directory / "index"), readonly=True, max_dbs=1)
    try:
        db = env.open_db(database.encode(), create=False)
        with env.begin(db=db) as txn:
            yield txn, db
    finally:
        env.close()


def count(directory: Path) -> int:
    """Return how many messages wait, held ones too, in the data directory's queue."""
    with _reading(directory, "queue") as (txn, db):
        entries: int = txn.stat(db)["entries"]
        return entries


def contents(directory: Path) -> list[bytes]:
    """Return the contents that are kept in the index, and those that are files."""
    with _reading(directory, "queue_content") as (txn, db), txn.cursor(db=db) as cursor:
        found = [bytes(value) for value in cursor.iternext(keys=False)]
    for path in (directory / "queue").iterdir():
        with contextlib.suppress(FileNotFoundError):
            found.append(path.read_bytes())
    return found
