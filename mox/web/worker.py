"""The `web` kind: a gunicorn master under the supervisor, with gevent workers of its own.

gunicorn is configured here and nowhere else: no file, no environment, no control socket. Its
sockets come from the supervisor.
"""

from __future__ import annotations

import os
import signal
import socket
from typing import Final

import gevent
from bottle import Bottle
from gevent.monkey import get_original
from gunicorn.app.base import BaseApplication
from gunicorn.arbiter import Arbiter
from gunicorn.workers.base import Worker
from gunicorn.workers.ggevent import GeventWorker
from setproctitle import setproctitle

from mox import logfmt, metrics
from mox.serving.context import Context
from mox.web.gunicorn_log import LogfmtLogger
from mox.web.metrics_app import make_app

WORKERS: Final = 1
MAX_CONNECTIONS: Final = 100
# Complete headers must come within this time, and so must the next request on a connection.
HEADERS_S: Final = 5
# A client that takes longer than this for everything it asks is cut off.
CONNECTION_S: Final = 60
GRACE_S: Final = 10

_log = logfmt.logger("http")
_SimpleQueue: type = get_original("queue", "SimpleQueue")


class LimitedWorker(GeventWorker):
    """gunicorn's gevent worker with a limit on the time of a connection; it has none itself."""

    def handle(self, listener: socket.socket, client: socket.socket, addr: object) -> None:
        limit = gevent.Timeout(CONNECTION_S)
        try:
            with limit:
                super().handle(listener, client, addr)
        except gevent.Timeout as timeout:
            if timeout is not limit:
                raise
            _log.debug("connection took too long")


class Master(Arbiter):
    """gunicorn's master, whose workers hear a word to stop from their first moment on.

    Between fork and its own handlers a worker of gunicorn's loses SIGTERM, and is then waited for.
    """

    def spawn_worker(self) -> int | None:
        before = signal.pthread_sigmask(signal.SIG_BLOCK, (signal.SIGTERM,))
        try:
            return super().spawn_worker()
        finally:
            signal.pthread_sigmask(signal.SIG_SETMASK, before)


class WebServer(BaseApplication):
    """gunicorn with our settings, serving one application."""

    def __init__(self, ctx: Context, app: Bottle) -> None:
        self._ctx = ctx
        self._app = app
        super().__init__()

    def load_config(self) -> None:
        ctx = self._ctx

        def listens(_arbiter: Arbiter) -> None:
            # A word to stop that came before gunicorn took the signals over has gone to the loop,
            # which the master does not run but for this moment.
            gevent.sleep(0.01)
            if ctx.stopping.is_set():
                os.kill(os.getpid(), signal.SIGTERM)

        def before_fork(_arbiter: Arbiter, _worker: Worker) -> None:
            setproctitle("mox: web")

        def forked(_arbiter: Arbiter, _worker: Worker) -> None:
            metrics.process_started()

        def serves(_worker: Worker) -> None:
            signal.pthread_sigmask(signal.SIG_UNBLOCK, (signal.SIGTERM,))
            setproctitle("mox: web worker")
            ctx.ready()

        def ended(_arbiter: Arbiter, worker: Worker) -> None:
            metrics.process_ended(worker.pid)

        settings: dict[str, object] = {
            # gunicorn closes them; nobody else may do it again.
            "bind": [f"fd://{listen.sock.detach()}" for listen in ctx.listens],
            # Its defaults are of the time at which it was imported, when we were root.
            "user": os.geteuid(),
            "group": os.getegid(),
            "workers": WORKERS,
            "worker_class": LimitedWorker,
            "worker_connections": MAX_CONNECTIONS,
            "keepalive": HEADERS_S,
            "graceful_timeout": GRACE_S,
            "logger_class": LogfmtLogger,
            "control_socket_disable": True,
            "limit_request_line": 2048,
            "limit_request_fields": 50,
            "limit_request_field_size": 4096,
            "forwarded_allow_ips": "127.0.0.1,::1",
            "when_ready": listens,
            "pre_fork": before_fork,
            "post_fork": forked,
            "post_worker_init": serves,
            "child_exit": ended,
        }
        for name, value in settings.items():
            self.cfg.set(name, value)

    def load(self) -> Bottle:
        return self._app

    def run(self) -> None:
        """Be gunicorn's master; leaves by SystemExit when told to stop.

        The master waits in system calls and needs signals and forks as they are, not as gevent
        makes them; its workers use gevent.
        """
        for name in ("fork", "waitpid"):
            setattr(os, name, get_original("os", name))
        arbiter = Master(self)
        arbiter.SIG_QUEUE = _SimpleQueue()
        arbiter.run()


def run(ctx: Context) -> None:
    """Serve metrics on all of `ctx.listens` until told to stop."""
    WebServer(ctx, make_app()).run()
