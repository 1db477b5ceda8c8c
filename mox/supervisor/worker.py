"""The supervisor's record of one worker process, and when to start it again."""

from __future__ import annotations

from dataclasses import dataclass

from mox.supervisor.kinds import Kind

FIRST_DELAY_S = 0.1
MAX_DELAY_S = 30.0
STABLE_S = 60.0


@dataclass(slots=True, eq=False)
class Worker:
    """A place in the server, and the process that fills it now.

    `index` numbers the workers of a kind (and picks their sockets), `slot` all processes alive
    (and picks the bell); a place keeps both when its process is replaced after a crash.
    """

    kind: Kind
    index: int
    generation: int
    slot: int | None = None
    pid: int = 0
    ready: bool = False
    started_at: float = 0.0
    start_due: float = 0.0
    failures: int = 0
    kill_at: float | None = None
    """Set once the process was told to stop: when it is killed if it has not."""

    def __str__(self) -> str:
        return f"{self.kind.name} worker {self.index + 1}" if self.kind.per_core else self.kind.name

    @property
    def alive(self) -> bool:
        return self.pid != 0

    def started(self, pid: int, now: float) -> None:
        self.pid, self.started_at, self.ready, self.kill_at = pid, now, False, None

    def ended(self) -> None:
        self.pid, self.ready, self.kill_at = 0, False, None

    def plan_restart(self, now: float) -> float:
        """Set when to start again after an unwanted end; returns the delay in seconds."""
        if now - self.started_at >= STABLE_S:
            self.failures = 0
        # The exponent is bounded because 2.0**n overflows long after the delay has its maximum.
        delay = min(MAX_DELAY_S, FIRST_DELAY_S * 2.0 ** min(self.failures, 20))
        self.failures += 1
        self.start_due = now + delay
        return delay
