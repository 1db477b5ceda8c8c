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
from mox.queue.webhook.desk import Desk
from mox.serving.context import Context
from mox.store import Store
from mox.store.errors import StoreError
from mox.store.notify import HOOKS, QUEUE

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
    dispatcher, desk = Dispatcher(services), Desk(services)
    watches = [
        ctx.store.watch(QUEUE, dispatcher.wake.set),
        ctx.store.watch(HOOKS, desk.wake.set),
    ]
    mains = [gevent.spawn(dispatcher.run), gevent.spawn(desk.run)]
    loops: list[gevent.Greenlet[..., None]] = [
        gevent.spawn(_look, ctx.store, services),
        gevent.spawn(_expire, services),
    ]
    ctx.stopping.wait()
    for watch in watches:
        watch.cancel()
    gevent.killall(loops)
    calls = gevent.spawn(desk.stop, GRACE_S)
    dispatcher.stop(GRACE_S)
    calls.join()
    for main in mains:
        main.join()
    services.results.flush()


def _look(store: Store, services: Services) -> None:
    while True:
        gevent.sleep(LOOK_S)
        _guarded(store.notifier.look)
        _guarded(store.flush)
        _guarded(lambda: metrics.HELD.set(services.outgoing.held()))


def _expire(services: Services) -> None:
    pause_s = FIRST_EXPIRY_S
    while True:
        gevent.sleep(pause_s)
        _guarded(lambda: services.outgoing.expire(time.time()))
        _guarded(lambda: services.outgoing.sweep(time.time()))
        _guarded(lambda: services.hooks.expire(time.time()))
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
