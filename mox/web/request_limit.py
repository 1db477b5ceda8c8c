"""The limit on requests per network, shared by all processes.

Counting costs no write per request: each process adds up what it sees and writes it down from
time to time, so that some dozens more than the limit may pass.
"""

from __future__ import annotations

import time
from collections.abc import Callable
from typing import TYPE_CHECKING, Final

import gevent

from mox import logfmt
from mox.networks import IP, is_this_host, network_keys
from mox.serving.windows import Sweeper, Window, count_of, counter_key, set_count
from mox.store.ephemeral import Ephemeral, EphemeralError

if TYPE_CHECKING:
    import lmdb

_KIND: Final = "http request"
# For an address, the network around it, and the wider one around that.
_LIMITS: Final = (
    tuple(Window(60, limit) for limit in (1000, 3000, 9000)),
    tuple(Window(3600, limit) for limit in (5000, 15000, 45000)),
)
_WRITE_AFTER: Final = 16
_WRITE_AFTER_S: Final = 0.5
# Beyond this another process sits on the lock; then the oldest counts are given up.
_MAX_BATCHES: Final = 100

_log = logfmt.logger("http")


class _Batch:
    """Counts, by key, that are or will be written down."""

    __slots__ = ("counts", "written")

    def __init__(self) -> None:
        self.counts: dict[bytes, int] = {}
        self.written = False


class RequestLimit:
    """The counting of one process; without the environment everything is allowed."""

    def __init__(self, ephemeral: Ephemeral | None, clock: Callable[[], float] = time.time) -> None:
        self._ephemeral = ephemeral
        self._clock = clock
        self._sweeper = Sweeper()
        self._batches = [_Batch()]  # the last one is still added to
        self._requests = 0
        self._written_at = clock()

    def admits(self, ip: IP) -> bool:
        """Count a request, unless its network has made too many; local ones are not counted."""
        if self._ephemeral is None or is_this_host(ip):
            return True
        now = self._clock()
        networks = network_keys(ip)
        counters = [
            (counter_key(_KIND, window, now, network), window.limit)
            for windows in _LIMITS
            for network, window in zip(networks, windows, strict=True)
        ]
        if not self._is_within(self._ephemeral, counters):
            return False
        counts = self._batches[-1].counts
        for key, _ in counters:
            counts[key] = counts.get(key, 0) + 1
        self._requests += 1
        if self._requests >= _WRITE_AFTER or now >= self._written_at + _WRITE_AFTER_S:
            self._begin_batch(self._ephemeral, now)
        return True

    def _is_within(self, ephemeral: Ephemeral, counters: list[tuple[bytes, int]]) -> bool:
        unwritten = [batch.counts for batch in self._batches if not batch.written]

        def within(txn: lmdb.Transaction) -> bool:
            return all(
                count_of(txn, key) + sum(counts.get(key, 0) for counts in unwritten) < limit
                for key, limit in counters
            )

        try:
            return ephemeral.read(within)
        except EphemeralError as e:
            _log.error("limit not checked, letting through", err=e)
            return True

    def _begin_batch(self, ephemeral: Ephemeral, now: float) -> None:
        """Have the counts so far written down, beside the requests."""
        batch = self._batches[-1]
        waiting = [batch for batch in self._batches if not batch.written]
        self._batches = [*waiting[-_MAX_BATCHES:], _Batch()]
        self._requests, self._written_at = 0, now
        gevent.spawn(self._write, ephemeral, batch, now)

    def _write(self, ephemeral: Ephemeral, batch: _Batch, now: float) -> None:
        def add(txn: lmdb.Transaction) -> None:
            for windows in _LIMITS:
                self._sweeper.sweep(txn, _KIND, windows[0], now)
            for key, count in batch.counts.items():
                set_count(txn, key, count_of(txn, key) + count)

        try:
            ephemeral.write(add)
        except EphemeralError as e:
            _log.error("limit not counted", err=e)
        # Counted twice for a moment, rather than not at all.
        batch.written = True
