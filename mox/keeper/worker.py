"""The keeper's loops, one greenlet each. What fails is logged and tried again at the next turn."""

from __future__ import annotations

import time
from collections.abc import Callable

import gevent

from mox import logfmt
from mox.keeper import blocklists, sts_refresh, training
from mox.keeper.border import guarded
from mox.serving.context import Context
from mox.store import Store, housekeeping
from mox.store.breaks import take_break
from mox.store.mirror import Turns, mirror_flags
from mox.store.settling import Settler
from mox.store.texts import Backlog
from mox.turns import give_turn

log = logfmt.logger("keeper")

# How often file names are made to follow the flags: looking costs next to nothing.
MIRROR_S = 0.25
# How often new files are made durable; until then the index has their contents, too.
SETTLE_S = 2.0
MINUTE_S = 60.0
HOUR_S = 3600.0
# How often messages are looked for that the text index lacks, and which part of the time a
# backlog may take, also while others write.
TEXTS_S = 2.0
TEXTS_SHARE = 0.2
TEXTS_SHARE_BESIDE = 0.05
SWEEP_S = 600.0
# Between two mailboxes of a sweep, so that it takes little of the disk and the CPU.
SWEEP_PAUSE_S = 0.005
# A rename or removal of a mailbox takes milliseconds; one that lasts this long was cut short.
INTENT_AGE_S = 5.0


def run(ctx: Context) -> None:
    """Serve until ctx.stopping is set."""
    store = ctx.store
    cleared: dict[str, int] = {}
    settler = Settler(store)
    loops: list[gevent.Greenlet[..., None]] = [
        gevent.spawn(_mirror_loop, store),
        gevent.spawn(_every, MINUTE_S, lambda: _each_minute(store)),
        gevent.spawn(_intents_loop, store),
        gevent.spawn(_after_start, store),
        gevent.spawn(_every, SETTLE_S, settler.settle),
        gevent.spawn(training.loop, ctx),
        gevent.spawn(_texts_loop, store),
        gevent.spawn(_every, HOUR_S, lambda: _each_hour(store, cleared)),
        gevent.spawn(blocklists.loop, ctx),
        gevent.spawn(sts_refresh.loop, ctx),
    ]
    ctx.ready()
    ctx.stopping.wait()
    # Stopped between two operations of the store at any point: each is whole or not there.
    gevent.killall(loops)
    mirror_flags(store)
    guarded(settler.settle)
    settler.close()
    ctx.close()


def _mirror_loop(store: Store) -> None:
    turns = Turns()
    while True:
        gevent.sleep(MIRROR_S)
        guarded(lambda: mirror_flags(store, turns))


def _intents_loop(store: Store) -> None:
    """Finish renames of mailboxes that were cut short, also by the end of a single worker."""
    before = housekeeping.pending_intents(store)
    while True:
        gevent.sleep(INTENT_AGE_S)
        guarded(lambda seen=before: housekeeping.finish_intents(store, seen))  # type: ignore[misc]
        before = housekeeping.pending_intents(store)


def _after_start(store: Store) -> None:
    """What a crash may have left: files without entry, and the reverse."""
    guarded(lambda: _sweep(store, everything=True))
    _every(SWEEP_S, lambda: _sweep(store, everything=False))


def _sweep(store: Store, *, everything: bool) -> None:
    for _ in housekeeping.sweep(store, everything=everything):
        gevent.sleep(SWEEP_PAUSE_S)


def _each_minute(store: Store) -> None:
    now = time.time()
    stale = store.dbs.env.reader_check()
    if stale:
        log.info("cleared slots of readers that have died", readers=stale)
    while housekeeping.clear_expunged(store, now):
        give_turn()
    housekeeping.clear_arrivals(store, now)
    store.pool.apply(housekeeping.clear_directories, (store, now))


def _texts_loop(store: Store) -> None:
    backlog = Backlog(store)
    while True:
        gevent.sleep(TEXTS_S)
        guarded(lambda: _index_texts(store, backlog))


def _index_texts(store: Store, backlog: Backlog) -> None:
    started = time.monotonic()
    for _ in backlog.steps(started):
        worked_s = time.monotonic() - started
        take_break(store.dbs, worked_s, share=TEXTS_SHARE, beside=TEXTS_SHARE_BESIDE)
        started = time.monotonic()


def _each_hour(store: Store, cleared: dict[str, int]) -> None:
    """Forget contents of messages that are gone; `cleared`: modseqs of accounts then."""
    for name in store.account_names():
        account = store.find_account(name)
        if account is not None and cleared.get(name) != (modseq := account.modseq()):
            housekeeping.clear_contents(store, account)
            cleared[name] = modseq


def _every(seconds: float, work: Callable[[], None]) -> None:
    while True:
        gevent.sleep(seconds)
        guarded(work)
