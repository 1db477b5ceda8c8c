"""Results of TLS on their way into the index: added up here first, so that a session costs little.

A crash loses those of the last moment, which is a count too low in a report.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING, Final

import gevent

from mox.store import tls_results
from mox.tlspolicy.collect import PolicyResults
from mox.tlspolicy.report import merged

if TYPE_CHECKING:
    from mox.serving.context import Context
    from mox.store.committer import WriteTxn

# How long results wait for others.
DELAY_S: Final = 1.0


@dataclass(frozen=True, slots=True)
class _Entry:
    found: PolicyResults
    updated: float
    send: bool


class ResultBook:
    """See the module. `flush` comes last."""

    def __init__(self, ctx: Context, clock: Callable[[], float], delay_s: float = DELAY_S) -> None:
        self._ctx = ctx
        self._clock = clock
        self.delay_s = delay_s
        self._entries: dict[tuple[str, str, str], _Entry] = {}
        self._timer: gevent.Greenlet[..., None] | None = None

    def add(self, domain: str, found: Sequence[PolicyResults], *, send: bool) -> None:
        """Add the results of an attempt for recipients at `domain`; `send`: a report is due."""
        now = self._clock()
        day = tls_results.day_of(now)
        for one in found:
            key = (day, one.policy_domain, domain)
            entry = self._entries.get(key)
            if entry is not None:
                results = merged((*entry.found.results, *one.results))
                one = PolicyResults(one.policy_domain, one.is_host, results)
                send = send or entry.send
            self._entries[key] = _Entry(one, now, send)
        if self._timer is None:
            self._timer = gevent.spawn_later(self.delay_s, self._write)

    def flush(self) -> None:
        """Write now what waits; the store's background work."""
        if self._timer is not None:
            self._timer.kill()
            self._write()

    def _write(self) -> None:
        self._timer = None
        entries, self._entries = self._entries, {}

        def run(txn: WriteTxn) -> None:
            for (_, _, domain), entry in entries.items():
                tls_results.add(txn, domain, entry.found, entry.updated, entry.send)

        self._ctx.store.later_write(run)
