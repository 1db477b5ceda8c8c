"""The workers of all generations: which there should be, which there are, which must go.

A generation is the set of workers under one configuration or program. Its workers stand in
`places`; when a next one comes they move to `retiring` and serve on until their kind is ready in
the new generation, so that a new one that cannot start costs nothing.
"""

from __future__ import annotations

import os
import signal
from collections.abc import Callable, Iterator, Sequence

from mox import logfmt
from mox.supervisor.handover import Child
from mox.supervisor.kinds import Kind
from mox.supervisor.settings import Settings
from mox.supervisor.slots import Slots
from mox.supervisor.worker import STABLE_S, Worker

log = logfmt.logger("serve")


def places_of(kinds: Sequence[Kind], settings: Settings) -> list[tuple[Kind, int]]:
    """List the workers that this configuration needs: kinds with their indexes."""
    offered = {endpoint.service for endpoint in settings.endpoints}
    wanted = [kind for kind in kinds if not kind.services or offered.intersection(kind.services)]
    return [
        (kind, index)
        for kind in wanted
        for index in range(settings.workers if kind.per_core else 1)
    ]


class Crew:
    """`fork` starts a worker in its slot and returns the pid; `clock` is monotonic.

    A worker that was told to stop is killed after `grace_s`.
    """

    def __init__(
        self,
        slots: Slots,
        fork: Callable[[Worker], int],
        clock: Callable[[], float],
        grace_s: float,
    ) -> None:
        self._slots = slots
        self._fork = fork
        self._clock = clock
        self.places: list[Worker] = []
        self.retiring: list[Worker] = []
        self.grace_s = grace_s

    def __iter__(self) -> Iterator[Worker]:
        yield from self.places
        yield from self.retiring

    @property
    def all_ready(self) -> bool:
        return all(worker.ready for worker in self.places)

    @property
    def is_empty(self) -> bool:
        return not any(worker.alive for worker in self)

    def adopt(self, children: Sequence[Child], kinds: Sequence[Kind]) -> None:
        """Take over processes of the program before us, to be retired."""
        by_name = {kind.name: kind for kind in kinds}
        for child in children:
            kind = by_name.get(child.kind, Kind(child.kind, ""))
            self._slots.claim(child.slot)
            worker = Worker(kind, child.index, 0, slot=child.slot)
            worker.started(child.pid, self._clock())
            worker.ready = True
            self.retiring.append(worker)
            if kind.exclusive or kind.name not in by_name:
                self._stop(worker)

    def plan(self, wanted: Sequence[tuple[Kind, int]], generation: int) -> None:
        """Begin a generation; the one before it retires."""
        kinds = {kind.name for kind, _ in wanted}
        for worker in self.places:
            if not worker.alive:
                self._slots.release(worker.slot)
                continue
            self.retiring.append(worker)
            if worker.kind.exclusive or not worker.ready or worker.kind.name not in kinds:
                self._stop(worker)
        self.places = [Worker(kind, index, generation) for kind, index in wanted]

    def tend(self) -> None:
        """Do what is due: start, retire, kill."""
        now = self._clock()
        for worker in self.places:
            if not worker.alive and worker.start_due <= now and self._may_start(worker):
                self._start(worker, now)
            elif worker.alive and not worker.ready and now - worker.started_at >= STABLE_S:
                log.warn("worker does not say that it serves", worker=str(worker), pid=worker.pid)
                worker.ready = True
        waiting = {worker.kind.name for worker in self.places if not worker.ready}
        for worker in self.retiring:
            if worker.kill_at is None and worker.kind.name not in waiting:
                self._stop(worker)
        for worker in self:
            if worker.kill_at is not None and worker.kill_at <= now:
                log.warn("worker did not end in time, killing it", worker=str(worker))
                self._kill(worker)

    def next_due(self) -> float | None:
        """Seconds until `tend` has something to do; None when only an event can bring work."""
        times = [worker.kill_at for worker in self if worker.kill_at is not None]
        for worker in self.places:
            if worker.alive and not worker.ready:
                times.append(worker.started_at + STABLE_S)
            elif not worker.alive and self._may_start(worker):
                times.append(worker.start_due)
        return min(times) - self._clock() if times else None

    def mark_ready(self, pid: int) -> None:
        for worker in self.places:
            if worker.pid == pid:
                worker.ready = True

    def reaped(self, pid: int, status: int) -> Worker | None:
        """Note the end of a process; returns its place when it is to be filled again later."""
        for worker in self.retiring:
            if worker.pid == pid:
                self.retiring.remove(worker)
                self._slots.release(worker.slot)
                log.debug("old worker ended", worker=str(worker), pid=pid, how=_describe(status))
                return None
        for worker in self.places:
            if worker.pid == pid:
                self._ended(worker, pid, status)
                return worker
        return None

    def stop(self) -> None:
        """Tell all to finish; nothing starts again."""
        for worker in self.places:
            if worker.alive:
                self.retiring.append(worker)
            else:
                self._slots.release(worker.slot)
        self.places = []
        for worker in self.retiring:
            if worker.kill_at is None:
                self._stop(worker)

    def kill(self) -> None:
        """End all now."""
        for worker in self:
            self._kill(worker)

    def children(self) -> list[Child]:
        """All processes, for the program that takes over."""
        return [
            Child(worker.pid, worker.kind.name, worker.index, worker.slot)
            for worker in self
            if worker.alive and worker.slot is not None
        ]

    def _may_start(self, worker: Worker) -> bool:
        if not worker.kind.exclusive:
            return True
        return all(old.kind.name != worker.kind.name for old in self.retiring)

    def _start(self, worker: Worker, now: float) -> None:
        if worker.slot is None:
            worker.slot = self._slots.take()
        if worker.slot is None:
            worker.start_due = now + 1.0  # a retiring worker will give one back
            return
        try:
            pid = self._fork(worker)
        except OSError as exc:
            delay = worker.plan_restart(now)
            log.error("starting a worker", err=exc, worker=str(worker), again_s=delay)
            return
        worker.started(pid, now)
        log.debug("worker started", worker=str(worker), pid=pid, slot=worker.slot)

    def _stop(self, worker: Worker) -> None:
        worker.kill_at = self._clock() + self.grace_s
        os.kill(worker.pid, signal.SIGTERM)

    def _kill(self, worker: Worker) -> None:
        if not worker.alive:
            return
        worker.kill_at = self._clock() + self.grace_s
        try:
            os.killpg(worker.pid, signal.SIGKILL)  # with what it started itself
        except ProcessLookupError:
            os.kill(worker.pid, signal.SIGKILL)

    def _ended(self, worker: Worker, pid: int, status: int) -> None:
        delay = worker.plan_restart(self._clock())
        worker.ended()
        log.error(
            "worker died",
            worker=str(worker),
            pid=pid,
            how=_describe(status),
            why=_advice(status, pid),
            again_s=delay,
        )


def _describe(status: int) -> str:
    if os.WIFSIGNALED(status):
        number = os.WTERMSIG(status)
        return f"killed by signal {number} ({signal.strsignal(number)})"
    return f"exit status {os.WEXITSTATUS(status)}"


def _advice(status: int, pid: int) -> str:
    if not os.WIFSIGNALED(status):
        return f"see the lines before this one with pid={pid}, or the last ones of this worker"
    if os.WTERMSIG(status) == signal.SIGKILL:
        return "somebody killed it; the kernel does so when memory runs out: see dmesg"
    return "a stack may be printed before this line; coredumpctl may have more"
