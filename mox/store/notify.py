"""Waking those who wait for changes of an account.

The bell says that something was committed, the `touched` database which accounts. A slow poll
backs it, so that a lost ring costs seconds, not a change.
"""

from __future__ import annotations

from collections.abc import Callable

import gevent

from mox.store.bells import Bells
from mox.store.env import Databases
from mox.store.records import KEY_A, KEY_SEQ

_POLL_S = 30.0

# Watch these ids to hear of the queue, or of every account.
QUEUE = 0
EVERYTHING = -1


class Watch:
    """Interest in one account; cancel() ends it."""

    __slots__ = ("_callback", "_hub", "_id")

    def __init__(self, hub: Notifier, account_id: int, callback: Callable[[], None]) -> None:
        self._hub = hub
        self._id = account_id
        self._callback = callback

    def cancel(self) -> None:
        """End it; may be called more than once."""
        self._hub.remove(self._id, self._callback)


class Notifier:
    """Calls back on the event loop after commits, of any process, that touched an account."""

    def __init__(self, dbs: Databases, bells: Bells) -> None:
        self._dbs = dbs
        self._bells = bells
        self._watchers: dict[int, list[Callable[[], None]]] = {}
        self._seen = self._last()
        loop = gevent.get_hub().loop
        # Neither keeps a process alive that has nothing else to do.
        self._io = loop.io(bells.fd, 1, ref=False)
        self._io.start(self._rung)
        self._timer = loop.timer(_POLL_S, _POLL_S, ref=False)
        self._timer.start(self.look)

    def add(self, account_id: int, callback: Callable[[], None]) -> Watch:
        """Call `callback` after changes; it must not block and may be called for nothing."""
        if not self._watchers:
            # What was committed until here is not told; the caller reads it after this.
            self._bells.listen(True)
            self._seen = self._last()
        self._watchers.setdefault(account_id, []).append(callback)
        return Watch(self, account_id, callback)

    def remove(self, account_id: int, callback: Callable[[], None]) -> None:
        callbacks = self._watchers.get(account_id, [])
        if callback in callbacks:
            callbacks.remove(callback)
            if not callbacks:
                del self._watchers[account_id]
                if not self._watchers:
                    self._bells.listen(False)

    def close(self) -> None:
        for watcher in (self._io, self._timer):
            watcher.stop()
            watcher.close()

    def _rung(self) -> None:
        self._bells.clear()
        self.look()

    def look(self) -> None:
        """Call back for all accounts touched since the last look."""
        if not self._watchers:
            return
        touched = self._touched()
        if touched:
            touched.add(EVERYTHING)
        for account_id in touched:
            for callback in list(self._watchers.get(account_id, ())):
                callback()

    def _touched(self) -> set[int]:
        accounts: set[int] = set()
        with self._dbs.env.begin() as txn, txn.cursor(db=self._dbs.touched) as cursor:
            if not cursor.set_range(KEY_SEQ.pack(self._seen + 1)):
                return accounts
            first = KEY_SEQ.unpack(cursor.key())[0]
            if first != self._seen + 1:  # we slept through what was pruned
                accounts.update(self._watchers)
            for key, value in cursor:
                self._seen = KEY_SEQ.unpack(key)[0]
                accounts.update(account_id for (account_id,) in KEY_A.iter_unpack(value))
        return accounts

    def _last(self) -> int:
        with self._dbs.env.begin() as txn, txn.cursor(db=self._dbs.touched) as cursor:
            last: int = KEY_SEQ.unpack(cursor.key())[0] if cursor.last() else 0
            return last
