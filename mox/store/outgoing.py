"""The durable queue of outgoing mail: what puts messages in, and what the queue process does.

One record per recipient (outgoing_records); one content per submission, shared by its recipients
and removed with the last of them. Each operation is one index transaction, so that a crash leaves
a message either as it was before or as it is after. What is due is found through the index of
outgoing_due.

A content up to INDEX_OCTETS is kept in the index: a file that is made, synced and soon removed
again costs several times as much. Larger ones are files below queue/.
"""

from __future__ import annotations

import contextlib
import itertools
import os
import time
from collections import deque
from collections.abc import Callable, Container, Iterable, Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Final

import lmdb

from mox.store import outgoing_due, outgoing_txn
from mox.store.durable import FileWrite, space_error
from mox.store.errors import ErrorKind, StoreError
from mox.store.outgoing_due import ID, Bundle, FlowHead, micros
from mox.store.outgoing_records import QueueId, QueueMessage, RetiredMessage
from mox.store.outgoing_txn import (
    EXPIRE_BATCH,
    Feedback,
    FromIdTaken,
    Outcome,
    Start,
    decode,
    decode_retired,
)

if TYPE_CHECKING:
    from mox.store.committer import WriteTxn
    from mox.store.spool import Spool
    from mox.store.store import Store

# Larger contents are files. Stored form, octets; LMDB keeps values in runs of whole pages.
INDEX_OCTETS: Final = 32768
# A file without record that is older than this was left by a crash.
ORPHAN_AGE_S: Final = 6 * 3600.0
# Files are read in pieces of this size.
CHUNK_OCTETS: Final = 1 << 18
_file_numbers = itertools.count()


@dataclass(frozen=True, slots=True)
class Content:
    """The octets of a submission in stored form, not yet in place: for the index, or a file."""

    name: str
    octets: bytes | None
    write: FileWrite | None = None


__all__ = [
    "Bundle",
    "Content",
    "Feedback",
    "FlowHead",
    "FromIdTaken",
    "Outcome",
    "Outgoing",
    "Start",
]


class Outgoing:
    """The queue as seen from one process. All methods that change it return once it is durable."""

    def __init__(self, store: Store) -> None:
        self._store = store
        self.dbs = store.dbs
        self._unused: deque[str] = deque()
        self.directory = store.queue_dir

    # ---- putting in

    def path(self, file: str) -> Path:
        return self.directory / file

    def content(self, spool: Spool) -> Content:
        """Prepare the content of one submission. A large one is written at once, by a thread."""
        name = f"{time.time_ns() // 1000:x}.{os.getpid():x}_{next(_file_numbers):x}"
        if not spool.is_large and len(stored := spool.stored()) <= INDEX_OCTETS:
            return Content(name, bytes(stored))
        final = os.fspath(self.path(name))
        tmp = f"{final}.tmp"
        if not spool.is_large:
            return Content(name, None, FileWrite(tmp, final, [bytes(spool.stored())]))
        spool.finish()
        self._store.pool.apply(_write_durable, (tmp, spool))
        return Content(name, None, FileWrite(tmp, final))

    def add(
        self,
        messages: Sequence[QueueMessage],
        content: Content,
        check: Callable[[WriteTxn], None] | None = None,
        record: Callable[[WriteTxn, list[QueueId]], None] | None = None,
    ) -> list[QueueId]:
        """Put all messages of one submission in, or none; returns their ids, ascending.

        `check` runs first in the same transaction, may write, and refuses all by raising;
        `record` runs last, with the ids.
        """

        def run(txn: WriteTxn) -> list[QueueId]:
            if check is not None:
                check(txn)
            ids = outgoing_txn.add(txn, messages, content.name, content.octets)
            if record is not None:
                record(txn, ids)
            return ids

        return self._store.write(run, files=[content.write] if content.write else ())

    # ---- the queue process

    def flows(self, after: bytes = b"", limit: int = 500) -> list[FlowHead]:
        """Return a slice of the flows that have messages, with the time the first is due."""
        return outgoing_due.heads(self.dbs, after, limit)

    def due(
        self, flow_key: bytes, now: float, limit: int, taken: Container[int] = ()
    ) -> list[Bundle]:
        """Return what is due in a flow, earliest first, without the ids in `taken`."""
        return outgoing_due.due(self.dbs, flow_key, now, limit, taken)

    def record(
        self, outcomes: Sequence[Outcome] = (), starts: Sequence[Start] = (), now: float = 0.0
    ) -> list[QueueMessage]:
        """Record how attempts ended, and those that begin `now`, in one step.

        That an attempt begins is recorded before it does: a crash must not retry at once.
        Messages that are done leave the queue. Returns the records of `starts` as they are now;
        those that were removed, held or rescheduled since they were due are left out.

        Where the store is lazy a crash of the machine, but no other, may undo it within a second
        or so: then what was being delivered is delivered again.
        """

        def run(txn: WriteTxn) -> tuple[set[str], list[QueueMessage]]:
            unused: set[str] = set()
            for outcome in outcomes:
                msg = outgoing_txn.live(txn, outcome.id)
                if msg is not None:  # else the admin dropped it while it was delivered
                    unused |= outgoing_txn.finish(txn, msg, outcome)
            started = [outgoing_txn.start(txn, begun, now) for begun in starts]
            return unused, [msg for msg in started if msg is not None]

        unused, started = self._store.write(run, durable=False)
        if unused:
            # A message must not come back without its file.
            self._store.flush()
            self._remove_files(unused)
        return started

    # ---- administration

    def get(self, id: QueueId) -> QueueMessage | None:
        with self.dbs.env.begin() as txn:
            value = txn.get(ID.pack(id), db=self.dbs.queue)
        return None if value is None else decode(value)

    def count(self) -> int:
        with self.dbs.env.begin() as txn:
            entries: int = txn.stat(self.dbs.queue)["entries"]
        return entries

    def held(self) -> int:
        """Return how many messages are held: those that are never due."""
        with self.dbs.env.begin() as txn:
            entries: int = txn.stat(self.dbs.queue)["entries"]
            due: int = txn.stat(self.dbs.queue_due)["entries"]
        return entries - due

    def messages(self, after: int = 0, limit: int = 0) -> list[QueueMessage]:
        """Return live messages with ids above `after`, ascending; all when `limit` is 0."""
        return [decode(value) for value in self._values(self.dbs.queue, after, limit)]

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
                msg = outgoing_txn.live(txn, id)
                if msg is None:
                    continue
                new = change(msg)
                if new != msg:
                    outgoing_txn.replace(txn, msg, new)
                    txn.touched.add(outgoing_txn.QUEUE_BELL)
                    changed.append(new)
            return changed

        return self._store.write(run)

    def read(self, msg: QueueMessage) -> bytes:
        """Return the octets of a message's content in stored form, without the record's prefix."""
        octets = self._octets(msg)
        if octets is not None:
            return octets
        try:
            return self.path(msg.file).read_bytes()
        except OSError as e:
            raise _unreadable(msg, e) from e

    def _octets(self, msg: QueueMessage) -> bytes | None:
        """Return the content of a message that is kept in the index; None: it is a file."""
        with self.dbs.env.begin() as txn:
            octets: bytes | None = txn.get(msg.file.encode(), db=self.dbs.queue_content)
        return octets

    def wire(self, msg: QueueMessage) -> bytes:
        """Return the whole message as it goes to the next hop: prefix and content, CRLF lines."""
        return b"".join(self.chunks(msg))

    def chunks(self, msg: QueueMessage) -> Iterator[bytes]:
        """Yield the message as it goes to the next hop, the prefix with the first piece.

        The last line is ended, also where BDAT brought it without: DATA can send no other.
        Raises StoreError, before the first piece when the file cannot be opened.
        """
        octets = self._octets(msg)
        if octets is not None:
            end = b"" if octets.endswith(b"\n") or not octets else b"\r\n"
            yield msg.prefix + octets.replace(b"\n", b"\r\n") + end
            return
        yield from self._file_chunks(msg)

    def _file_chunks(self, msg: QueueMessage) -> Iterator[bytes]:
        head, stored, is_end = msg.prefix, b"\n", False
        try:
            with open(self.path(msg.file), "rb", buffering=0) as file:
                while not is_end:
                    piece = file.read(CHUNK_OCTETS)
                    is_end = len(piece) < CHUNK_OCTETS
                    if piece:
                        yield head + piece.replace(b"\n", b"\r\n")
                        head, stored = b"", piece
        except OSError as e:
            raise _unreadable(msg, e) from e
        if head or not stored.endswith(b"\n"):
            yield head or b"\r\n"

    # ---- retired messages

    def retired(self, after: int = 0, limit: int = 0) -> list[RetiredMessage]:
        """Return retired messages with ids above `after`, ascending; all when `limit` is 0."""
        return [decode_retired(value) for value in self._values(self.dbs.retired, after, limit)]

    def get_retired(self, id: QueueId) -> RetiredMessage | None:
        with self.dbs.env.begin() as txn:
            value = txn.get(ID.pack(id), db=self.dbs.retired)
        return None if value is None else decode_retired(value)

    def by_from_id(self, from_id: str) -> QueueMessage | RetiredMessage | None:
        """Return the message, live or retired, whose envelope sender has this id."""
        with self.dbs.env.begin() as txn:
            key = txn.get(outgoing_txn.from_id_key(from_id), db=self.dbs.queue_from_id)
            if key is None:
                return None
            live = txn.get(key, db=self.dbs.queue)
            if live is not None:
                return decode(live)
            value = txn.get(key, db=self.dbs.retired)
        return None if value is None else decode_retired(value)

    def expire(self, now: float) -> int:
        """Remove retired messages whose time to be kept is over; returns how many."""
        total = 0
        while True:
            removed = self._store.write(lambda txn: outgoing_txn.expire(txn, micros(now)))
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
        with self.dbs.env.begin() as txn, txn.cursor(db=self.dbs.queue_file) as cursor:
            return outgoing_txn.has_file(cursor, file)

    def _values(self, db: lmdb._Database, after: int, limit: int) -> Iterator[bytes]:
        with self.dbs.env.begin() as txn, txn.cursor(db=db) as cursor:
            if not cursor.set_range(ID.pack(after + 1)):
                return  # without position it would begin at the first
            values = cursor.iternext(keys=False)
            yield from (itertools.islice(values, limit) if limit else values)

    def _remove_files(self, files: Iterable[str]) -> None:
        """Remove files soon, on a thread: that can wait for the disk. Those left are swept."""
        is_under_way = bool(self._unused)
        self._unused.extend(files)
        if self._unused and not is_under_way:
            self._store.later(self._remove_unused)

    def _remove_unused(self) -> None:
        # The last one leaves the list when it is removed: until then others only add.
        while self._unused:
            try:
                with contextlib.suppress(FileNotFoundError):
                    self.path(self._unused[0]).unlink()
            finally:
                self._unused.popleft()


def _unreadable(msg: QueueMessage, error: OSError) -> StoreError:
    detail = f"queue file of message {msg.id}: {error}"
    return StoreError(ErrorKind.INTERNAL, "cannot read queued message", detail)


def _write_durable(path: str, spool: Spool) -> None:
    try:
        with open(path, "xb", buffering=0, opener=_private) as file:
            spool.copy_to(file.fileno())
            os.fdatasync(file.fileno())
    except OSError as e:
        raise space_error(e, path) from e


def _private(path: str, flags: int) -> int:
    return os.open(path, flags, 0o600)
