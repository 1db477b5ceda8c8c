"""The dispatcher: finds the flows that have due messages, and has couriers sent to their hops.

A scan asks the index for the first message of each flow, however many follow. It takes its time:
after a long one comes a longer pause, so that a queue for a hundred thousand domains does not keep
the process from delivering.
"""

from __future__ import annotations

import os
import time
from typing import TYPE_CHECKING, Final

import gevent
from gevent.event import Event
from gevent.pool import Group

from mox import logfmt
from mox.metrics import PANICS
from mox.queue.courier import Courier
from mox.queue.hop import Hop
from mox.queue.nexthop import NextHop, next_hop
from mox.queue.services import Services
from mox.store.outgoing_records import Flow
from mox.turns import give_turn

if TYPE_CHECKING:
    from mox.config import Config
    from mox.store.outgoing import FlowHead

log = logfmt.logger("queue")

MAX_COURIERS: Final = 500
# Of these, for hops that could not be reached the last time: they must not take all.
MAX_DOUBTFUL: Final = 250
# Hops that are remembered for having failed.
MAX_REMEMBERED: Final = 10_000
MAX_ROUTES: Final = 50_000
# Looked at even if nothing seems to be due: clocks can be set.
LOOK_S: Final = 60.0
# After a scan, this many times its duration belongs to others.
_REST: Final = 19
_MAX_REST_S: Final = 2.0
_SLICE: Final = 500
_KEY_OCTETS: Final = 16


class Dispatcher:
    """See the module. `wake` asks for a scan; `taken` are the ids that a hop has in memory."""

    def __init__(self, services: Services) -> None:
        self.services = services
        self.wake = Event()
        self.taken: set[int] = set()
        self.is_stopping = False
        self._hops: dict[NextHop, Hop] = {}
        self.is_short = False  # of couriers: a hop was turned away
        self._greenlets = Group()
        self._couriers = 0
        self._doubtful = 0  # of these, those to hops that failed
        self._next_scan_at = 0.0
        self._routes: dict[bytes, NextHop] = {}
        self._routes_of: Config | None = None

    def run(self) -> None:
        """Scan whenever something may be due; returns after `stop`."""
        while not self.is_stopping:
            began = time.monotonic()
            self.wake.clear()
            try:
                self._next_scan_at = self._scan()
            except Exception:  # the border: the queue goes on
                PANICS.labels("queue").inc()
                log.exception("unexpected error while looking for due messages")
                self._next_scan_at = self.services.clock() + 1.0
            gevent.sleep(min(_MAX_REST_S, _REST * (time.monotonic() - began)))
            self.wake.wait(self._pause_s())

    def stop(self, grace_s: float) -> None:
        """Begin nothing new and wait until what runs has ended, or time is up."""
        self.is_stopping = True
        self.wake.set()
        for hop in self._hops.values():
            hop.stop()
        self._greenlets.join(grace_s)
        self._greenlets.kill()

    def expect(self, when: float) -> None:
        """Have a scan at this time, if none is planned before."""
        if when < self._next_scan_at:
            self._next_scan_at = when
            self.wake.set()

    # ---- finding work

    def _scan(self) -> float:
        """Offer all flows that have due messages to their hops; returns when the next one has."""
        earliest = self.services.clock() + LOOK_S
        # Not always the same ones first: keys are hashes.
        start = os.urandom(_KEY_OCTETS)
        for lowest, highest in ((start, b""), (b"", start)):
            after = lowest
            while heads := self.services.outgoing.flows(after, _SLICE):
                after = heads[-1].key
                for head in heads:
                    if not highest or head.key <= highest:
                        earliest = min(earliest, self._look_at(head))
                if len(heads) < _SLICE or (highest and after > highest) or self.is_stopping:
                    break
                give_turn()
        return earliest

    def _look_at(self, head: FlowHead) -> float:
        """Offer a flow to its hop if it has due messages; returns when it has otherwise."""
        now = self.services.clock()
        if head.when > now:
            return head.when
        flow = head.flow
        way = self.next_hop(head.key, flow)
        hop = self._hops.get(way)
        if hop is None:
            hop = self._hops[way] = Hop(self, way)
        hop.offer(head.key, flow)
        return now + (hop.resume_in_s or LOOK_S)

    def next_hop(self, flow_key: bytes, flow: Flow) -> NextHop:
        """Return the way of a flow by the configuration in force."""
        config = self.services.config
        if config is not self._routes_of or len(self._routes) >= MAX_ROUTES:
            self._routes.clear()
            self._routes_of = config
        found = self._routes.get(flow_key)
        if found is None:
            found = next_hop(config, flow, localserve=self.services.ctx.localserve)
            self._routes[flow_key] = found
        return found

    def _pause_s(self) -> float:
        return min(LOOK_S, max(0.0, self._next_scan_at - self.services.clock()))

    # ---- couriers

    def send_courier(self, hop: Hop) -> None:
        """Start a courier, if there are not too many already."""
        if self.is_stopping:
            return
        is_doubtful = hop.has_failed
        if self._couriers >= MAX_COURIERS or (is_doubtful and self._doubtful >= MAX_DOUBTFUL):
            self.is_short = True
            return
        hop.couriers += 1
        self._couriers += 1
        self._doubtful += is_doubtful
        self._greenlets.spawn(self._send, hop, is_doubtful)

    def _send(self, hop: Hop, is_doubtful: bool) -> None:
        try:
            Courier(self, hop).run()
        finally:
            self._couriers -= 1
            self._doubtful -= is_doubtful
            self._left(hop)

    def _left(self, hop: Hop) -> None:
        """Note the end of a courier; forget a hop that nobody goes to any more."""
        hop.left()
        if self.is_short:
            self.is_short = False
            self.wake.set()
        if hop.couriers:
            return
        if hop.resume_in_s is not None:
            self.expect(self.services.clock() + hop.resume_in_s)
        elif hop.has_work:
            hop.grow()
        elif not hop.has_failed or len(self._hops) > MAX_REMEMBERED:
            del self._hops[hop.next_hop]
            if hop.has_more:
                self.wake.set()
