"""One next hop while there is work for it: what is due there, and the couriers that bring it.

Work is taken from the index in small slices and kept as ids until a courier begins with it, so
memory does not depend on how much is queued, and a crash leaves only what couriers had in hand.
"""

from __future__ import annotations

import time
from collections import deque
from dataclasses import dataclass
from typing import TYPE_CHECKING, Final

from gevent.event import Event

from mox.delivery.local import is_ours
from mox.queue.nexthop import Direct, NextHop, Refusal
from mox.store.outgoing import Bundle
from mox.store.outgoing_records import Flow

if TYPE_CHECKING:
    from mox.queue.dispatcher import Dispatcher

# Connections at a time: to servers that are there for us, to those of others, to nowhere.
SMARTHOST_COURIERS: Final = 20
DIRECT_COURIERS: Final = 5
REFUSAL_COURIERS: Final = 2
# Bundles read ahead, and from one flow at a time.
READY: Final = 50
SLICE: Final = 10
# Flows that a hop remembers to have more; others are found again by the next scan.
MAX_FLOWS: Final = 1000
# A hop that could not be reached is left alone this long.
PAUSE_S: Final = 1.0


@dataclass(frozen=True, slots=True)
class Job:
    """Messages that can share a transaction, and the flow that they are of."""

    bundle: Bundle
    flow_key: bytes
    flow: Flow


class Hop:
    """See the module. `next_hop` is the key; only one object has it at a time."""

    def __init__(self, desk: Dispatcher, next_hop: NextHop) -> None:
        self.next_hop = next_hop
        self.has_failed = False  # could not be reached the last time
        self.is_proven = False  # could be reached, and not failed since
        self.couriers = 0
        self._desk = desk
        self._limit = _limit(next_hop)
        self._flows: dict[bytes, Flow] = {}
        self.has_more = False  # than fits into _flows
        self._ready: deque[Job] = deque()
        self._waiting: list[Event] = []  # of idle couriers, one each
        self._resume_at = 0.0

    @property
    def transport(self) -> str:
        """The name of the transport, for metrics."""
        return getattr(self.next_hop, "transport", "")

    # ---- work

    def offer(self, flow_key: bytes, flow: Flow) -> None:
        """Tell that a flow that goes here has messages that are due."""
        if flow_key not in self._flows and len(self._flows) >= MAX_FLOWS:
            self.has_more = True
        else:
            self._flows[flow_key] = flow
        self.grow()

    def take(self, like: Job | None = None) -> Job | None:
        """Return what is to be delivered next; None: nothing for now.

        With `like` only what asks for the same of TLS: then what failed would fail again.
        """
        if self._desk.is_stopping:
            return None
        if not self._ready:
            self._fill()
        for at, job in enumerate(self._ready):
            if like is None or job.flow.require_tls == like.flow.require_tls:
                del self._ready[at]
                self.grow()
                return job
        return None

    def wait(self, timeout_s: float) -> bool:
        """Wait for more work; false when there may be none."""
        rung = Event()
        self._waiting.append(rung)
        try:
            return bool(rung.wait(timeout_s)) and not self._desk.is_stopping
        finally:
            if rung in self._waiting:
                self._waiting.remove(rung)

    def stop(self) -> None:
        """Let waiting couriers go home."""
        for rung in self._waiting:
            rung.set()

    def _fill(self) -> None:
        desk = self._desk
        now = desk.services.clock()
        for key in list(self._flows):
            flow = self._flows.pop(key)
            if desk.next_hop(key, flow) != self.next_hop:
                desk.wake.set()  # the configuration has changed: it goes elsewhere
                continue
            bundles = desk.services.outgoing.due(key, now, SLICE, desk.taken)
            for bundle in bundles:
                desk.taken.update(bundle.ids)
                self._ready.append(Job(bundle, key, flow))
            if len(bundles) == SLICE:
                self._flows[key] = flow
            if len(self._ready) >= READY:
                return
        if self.has_more and not self._flows:
            self.has_more = False
            desk.wake.set()

    # ---- couriers

    def grow(self) -> None:
        """If there is work, let another courier see to it: an idle one, else a new one.

        New ones go only where the first has come through, and not to a hop that was down just now.
        """
        if not self.has_work:
            return
        if self._waiting:
            # The one that came last: those that are not needed all the time go home.
            self._waiting.pop().set()
        elif self.couriers < (self._limit if self.is_proven else 1) and not self.is_paused:
            self._desk.send_courier(self)

    @property
    def is_paused(self) -> bool:
        return time.monotonic() < self._resume_at

    @property
    def resume_in_s(self) -> float | None:
        """How long the hop is left alone; None: it is not, or nothing waits for it."""
        if not self._flows or self.couriers or not self.has_failed:
            return None
        return max(0.0, self._resume_at - time.monotonic())

    def reached(self) -> None:
        """Note that the hop can be reached: there may be more couriers."""
        self.is_proven = True
        self.has_failed = False
        self.grow()

    def failed(self) -> None:
        """Note that the hop cannot be reached: one courier at a time, after a pause."""
        self.is_proven = False
        self.has_failed = True
        self._resume_at = time.monotonic() + PAUSE_S

    def shrink(self) -> None:
        """Note that it does not take another connection besides those that there are."""
        self._limit = max(1, self.couriers - 1)

    def left(self) -> None:
        """Note that a courier is gone; what nobody will take is given back."""
        self.couriers -= 1
        if self.couriers:
            return
        self._limit = _limit(self.next_hop)
        for job in self._ready:
            self._desk.taken.difference_update(job.bundle.ids)
            self._flows[job.flow_key] = job.flow
        self._ready.clear()

    @property
    def has_work(self) -> bool:
        return bool(self._ready or self._flows)

    @property
    def shares_failures(self) -> bool:
        """Whether what keeps one message from here keeps all: none is for a mailbox of ours."""
        hop = self.next_hop
        return not (isinstance(hop, Direct) and is_ours(self._desk.services.config, hop.domain))


def _limit(hop: NextHop) -> int:
    if isinstance(hop, Refusal):
        return REFUSAL_COURIERS
    if isinstance(hop, Direct):
        return DIRECT_COURIERS
    return SMARTHOST_COURIERS
