"""A courier: takes one job after the other to one next hop, over one connection.

Each attempt is recorded before it begins, in the same step that records how the one before ended.
So what a crash of the process can repeat is the last transaction of each connection.
"""

from __future__ import annotations

import time
from collections.abc import Sequence
from typing import TYPE_CHECKING, Final

import gevent

from mox import logfmt
from mox.metrics import PANICS
from mox.queue import schedule
from mox.queue.carriers import carrier_to
from mox.queue.delivery import Carrier, Delivery
from mox.queue.hop import Hop, Job
from mox.queue.settle import settle
from mox.queue.suppressed import suppressed
from mox.store.errors import StoreError
from mox.store.outgoing import Outcome, Start
from mox.store.outgoing_records import QueueMessage

if TYPE_CHECKING:
    from mox.queue.dispatcher import Dispatcher

log = logfmt.logger("queue")

# A connection without work is kept this long.
LINGER_S: Final = 1.0
# How an attempt ended waits this long for another one to begin: one step records both.
GATHER_S: Final = 0.01
# After the disk could not take a record.
RETRY_S: Final = 1.0
# Messages that share the failure to reach their hop: at once, and in one step.
SHARED: Final = 500
SHARED_STEP: Final = 100


class Courier:
    """See the module. `run` is a greenlet's work."""

    def __init__(self, desk: Dispatcher, hop: Hop) -> None:
        self._desk = desk
        self._services = desk.services
        self._hop = hop
        self._outcomes: list[Outcome] = []
        self._in_hand: set[int] = set()

    def run(self) -> None:
        """Work until there is nothing to do for a while, or the hop cannot be reached."""
        hop, carrier = self._hop, carrier_to(self._services, self._hop.next_hop)
        try:
            if hop.is_proven and hop.couriers > 1 and not carrier.connect():
                hop.shrink()
            else:
                self._work(carrier)
        except Exception:  # the border of a job: the others go on
            PANICS.labels("queue").inc()
            log.exception("unexpected error in delivery")
            hop.failed()
        finally:
            self._desk.taken -= self._in_hand
            carrier.close()

    def _work(self, carrier: Carrier) -> None:
        idle_since = 0.0
        while True:
            job = self._hop.take()
            if job is not None:
                idle_since = 0.0
                if not self._deliver(carrier, job):
                    return
            elif self._outcomes:
                if not self._hop.wait(GATHER_S):
                    self._record([])
            else:
                now = time.monotonic()
                idle_since = idle_since or now
                left_s = idle_since + LINGER_S - now
                if left_s <= 0 or self._desk.is_short or not self._hop.wait(left_s):
                    return

    def _deliver(self, carrier: Carrier, job: Job) -> bool:
        """Do one job; false when the hop cannot be reached."""
        messages = self._record([job])
        if not messages:
            return True
        stopped = suppressed(self._services.store, messages)
        to_carry = [msg for msg in messages if msg.id not in stopped]
        carried = iter(carrier.deliver(to_carry) if to_carry else ())
        deliveries = [stopped.get(msg.id) or next(carried) for msg in messages]
        self._settle(messages, deliveries)
        if not to_carry:
            return True
        if not carrier.is_down:
            self._hop.reached()
            return True
        self._hop.failed()
        self._record([])
        if self._hop.shares_failures:
            attempted = next(n for n, msg in enumerate(messages) if msg.id not in stopped)
            self._share(job, Delivery(deliveries[attempted].verdict))
        return False

    def _share(self, failed: Job, delivery: Delivery) -> None:
        """Let others that are due here fail the same way, instead of one by one."""
        shared = 0
        while shared < SHARED and (jobs := self._take_step(failed)):
            messages = self._record(jobs)
            self._settle(messages, [delivery] * len(messages))
            self._record([])
            shared += len(messages)

    def _take_step(self, like: Job) -> list[Job]:
        jobs: list[Job] = []
        count = 0
        while count < SHARED_STEP and (job := self._hop.take(like)) is not None:
            jobs.append(job)
            count += len(job.bundle.ids)
        return jobs

    def _settle(self, messages: Sequence[QueueMessage], deliveries: Sequence[Delivery]) -> None:
        transport = self._hop.transport
        self._outcomes += [
            settle(self._services, msg, delivery, transport)
            for msg, delivery in zip(messages, deliveries, strict=True)
        ]

    def _record(self, jobs: Sequence[Job]) -> list[QueueMessage]:
        """Record what has ended and what begins; returns the messages to attempt now.

        Does not give up while the disk takes no writes: what was delivered must not be repeated.
        """
        outcomes, self._outcomes = self._outcomes, []
        now = self._services.clock()
        starts = [start for job in jobs for start in self._starts(job, now)]
        if not outcomes and not starts:
            return []
        self._in_hand.update(start.id for start in starts)
        while True:
            try:
                messages = self._services.outgoing.record(outcomes, starts, now)
                break
            except StoreError as e:
                log.error("recording deliveries, will be tried again", err=e)
                gevent.sleep(RETRY_S)
        begun = {msg.id for msg in messages}
        self._let_go([outcome.id for outcome in outcomes])
        self._let_go([start.id for start in starts if start.id not in begun])
        waiting = [outcome.next_attempt for outcome in outcomes if not outcome.done]
        if waiting:
            self._desk.expect(min(waiting))
        return messages

    def _starts(self, job: Job, now: float) -> list[Start]:
        # Recipients of one submission stay together: one time for all.
        jitter_s = schedule.draw(self._services.chance)
        next_attempt = now + schedule.interval(job.flow.attempts, jitter_s)
        return [Start(id, job.bundle.when, next_attempt, job.flow_key) for id in job.bundle.ids]

    def _let_go(self, ids: Sequence[int]) -> None:
        self._in_hand.difference_update(ids)
        self._desk.taken.difference_update(ids)
