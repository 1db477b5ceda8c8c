"""Waking those who wait for changes of an account.

The bell says that something was committed, the `touched` database which accounts. A slow poll
backs it, so that a lost ring costs seconds, not a change.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Set
from dataclasses import dataclass

import gevent

from mox.store import bells
from mox.store.bells import Bells
from mox.store.env import Databases
from mox.store.records import KEY_A, KEY_SEQ

_POLL_S = 30.0

# Watch these ids to hear of the queue, and of webhooks.
QUEUE = 0
HOOKS = 0xFFFFFFFF
_OF_QUEUE = frozenset((QUEUE, HOOKS))


def topics(account_ids: Iterable[int]) -> int:
    """The bells' topics for touched or watched ids."""
    found = 0
    for account_id in account_ids:
        found |= bells.QUEUE if account_id in _OF_QUEUE else bells.ACCOUNTS
    return found


@dataclass(frozen=True, slots=True)
class Touched:
    """Whose records a commit changed: ids as in WriteTxn.touched; its number in `touched`."""

    ids: Set[int]
    number: int


NOBODY = Touched(frozenset(), 0)


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

    def __init__(self, dbs: Databases, own_bells: Bells) -> None:
        self._dbs = dbs
        self._bells = own_bells
        self._watchers: dict[int, list[Callable[[], None]]] = {}
        self._seen = last_touched(self._dbs)
        loop = gevent.get_hub().loop
        # Neither keeps a process alive that has nothing else to do.
        self._io = loop.io(own_bells.fd, 1, ref=False)
        self._io.start(self._rung)
        self._timer = loop.timer(_POLL_S, _POLL_S, ref=False)
        self._timer.start(self.look)

    def add(self, account_id: int, callback: Callable[[], None]) -> Watch:
        """Call `callback` after changes; it must not block and may be called for nothing."""
        first = not self._watchers
        self._watchers.setdefault(account_id, []).append(callback)
        self._listen()
        if first:
            # What was committed until here is not told; the caller reads it after this.
            self._seen = last_touched(self._dbs)
        return Watch(self, account_id, callback)

    def remove(self, account_id: int, callback: Callable[[], None]) -> None:
        callbacks = self._watchers.get(account_id, [])
        if callback in callbacks:
            callbacks.remove(callback)
            if not callbacks:
                del self._watchers[account_id]
                self._listen()

    def _listen(self) -> None:
        queue = sum(each in self._watchers for each in _OF_QUEUE)
        wanted = bells.QUEUE if queue else 0
        if len(self._watchers) > queue:
            wanted |= bells.ACCOUNTS
        self._bells.listen(wanted)

    def close(self) -> None:
        self._watchers.clear()
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
        self._call(self._touched())

    def committed(self, touched: Touched) -> None:
        """The same for a commit of this process, which need not be read to be known."""
        if touched.number == self._seen + 1:
            self._seen = touched.number
            self._call(touched.ids)
        elif touched.number > self._seen:
            # Others have committed before it.
            self.look()

    def _call(self, ids: Iterable[int]) -> None:
        for account_id in ids:
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


def last_touched(dbs: Databases) -> int:
    """The number of the last commit, of any process, that touched an account or the queue."""
    with dbs.env.begin() as txn, txn.cursor(db=dbs.touched) as cursor:
        last: int = KEY_SEQ.unpack(cursor.key())[0] if cursor.last() else 0
        return last
