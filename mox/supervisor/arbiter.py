"""The supervisor's loop: hear signals and children, keep the workers that should be there."""

from __future__ import annotations

import os
import signal
import sys
import time
from collections.abc import Callable, Mapping, Sequence
from functools import partial

from gevent.monkey import get_original

from mox import logfmt, metrics
from mox.serving.context import Listen
from mox.supervisor import handover, pidfile
from mox.supervisor.child import Job, run_child
from mox.supervisor.crew import Crew, places_of
from mox.supervisor.errors import StartError
from mox.supervisor.inboxes import Inboxes, close_all, make_inboxes
from mox.supervisor.kinds import Kind, Run
from mox.supervisor.notify import VARIABLE as NOTIFY_VARIABLE
from mox.supervisor.notify import Notifier
from mox.supervisor.settings import Endpoint, Settings
from mox.supervisor.slots import Slots
from mox.supervisor.sockets import SocketTable
from mox.supervisor.wakeup import Wakeup
from mox.supervisor.worker import Worker

# gevent's versions would start its loop in the supervisor.
_fork: Callable[[], int] = get_original("os", "fork")
_waitpid: Callable[[int, int], tuple[int, int]] = get_original("os", "waitpid")
_posix_spawn: Callable[..., int] = get_original("os", "posix_spawn")

log = logfmt.logger("serve")


class Supervisor:
    """Serves one data directory until told to stop.

    `load` reads the configuration anew and raises MoxError when it is not usable. `command` is
    the command line that starts this program again; with `-check` added it must say by its exit
    status whether it would start.
    """

    def __init__(
        self,
        load: Callable[[], Settings],
        settings: Settings,
        *,
        kinds: Sequence[Kind],
        command: Sequence[str],
        inherited: handover.Handover | None = None,
    ) -> None:
        """Open the ports. Raises StartError when that, or the lock on the data, fails."""
        self._load = load
        self._settings = settings
        self._kinds = kinds
        self._command = list(command)
        self._inherited = inherited
        self._runs: dict[str, Run] = {kind.name: kind.resolve() for kind in kinds}
        self._generation = inherited.generation + 1 if inherited else 1
        self._pidfile_path = pidfile.pid_path(settings.data_dir)
        self._pidfile = inherited.pidfile_fd if inherited else pidfile.acquire(self._pidfile_path)
        self._sockets = SocketTable(inherited.addresses if inherited else None)
        self._inboxes = self._provide(settings)
        most = sum(settings.workers if kind.per_core else 1 for kind in kinds)
        self._slots = Slots(most, inherited.bells if inherited else ())
        self._notifier = Notifier(log)
        self._crew = Crew(self._slots, self._start, time.monotonic, settings.grace_s)
        self._checker = 0
        self._stopping: signal.Signals | None = None
        self._announced = False

    def run(self) -> int:
        """Serve; returns the number of the signal that ended it, as the exit status."""
        self._wakeup = Wakeup()
        if self._inherited is not None:
            self._crew.adopt(self._inherited.children, self._kinds)
        self._begin_generation(self._inboxes)
        while True:
            self._crew.tend()
            self._announce()
            if self._stopping is not None and self._crew.is_empty:
                break
            signals, ready = self._wakeup.wait(self._crew.next_due())
            for pid in ready:
                self._crew.mark_ready(pid)
            for number in signals:
                self._hear(number)
            self._reap()
        pidfile.release(self._pidfile, self._pidfile_path)
        log.print("stopped", signal=self._stopping.name)
        return int(self._stopping)

    def _hear(self, number: signal.Signals) -> None:
        match number:
            case signal.SIGTERM | signal.SIGINT:
                self._stop(number)
            case signal.SIGHUP if self._stopping is None:
                self._reload()
            case signal.SIGUSR2 if self._stopping is None:
                self._check_upgrade()

    def _stop(self, number: signal.Signals) -> None:
        if self._stopping is not None:
            log.print("told to stop again, not waiting for connections", signal=number.name)
            self._crew.kill()
            return
        log.print("stopping, waiting for connections to finish", signal=number.name)
        self._stopping = number
        self._notifier.stopping()
        # Nobody is to wait in a queue that is not served any more.
        self._sockets.provide({})
        self._mark_ending(True)
        self._crew.stop()

    def _begin_generation(self, inboxes: Mapping[str, Inboxes]) -> None:
        self._inboxes = inboxes
        places = places_of(self._kinds, self._settings)
        self._crew.grace_s = self._settings.grace_s
        self._crew.plan(places, self._generation)
        self._announced = False

    def _announce(self) -> None:
        if self._announced or self._stopping is not None or not self._crew.all_ready:
            return
        self._announced = True
        self._notifier.ready()
        log.print(
            "ready to serve",
            workers=len(self._crew.places),
            generation=self._generation,
            pid=os.getpid(),
        )

    def _reload(self) -> None:
        """SIGHUP: take a new configuration if all of it can be had, else keep the old one."""
        self._notifier.reloading()
        try:
            settings = self._load()
            if settings.data_dir != self._settings.data_dir:
                raise StartError("DataDir changed: this takes a stop and a start")
            inboxes = self._provide(settings)
        except Exception as exc:  # whatever is wrong with the new one, the old one goes on
            for line in logfmt.describe(exc).splitlines():
                log.error("new configuration not taken, the old one stays in force", err=line)
            self._notifier.ready()
            return
        self._settings = settings
        logfmt.configure(settings.log_level, settings.package_log_levels)
        self._generation += 1
        self._mark_ending(True)
        close_all(self._inboxes.values())
        self._begin_generation(inboxes)
        log.info("configuration loaded anew, replacing workers", generation=self._generation)

    def _check_upgrade(self) -> None:
        """SIGUSR2, first half: see in another process whether the new program would start."""
        if self._checker:
            log.warn("an upgrade is being checked already")
            return
        command = [*self._command, "-check"]
        environment = {k: v for k, v in os.environ.items() if k != metrics.DIRECTORY_VARIABLE}
        try:
            self._checker = _posix_spawn(command[0], command, environment, setsigmask=())
        except OSError as exc:
            log.error("starting the new program", err=exc, command=command)

    def _upgrade(self, status: int) -> None:
        """SIGUSR2, second half: become the new program, with the same pid, sockets and children."""
        if status != 0:
            log.error("new program would not start, see the lines above; the old one goes on")
            return
        if self._stopping is not None:
            return
        log.print("starting the new program", generation=self._generation + 1)
        self._notifier.reloading()
        environment = {k: v for k, v in os.environ.items() if k != metrics.DIRECTORY_VARIABLE}
        if self._notifier.address:
            environment[NOTIFY_VARIABLE] = self._notifier.address
        told = handover.Handover(
            pidfile_fd=self._pidfile,
            bells=self._slots.fds,
            sockets=handover.sockets_of(self._sockets.filenos()),
            children=self._crew.children(),
            generation=self._generation,
        )
        sys.stdout.flush()
        sys.stderr.flush()
        # What arrives from here on stays pending until the new program listens.
        with self._wakeup.quiet():
            self._wakeup.keep_for_next_program()
            # The next program cannot tell them any more.
            self._mark_ending(True)
            try:
                handover.execute(told, self._command, environment)
            except OSError as exc:
                log.error("starting the new program, the old one goes on", err=exc)
                self._mark_ending(False)
                self._notifier.ready()

    def _reap(self) -> None:
        while True:
            try:
                pid, status = _waitpid(-1, os.WNOHANG)
            except ChildProcessError:
                return
            if pid == 0:
                return
            metrics.process_ended(pid)
            if pid == self._checker:
                self._checker = 0
                self._upgrade(status)
            elif (worker := self._crew.reaped(pid, status)) is not None:
                inboxes = self._inboxes.get(worker.kind.name)
                if inboxes is not None:
                    inboxes.forget(worker.index)

    def _start(self, worker: Worker) -> int:
        assert worker.slot is not None
        listens = [
            Listen(
                endpoint.listener,
                endpoint.service,
                self._sockets.get(endpoint, worker.index),
                endpoint.implicit_tls,
                endpoint.port,
            )
            for endpoint in self._settings.endpoints
            if endpoint.service in worker.kind.services
        ]
        job = Job(
            worker=worker,
            run=self._runs[worker.kind.name],
            settings=self._settings,
            listens=listens,
            bells=self._slots.fds,
            slot=worker.slot,
            inboxes=self._inboxes.get(worker.kind.name),
            ready_fd=self._wakeup.ready_fd,
            parent=os.getpid(),
            close=partial(self._close_in_child, worker.kind, listens),
        )
        with self._wakeup.quiet():
            pid = _fork()
            if pid == 0:
                run_child(job)
        return pid

    def _close_in_child(self, kind: Kind, listens: Sequence[Listen]) -> None:
        self._wakeup.close_in_child()
        close_all(others for name, others in self._inboxes.items() if name != kind.name)
        self._sockets.close_all_but([listen.sock for listen in listens])
        os.close(self._pidfile)

    def _mark_ending(self, ending: bool) -> None:
        for inboxes in self._inboxes.values():
            inboxes.set_ending(ending)

    def _provide(self, settings: Settings) -> Mapping[str, Inboxes]:
        """Make what the workers need, or raise StartError with everything as before."""
        inboxes = make_inboxes(places_of(self._kinds, settings))
        try:
            self._sockets.provide(self._socket_counts(settings))
        except StartError:
            close_all(inboxes.values())
            raise
        return inboxes

    def _socket_counts(self, settings: Settings) -> dict[Endpoint, int]:
        counts: dict[Endpoint, int] = {}
        for kind, _ in places_of(self._kinds, settings):
            for endpoint in settings.endpoints:
                if endpoint.service in kind.services:
                    counts[endpoint] = counts.get(endpoint, 0) + 1
        return counts
