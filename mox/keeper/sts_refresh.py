"""Once a day: MTA-STS policies are refreshed before they end; old results of TLS and DMARC go.

RFC 8461 §10.2. The rules are in `mox.tlspolicy.stscache`; this has the clock and the store.
"""

from __future__ import annotations

import random
import time
from collections.abc import Callable
from typing import Final

import gevent

from mox import logfmt
from mox.dns import Resolver
from mox.keeper.border import guarded
from mox.serving.context import Context
from mox.serving.stsfetch import PolicyFetcher, client_context, https_port
from mox.store import Store, evaluations, sts_policies, tls_results
from mox.tlsio.client import ClientContext
from mox.tlspolicy.mtasts import RecordLookup, lookup_record
from mox.tlspolicy.stscache import CachedPolicy, Fetch, plan_refresh, refresh
from mox.turns import give_turn

log = logfmt.logger("mtasts")

PERIOD_S: Final = 86400.0


def loop(ctx: Context) -> None:
    """Refresh for as long as the keeper runs, at its start and then daily."""

    def context() -> ClientContext:
        return client_context(ctx.config)

    fetch = PolicyFetcher(ctx.resolver, context, https_port())
    refresher = Refresher(ctx.store, ctx.resolver, fetch)
    while True:
        begun = time.monotonic()
        guarded(refresher.run)
        gevent.sleep(max(0.0, begun + PERIOD_S - time.monotonic()))


class Refresher:
    """Refreshes what one store keeps. Clock, sleep and chance are arguments for tests."""

    def __init__(
        self,
        store: Store,
        resolver: Resolver,
        fetch: Fetch,
        *,
        clock: Callable[[], float] = time.time,
        sleep: Callable[[float], object] = gevent.sleep,
        chance: random.Random | None = None,
    ) -> None:
        self._store = store
        self._resolver = resolver
        self._fetch = fetch
        self._clock = clock
        self._sleep = sleep
        self._chance = chance or random.Random()

    def run(self) -> None:
        """Do what is due once, which takes hours. Raises StoreError."""
        now = self._clock()
        while self._store.write(lambda txn: tls_results.expire(txn, now)):
            give_turn()
        while self._store.write(lambda txn: evaluations.expire(txn, now)):
            give_turn()
        plan = plan_refresh(sts_policies.all_policies(self._store), now, self._chance)
        for domain in plan.forget:
            self._forget(domain)
        for delay_s, domain in plan.refresh:
            self._sleep(max(0.0, now + delay_s - self._clock()))
            # It may be a newer one by now, or gone.
            cached = sts_policies.get(self._store, domain)
            if cached is not None and not cached.backoff:
                self._refresh(cached)

    def _refresh(self, cached: CachedPolicy) -> None:
        done = refresh(cached, self._lookup, self._fetch, self._clock())
        if done.keep is not None:
            keep = done.keep
            self._store.write(lambda txn: sts_policies.refreshed(txn, keep))
        if done.forget:
            self._forget(cached.domain)
        log.debug(
            "refreshing MTA-STS policy",
            err=done.error or None,
            domain=cached.domain,
            mode=cached.mode,
            changed=done.keep is not None and done.keep.record_id != cached.record_id,
        )

    def _lookup(self, domain: str) -> RecordLookup:
        return lookup_record(self._resolver.query, domain)

    def _forget(self, domain: str) -> None:
        self._store.write(lambda txn: sts_policies.delete(txn, domain))
