"""The queue's process: one for the whole server."""

from __future__ import annotations

import time
from collections.abc import Callable
from typing import Final

import gevent

from mox import logfmt
from mox.metrics import PANICS
from mox.queue import metrics
from mox.queue.dispatcher import Dispatcher
from mox.queue.lock import QueueLock
from mox.queue.services import Services
from mox.serving.context import Context
from mox.store import Store
from mox.store.errors import StoreError
from mox.store.notify import QUEUE
from mox.store.outgoing import Outgoing

log = logfmt.logger("queue")

# Of the 35 s that the supervisor gives.
GRACE_S: Final = 30.0
# Commits of processes that cannot ring our bell (commands) are noticed within this time.
LOOK_S: Final = 1.0
# Records of messages that are gone: looked at soon after the start, then hourly.
FIRST_EXPIRY_S: Final = 3.0
EXPIRY_S: Final = 3600.0


def run(ctx: Context) -> None:
    """Deliver until ctx.stopping is set and what runs has ended."""
    deliver(ctx, Services(ctx, ctx.resolver))


def deliver(ctx: Context, services: Services) -> None:
    """Like `run`, with other services."""
    lock = QueueLock(services.outgoing.directory)
    ctx.ready()
    try:
        if lock.acquire(ctx.stopping):
            _deliver(ctx, services)
    finally:
        lock.release()
    ctx.close()


def _deliver(ctx: Context, services: Services) -> None:
    dispatcher = Dispatcher(services)
    watch = ctx.store.watch(QUEUE, dispatcher.wake.set)
    main = gevent.spawn(dispatcher.run)
    loops: list[gevent.Greenlet[..., None]] = [
        gevent.spawn(_look, ctx.store, services.outgoing),
        gevent.spawn(_expire, services.outgoing),
    ]
    ctx.stopping.wait()
    watch.cancel()
    gevent.killall(loops)
    dispatcher.stop(GRACE_S)
    main.join()
    services.results.flush()


def _look(store: Store, outgoing: Outgoing) -> None:
    while True:
        gevent.sleep(LOOK_S)
        _guarded(store.notifier.look)
        _guarded(lambda: metrics.HELD.set(outgoing.held()))


def _expire(outgoing: Outgoing) -> None:
    pause_s = FIRST_EXPIRY_S
    while True:
        gevent.sleep(pause_s)
        _guarded(lambda: outgoing.expire(time.time()))
        _guarded(lambda: outgoing.sweep(time.time()))
        pause_s = EXPIRY_S


def _guarded(work: Callable[[], object]) -> None:
    """The border of a job: a failure of one turn must not end the loop."""
    try:
        work()
    except (StoreError, OSError) as e:
        log.error("housekeeping of the queue failed, will be tried again", err=e)
    except Exception:
        PANICS.labels("queue").inc()
        log.exception("unexpected error in housekeeping of the queue")
