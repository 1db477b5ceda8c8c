"""The durable queue of webhooks: what waits to be called, and what is remembered of it.

Calls come in with the events that they are about (hooks_txn); here is what the queue process and
administrators do with them. Each operation is one index transaction.
"""

from __future__ import annotations

import itertools
from collections.abc import Callable, Iterable, Iterator, Sequence
from typing import TYPE_CHECKING, Final

import lmdb

from mox.store import hooks_due, hooks_txn
from mox.store.hook_records import Hook, HookId, HookResult, RetiredHook
from mox.store.hooks_due import Due, Line
from mox.store.hooks_txn import (
    EXPIRE_BATCH,
    HookOutcome,
    HookRelease,
    HookStart,
    decode_hook,
    decode_retired,
)
from mox.store.notify import HOOKS
from mox.store.outgoing_due import ID, micros

if TYPE_CHECKING:
    from mox.store.committer import WriteTxn
    from mox.store.store import Store

# Of bodies that are handed out at once, before the last.
MAX_OCTETS: Final = 4 << 20

__all__ = ["Due", "HookOutcome", "HookRelease", "HookStart", "Hooks", "Line"]


class Hooks:
    """The webhooks as seen from one process. What changes them returns once it is durable."""

    def __init__(self, store: Store) -> None:
        self._store = store
        self.dbs = store.dbs

    # ---- the queue process

    def lines(self, after: bytes = b"", limit: int = 500) -> list[Line]:
        """Return a slice of the URLs that have calls, with the time the first is due."""
        return hooks_due.lines(self.dbs, after, limit)

    def due(self, key: bytes, now: float, limit: int) -> list[Due]:
        """Return what is due of one URL, earliest first."""
        return hooks_due.due(self.dbs, key, now, limit)

    def is_live(self, id: HookId) -> bool:
        """Say whether a call still waits for its success: it was not superseded or canceled."""
        with self.dbs.env.begin() as txn:
            return txn.get(ID.pack(id), db=self.dbs.hook) is not None

    def record(
        self,
        outcomes: Sequence[HookOutcome] = (),
        releases: Sequence[HookRelease] = (),
        starts: Sequence[HookStart] = (),
        now: float = 0.0,
    ) -> list[tuple[Hook, bytes]]:
        """Record how attempts ended, those not made after all, and those that begin `now`.

        That an attempt begins is recorded before it does: a crash must not repeat it at once.
        Returns the records of `starts` as they are now, each with the body to send. Left out are
        those that were superseded, canceled or rescheduled since they were due, and the last ones
        if the bodies before them are large.
        """

        def run(txn: WriteTxn) -> list[tuple[Hook, bytes]]:
            for outcome in outcomes:
                hooks_txn.finish(txn, outcome)
            for released in releases:
                hooks_txn.release(txn, released)
            started: list[tuple[Hook, bytes]] = []
            octets = 0
            for begun in starts:
                if octets > MAX_OCTETS:
                    break
                found = hooks_txn.start(txn, begun, now)
                if found is not None:
                    started.append(found)
                    octets += len(found[1])
            return started

        return self._store.write(run)

    # ---- administration

    def get(self, id: HookId) -> Hook | None:
        with self.dbs.env.begin() as txn:
            value = txn.get(ID.pack(id), db=self.dbs.hook)
        return None if value is None else decode_hook(value)

    def get_retired(self, id: HookId) -> RetiredHook | None:
        with self.dbs.env.begin() as txn:
            value = txn.get(ID.pack(id), db=self.dbs.hook_retired)
        return None if value is None else decode_retired(value)

    def body(self, id: HookId) -> bytes:
        """Return the body of a call, live or retired; b"" when there is none."""
        with self.dbs.env.begin() as txn:
            value: bytes | None = txn.get(ID.pack(id), db=self.dbs.hook_body)
        return value or b""

    def count(self) -> int:
        with self.dbs.env.begin() as txn:
            entries: int = txn.stat(self.dbs.hook)["entries"]
        return entries

    def hooks(self, after: int = 0, limit: int = 0) -> list[Hook]:
        """Return live calls with ids above `after`, ascending; all when `limit` is 0."""
        return [decode_hook(value) for value in self._values(self.dbs.hook, after, limit)]

    def retired(self, after: int = 0, limit: int = 0) -> list[RetiredHook]:
        """Return retired calls with ids above `after`, ascending; all when `limit` is 0."""
        return [
            decode_retired(value) for value in self._values(self.dbs.hook_retired, after, limit)
        ]

    def update(self, ids: Iterable[HookId], change: Callable[[Hook], Hook]) -> int:
        """Replace the records of `ids` that exist; returns how many `change` made different.

        `change` may set next_attempt.
        """
        wanted = list(ids)

        def run(txn: WriteTxn) -> int:
            changed = 0
            for id in wanted:
                hook = hooks_txn.live(txn, id)
                if hook is not None and (new := change(hook)) != hook:
                    hooks_txn.replace(txn, hook, new)
                    txn.touched.add(HOOKS)
                    changed += 1
            return changed

        return self._store.write(run)

    def cancel(
        self, ids: Iterable[HookId], result: HookResult, keep_until: Callable[[str], float]
    ) -> int:
        """End calls with a result; `keep_until` of an account: how long to remember them.

        Returns how many there were.
        """
        wanted = list(ids)

        def run(txn: WriteTxn) -> int:
            found = [hook for id in wanted if (hook := hooks_txn.live(txn, id)) is not None]
            for hook in found:
                hooks_txn.cancel(txn, hook, result, keep_until(hook.account))
            return len(found)

        return self._store.write(run)

    def expire(self, now: float) -> int:
        """Remove retired calls whose time to be kept is over; returns how many."""
        total = 0
        while True:
            removed = self._store.write(lambda txn: hooks_txn.expire(txn, micros(now)))
            total += removed
            if removed < EXPIRE_BATCH:
                return total

    def _values(self, db: lmdb._Database, after: int, limit: int) -> Iterator[bytes]:
        with self.dbs.env.begin() as txn, txn.cursor(db=db) as cursor:
            if not cursor.set_range(ID.pack(after + 1)):
                return  # without position it would begin at the first
            values = cursor.iternext(keys=False)
            yield from (itertools.islice(values, limit) if limit else values)
