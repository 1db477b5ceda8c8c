"""The durable queue of outgoing mail: what puts messages in, and what the queue process does.

One record per recipient (outgoing_records); one file per submission below queue/, shared by its
recipients and removed with the last of them. Each operation is one index transaction, so that a
crash leaves a message either as it was before or as it is after. Held messages are in `queue`
but not in `queue_due`.
"""

from __future__ import annotations

import contextlib
import itertools
import os
import struct
import time
from collections.abc import Callable, Collection, Iterable, Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Final

import lmdb
import msgspec

from mox.store.errors import ErrorKind, StoreError
from mox.store.outgoing_records import (
    DELIVERING,
    AttemptResult,
    QueueId,
    QueueMessage,
    RetiredMessage,
)

if TYPE_CHECKING:
    from mox.store.account import Store
    from mox.store.committer import WriteTxn
    from mox.store.durable import FileWrite

_ID: Final = struct.Struct(">Q")
_TIME_ID: Final = struct.Struct(">QQ")
_LAST_ID_KEY: Final = b"queue_id"
# Stands for the queue among the accounts that a commit touched.
QUEUE_BELL: Final = 0
# A file without record that is older than this was left by a crash.
ORPHAN_AGE_S: Final = 6 * 3600.0
# Most retired records that one transaction removes.
EXPIRE_BATCH: Final = 1000

_encode = msgspec.msgpack.Encoder().encode
_decode = msgspec.msgpack.Decoder(QueueMessage).decode
_decode_retired = msgspec.msgpack.Decoder(RetiredMessage).decode
_file_numbers = itertools.count()


class FromIdTaken(StoreError):
    """The chosen id in the envelope sender belongs to another message."""

    def __init__(self, from_id: str) -> None:
        super().__init__(ErrorKind.EXISTS, "fromid is in use by another message", from_id)


@dataclass(frozen=True, slots=True)
class Outcome:
    """How an attempt for one message ended.

    Not `done`: it stays for `next_attempt`. Done: it leaves the queue; a record is kept until
    `keep_until` unless that is 0.
    """

    id: QueueId
    result: AttemptResult
    done: bool
    next_attempt: float = 0.0
    keep_until: float = 0.0
    dialed_ips: dict[str, tuple[str, ...]] | None = None  # None: as before


class Outgoing:
    """The queue as seen from one process. All methods that change it return once it is durable."""

    def __init__(self, store: Store) -> None:
        self._store = store
        self._dbs = store.dbs
        self.directory = Path(store.data_dir) / "queue"
        self.directory.mkdir(mode=0o700, exist_ok=True)

    # ---- putting in

    def new_file(self) -> str:
        """Return a name for the file of one submission."""
        return f"{time.time_ns() // 1000:x}.{os.getpid():x}_{next(_file_numbers):x}"

    def path(self, file: str) -> Path:
        return self.directory / file

    def add(
        self,
        messages: Sequence[QueueMessage],
        files: Sequence[FileWrite],
        check: Callable[[WriteTxn], None] | None = None,
    ) -> list[QueueId]:
        """Put all messages of one submission in, or none; returns their ids, ascending.

        `files` makes durable what the messages call their `file`. `check` runs first in the same
        transaction, may write, and refuses everything by raising.
        """

        def run(txn: WriteTxn) -> list[QueueId]:
            if check is not None:
                check(txn)
            return _add(txn, messages)

        return self._store.write(run, files=files)

    # ---- the queue process

    def due(self, now: float, limit: int, busy: Collection[str] = ()) -> list[QueueMessage]:
        """Return the earliest due messages, at most `limit`, one per next hop, none to `busy`."""
        seen = set(busy)
        found: list[bytes] = []
        end = _micros(now)
        with self._dbs.env.begin() as txn:
            for key, hop in txn.cursor(db=self._dbs.queue_due):
                when, _ = _TIME_ID.unpack(key)
                if when > end or len(found) == limit:
                    break
                domain = hop.decode()
                if domain not in seen:
                    seen.add(domain)
                    record = txn.get(key[8:], db=self._dbs.queue)
                    assert record is not None, "queue_due points to a live record"
                    found.append(record)
        return [_decode(record) for record in found]

    def next_due(self, busy: Collection[str] = ()) -> float | None:
        """Return when the earliest message to a next hop that is not `busy` is due."""
        with self._dbs.env.begin() as txn:
            for key, hop in txn.cursor(db=self._dbs.queue_due):
                if not busy or hop.decode() not in busy:
                    when: int = _TIME_ID.unpack(key)[0]
                    return when / 1e6
        return None

    def siblings(self, msg: QueueMessage) -> list[QueueMessage]:
        """Return the other live messages of the same submission that share its sender."""
        if not msg.base_id:
            return []
        found: list[QueueMessage] = []
        with self._dbs.env.begin() as txn, txn.cursor(db=self._dbs.queue) as cursor:
            cursor.set_range(_ID.pack(msg.base_id))
            for value in cursor.iternext(keys=False):
                other = _decode(value)
                if other.base_id != msg.base_id:
                    break
                if other.id != msg.id:
                    found.append(other)
        return found

    def start(
        self, messages: Iterable[QueueMessage], now: float, next_attempt: float
    ) -> list[QueueMessage]:
        """Record that an attempt begins, before it does: a crash must not retry at once.

        Returns the records as they are now. Those that were removed, held or rescheduled since
        they were read are left alone and left out.
        """
        expected = list(messages)

        def run(txn: WriteTxn) -> list[QueueMessage]:
            started = []
            for old in expected:
                msg = _live(txn, old.id)
                if msg is None or msg.hold or msg.next_attempt != old.next_attempt:
                    continue
                new = msgspec.structs.replace(
                    msg,
                    attempts=msg.attempts + 1,
                    last_attempt=now,
                    next_attempt=next_attempt,
                    results=(*msg.results, AttemptResult(now, error=DELIVERING)),
                )
                _replace(txn, msg, new)
                started.append(new)
            return started

        return self._store.write(run)

    def finish(self, outcomes: Sequence[Outcome]) -> None:
        """Record how attempts ended, and take what is done out of the queue."""

        def run(txn: WriteTxn) -> set[str]:
            unused: set[str] = set()
            for outcome in outcomes:
                msg = _live(txn, outcome.id)
                if msg is not None:  # else the admin dropped it while it was delivered
                    unused |= _finish(txn, msg, outcome)
            return unused

        self._remove_files(self._store.write(run))

    # ---- administration

    def get(self, id: QueueId) -> QueueMessage | None:
        with self._dbs.env.begin() as txn:
            value = txn.get(_ID.pack(id), db=self._dbs.queue)
        return None if value is None else _decode(value)

    def count(self) -> int:
        with self._dbs.env.begin() as txn:
            entries: int = txn.stat(self._dbs.queue)["entries"]
        return entries

    def messages(self, after: int = 0, limit: int = 0) -> list[QueueMessage]:
        """Return live messages with ids above `after`, ascending; all when `limit` is 0."""
        return [_decode(value) for value in self._values(self._dbs.queue, after, limit)]

    def update(
        self, ids: Iterable[QueueId], change: Callable[[QueueMessage], QueueMessage]
    ) -> list[QueueMessage]:
        """Replace the records of `ids` that exist; returns those that `change` made different.

        `change` may set hold, next_attempt, transport, require_tls and results.
        """
        wanted = list(ids)

        def run(txn: WriteTxn) -> list[QueueMessage]:
            changed = []
            for id in wanted:
                msg = _live(txn, id)
                if msg is None:
                    continue
                new = change(msg)
                if new != msg:
                    _replace(txn, msg, new)
                    changed.append(new)
            return changed

        return self._store.write(run)

    def read(self, msg: QueueMessage) -> bytes:
        """Return the octets of a message's file in stored form, without the record's prefix."""
        try:
            return self.path(msg.file).read_bytes()
        except OSError as e:
            detail = f"queue file of message {msg.id}: {e}"
            raise StoreError(ErrorKind.INTERNAL, "cannot read queued message", detail) from e

    def wire(self, msg: QueueMessage) -> bytes:
        """Return the whole message as it goes to the next hop: prefix and file, CRLF lines."""
        return msg.prefix + self.read(msg).replace(b"\n", b"\r\n")

    # ---- retired messages

    def retired(self, after: int = 0, limit: int = 0) -> list[RetiredMessage]:
        """Return retired messages with ids above `after`, ascending; all when `limit` is 0."""
        return [_decode_retired(value) for value in self._values(self._dbs.retired, after, limit)]

    def get_retired(self, id: QueueId) -> RetiredMessage | None:
        with self._dbs.env.begin() as txn:
            value = txn.get(_ID.pack(id), db=self._dbs.retired)
        return None if value is None else _decode_retired(value)

    def by_from_id(self, from_id: str) -> QueueMessage | RetiredMessage | None:
        """Return the message, live or retired, whose envelope sender has this id."""
        with self._dbs.env.begin() as txn:
            key = txn.get(_from_id_key(from_id), db=self._dbs.queue_from_id)
            if key is None:
                return None
            live = txn.get(key, db=self._dbs.queue)
            if live is not None:
                return _decode(live)
            value = txn.get(key, db=self._dbs.retired)
        return None if value is None else _decode_retired(value)

    def add_retired_result(self, id: QueueId, result: AttemptResult, now: float) -> bool:
        """Add what a later DSN told about a retired message; false when it is not kept."""

        def run(txn: WriteTxn) -> bool:
            key = _ID.pack(id)
            value = txn.get(txn.dbs.retired, key)
            if value is None:
                return False
            old = _decode_retired(value)
            new = msgspec.structs.replace(old, results=(*old.results, result), last_activity=now)
            txn.put(txn.dbs.retired, key, _encode(new))
            return True

        return self._store.write(run)

    def expire(self, now: float) -> int:
        """Remove retired messages whose time to be kept is over; returns how many."""
        total = 0
        while True:
            removed = self._store.write(lambda txn: _expire(txn, _micros(now)))
            total += removed
            if removed < EXPIRE_BATCH:
                return total

    def sweep(self, now: float) -> int:
        """Remove old files that no record points to (a crash left them); returns how many."""
        orphans = []
        for entry in os.scandir(self.directory):
            with contextlib.suppress(FileNotFoundError):
                if now - entry.stat().st_mtime > ORPHAN_AGE_S and not self._is_used(entry.name):
                    orphans.append(entry.name)
        self._remove_files(orphans)
        return len(orphans)

    def _is_used(self, file: str) -> bool:
        with self._dbs.env.begin() as txn, txn.cursor(db=self._dbs.queue_file) as cursor:
            return _has_file(cursor, file)

    def _values(self, db: lmdb._Database, after: int, limit: int) -> Iterator[bytes]:
        with self._dbs.env.begin() as txn, txn.cursor(db=db) as cursor:
            cursor.set_range(_ID.pack(after + 1))
            values = cursor.iternext(keys=False)
            yield from (itertools.islice(values, limit) if limit else values)

    def _remove_files(self, files: Iterable[str]) -> None:
        for file in files:
            with contextlib.suppress(FileNotFoundError):
                self.path(file).unlink()


# ---- inside transactions


def _micros(seconds: float) -> int:
    return max(0, round(seconds * 1e6))


def _due_key(msg: QueueMessage) -> bytes:
    return _TIME_ID.pack(_micros(msg.next_attempt), msg.id)


def _from_id_key(from_id: str) -> bytes:
    return from_id.encode()[:500]


def _file_key(msg: QueueMessage) -> bytes:
    return msg.file.encode() + b"\0" + _ID.pack(msg.id)


def _has_file(cursor: lmdb.Cursor, file: str) -> bool:
    prefix = file.encode() + b"\0"
    return cursor.set_range(prefix) and cursor.key().startswith(prefix)


def _live(txn: WriteTxn, id: QueueId) -> QueueMessage | None:
    value = txn.get(txn.dbs.queue, _ID.pack(id))
    return None if value is None else _decode(value)


def _add(txn: WriteTxn, messages: Sequence[QueueMessage]) -> list[QueueId]:
    dbs = txn.dbs
    last = txn.get(dbs.meta, _LAST_ID_KEY)
    first = (_ID.unpack(last)[0] if last else 0) + 1
    same = len({(m.sender, m.prefix) for m in messages}) == 1
    base = QueueId(first if same and len(messages) > 1 else 0)
    ids = [QueueId(first + i) for i in range(len(messages))]
    for id, message in zip(ids, messages, strict=True):
        msg = msgspec.structs.replace(message, id=id, base_id=base)
        if msg.from_id:
            _claim_from_id(txn, msg)
        txn.put(dbs.queue, _ID.pack(id), _encode(msg))
        txn.put(dbs.queue_file, _file_key(msg), b"")
        if not msg.hold:
            txn.put(dbs.queue_due, _due_key(msg), msg.recipient.domain.encode())
    txn.put(dbs.meta, _LAST_ID_KEY, _ID.pack(ids[-1]))
    txn.touched.add(QUEUE_BELL)
    return ids


def _claim_from_id(txn: WriteTxn, msg: QueueMessage) -> None:
    key = _from_id_key(msg.from_id)
    if txn.get(txn.dbs.queue_from_id, key) is not None:
        raise FromIdTaken(msg.from_id)
    txn.put(txn.dbs.queue_from_id, key, _ID.pack(msg.id))


def _replace(txn: WriteTxn, old: QueueMessage, new: QueueMessage) -> None:
    dbs = txn.dbs
    if not old.hold:
        txn.delete(dbs.queue_due, _due_key(old))
    txn.put(dbs.queue, _ID.pack(new.id), _encode(new))
    if not new.hold:
        txn.put(dbs.queue_due, _due_key(new), new.recipient.domain.encode())
    txn.touched.add(QUEUE_BELL)


def _finish(txn: WriteTxn, msg: QueueMessage, outcome: Outcome) -> set[str]:
    """Apply an outcome; returns the file if nothing uses it any more."""
    earlier = msg.results
    if earlier and earlier[-1].error == DELIVERING:
        earlier = earlier[:-1]
    changes: dict[str, object] = {"results": (*earlier, outcome.result)}
    if outcome.dialed_ips is not None:
        changes["dialed_ips"] = outcome.dialed_ips
    if not outcome.done:
        changes["next_attempt"] = outcome.next_attempt
    new = msgspec.structs.replace(msg, **changes)
    if not outcome.done:
        _replace(txn, msg, new)
        return set()
    return _retire(txn, new, outcome)


def _retire(txn: WriteTxn, msg: QueueMessage, outcome: Outcome) -> set[str]:
    dbs, key = txn.dbs, _ID.pack(msg.id)
    txn.delete(dbs.queue, key)
    txn.delete(dbs.queue_due, _due_key(msg))
    txn.delete(dbs.queue_file, _file_key(msg))
    if outcome.keep_until:
        now = outcome.result.start + outcome.result.duration_s
        retired = RetiredMessage.of(
            msg, success=outcome.result.success, now=now, keep_until=outcome.keep_until
        )
        txn.put(dbs.retired, key, _encode(retired))
        txn.put(dbs.retired_until, _TIME_ID.pack(_micros(outcome.keep_until), msg.id), b"")
    elif msg.from_id:
        txn.delete(dbs.queue_from_id, _from_id_key(msg.from_id))
    txn.touched.add(QUEUE_BELL)
    with txn.txn.cursor(db=dbs.queue_file) as cursor:
        return set() if _has_file(cursor, msg.file) else {msg.file}


def _expire(txn: WriteTxn, now: int) -> int:
    dbs = txn.dbs
    keys: list[bytes] = []
    with txn.txn.cursor(db=dbs.retired_until) as cursor:
        for key in cursor.iternext(values=False):
            if _TIME_ID.unpack(key)[0] > now or len(keys) == EXPIRE_BATCH:
                break
            keys.append(bytes(key))
    for key in keys:
        value = txn.get(dbs.retired, key[8:])
        if value is not None and (from_id := _decode_retired(value).from_id):
            txn.delete(dbs.queue_from_id, _from_id_key(from_id))
        txn.delete(dbs.retired, key[8:])
        txn.delete(dbs.retired_until, key)
    return len(keys)
