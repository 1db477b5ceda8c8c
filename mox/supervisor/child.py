"""What happens in a forked process until its kind's code runs, and when that ends."""

from __future__ import annotations

import faulthandler
import gc
import logging
import os
import signal
import socket
import sys
from collections.abc import Callable
from dataclasses import dataclass
from types import TracebackType
from typing import NoReturn

import gevent
import gevent.hub
from setproctitle import setproctitle

from mox import logfmt, metrics
from mox.serving.context import Context, Listen
from mox.store.bells import Bells
from mox.supervisor.inboxes import Inboxes
from mox.supervisor.kinds import Run
from mox.supervisor.privileges import become, end_with_parent
from mox.supervisor.settings import Settings
from mox.supervisor.wakeup import announce, plain_signal
from mox.supervisor.worker import Worker

# A worker that outlives the supervisor has nobody to kill it: its own alarm does, this late.
_ALARM_MARGIN_S = 5
_CLOSE_PORTS_S = 1.0


@dataclass(frozen=True, slots=True)
class Job:
    """What a child is to become."""

    worker: Worker
    run: Run
    settings: Settings
    listens: list[Listen]
    bells: list[int]
    slot: int
    inboxes: Inboxes | None
    ready_fd: int
    parent: int
    close: Callable[[], None]
    """Closes what only the supervisor and other workers use."""


def run_child(job: Job) -> NoReturn:
    """Be a worker; called in the forked process with signals blocked, and never returns."""
    log = logfmt.logger("serve")
    status = 1
    try:
        ctx = _become_worker(job)
        job.run(ctx)
        ctx.close()
        status = 0
        if not ctx.stopping.is_set():
            log.error("worker ended without being told to", worker=str(job.worker))
    except SystemExit as exc:
        status = exc.code if isinstance(exc.code, int) else 1
    except BaseException as exc:  # the border of the process: nothing may return into the parent
        log.exception("worker failed", err=exc, worker=str(job.worker), pid=os.getpid())
    finally:
        sys.stdout.flush()
        sys.stderr.flush()
        # Not sys.exit: what the supervisor registered to run at its exit is not ours.
        os._exit(status)


def _become_worker(job: Job) -> Context:
    # Its own process group: Ctrl-C in a terminal is for the supervisor, which then tells us.
    os.setpgid(0, 0)
    setproctitle(f"mox: {job.worker}")
    # What the supervisor has made since its code was loaded: the first collection here would
    # touch, and so copy, the configuration.
    gc.freeze()
    job.close()
    _start_loop()
    become(job.settings.identity)
    end_with_parent(job.parent)
    faulthandler.enable()
    _start_metrics()
    logging.getLogger().addHandler(logfmt.StdlibHandler(logfmt.logger("serve")))
    pid = os.getpid()
    ctx = Context(
        kind=job.worker.kind.name,
        slot=job.slot,
        number=job.worker.index if job.worker.kind.per_core else None,
        config_source=job.settings.config_source,
        listens=[_own(listen) for listen in job.listens],
        localserve=job.settings.localserve,
        bells=Bells(job.bells, job.slot),
        certificates=job.settings.certificates,
        announce=lambda: announce(job.ready_fd, pid),
        sharing=job.inboxes.sharing(job.worker.index) if job.inboxes is not None else None,
    )
    _obey_signals(ctx, job.settings.grace_s)
    return ctx


def _start_metrics() -> None:
    try:
        metrics.process_started()
    except OSError as exc:
        # Mail is worth a try: what comes in may fit, and what is read or removed makes room.
        logfmt.logger("serve").error("metrics of this process are not seen by others", err=exc)
    logfmt.count_lines(metrics.count_log_line)


def _own(listen: Listen) -> Listen:
    """The same listening socket as one of gevent's."""
    sock = socket.socket(fileno=listen.sock.detach())
    return Listen(listen.listener, listen.service, sock, listen.implicit_tls, listen.port)


def _obey_signals(ctx: Context, grace_s: float) -> None:
    loop = gevent.get_hub().loop
    # When the supervisor is gone, the ports must be free for the next one, although connections
    # may take longer. Not at once: a worker that is just starting still looks at them.
    closing = loop.timer(_CLOSE_PORTS_S)

    def stop() -> None:
        if not ctx.stopping.is_set():
            signal.alarm(int(grace_s) + _ALARM_MARGIN_S)
            ctx.stopping.set()
            closing.start(close_ports)

    def close_ports() -> None:
        for listen in ctx.listens:
            listen.sock.close()

    for number in (signal.SIGTERM, signal.SIGHUP):
        # Not gevent.signal_handler: its watchers do not count, so a worker that waits for
        # nothing but the word to stop would be told that it waits forever.
        loop.signal(number).start(stop)
    plain_signal(signal.SIGINT, signal.SIG_IGN)
    for number in (signal.SIGUSR2, signal.SIGCHLD):
        plain_signal(number, signal.SIG_DFL)
    signal.pthread_sigmask(signal.SIG_SETMASK, ())


def _start_loop() -> None:
    """Make gevent's loop, its thread pool and resolver, and have it log in our form."""
    gevent.reinit()
    hub = gevent.get_hub()
    assert hub.threadpool is not None
    assert hub.resolver is not None
    log = logfmt.logger("serve")

    def print_exception(
        context: object | None,
        t: type[BaseException] | None,
        v: BaseException | str | None,
        tb: TracebackType | None,
    ) -> None:
        log.exception("greenlet failed", err=v, greenlet=repr(context), pid=os.getpid())
        metrics.PANICS.labels("serve").inc()

    hub.print_exception = print_exception  # type: ignore[method-assign]
