"""The desk: finds the URLs that have calls which are due, and sends a caller to each.

A scan asks the index for the first call of each URL, however many follow. Those that were not
served for longest come first, and those that did not answer the last time never take all callers.
"""

from __future__ import annotations

import time
from typing import TYPE_CHECKING, Final

import gevent
from gevent.event import Event
from gevent.pool import Group

from mox import logfmt
from mox.metrics import PANICS
from mox.queue.webhook.caller import LINGER_S, Caller
from mox.turns import give_turn

if TYPE_CHECKING:
    from mox.queue.services import Services
    from mox.store.hooks import Line

log = logfmt.logger("webhook")

MAX_CALLERS: Final = 10
# Of these, for URLs that did not answer the last time.
MAX_DOUBTFUL: Final = 5
# A receiver that did not answer is left alone this long.
PAUSE_S: Final = 1.0
# URLs that are remembered for having failed, and for when they were served.
MAX_REMEMBERED: Final = 10_000
# Looked at even if nothing seems to be due: clocks can be set.
LOOK_S: Final = 60.0
# After a scan, this many times its duration belongs to others.
_REST: Final = 19
_MAX_REST_S: Final = 2.0
_SLICE: Final = 500


class Desk:
    """See the module. `wake` asks for a scan."""

    def __init__(self, services: Services, *, linger_s: float = LINGER_S) -> None:
        self.services = services
        self.wake = Event()
        self.is_stopping = False
        self.is_short = False  # of callers: some URL waits for one
        self._linger_s = linger_s
        self._callers: dict[bytes, Caller] = {}
        self._doubtful: set[bytes] = set()  # of those that have a caller
        self._resume_at: dict[bytes, float] = {}  # of URLs that did not answer
        self._served: dict[bytes, float] = {}
        self._greenlets = Group()

    def run(self) -> None:
        """Scan whenever something may be due; returns after `stop`."""
        while not self.is_stopping:
            began = time.monotonic()
            self.wake.clear()
            try:
                next_at = self._scan()
            except Exception:  # the border: the queue goes on
                PANICS.labels("webhook").inc()
                log.exception("unexpected error while looking for webhooks")
                next_at = self.services.clock() + 1.0
            gevent.sleep(min(_MAX_REST_S, _REST * (time.monotonic() - began)))
            self.wake.wait(min(LOOK_S, max(0.0, next_at - self.services.clock())))

    def stop(self, grace_s: float) -> None:
        """Begin nothing new and wait until what runs has ended, or time is up."""
        self.is_stopping = True
        self.wake.set()
        for caller in self._callers.values():
            caller.poke.set()
        self._greenlets.join(grace_s)
        self._greenlets.kill()

    # ---- finding work

    def _scan(self) -> float:
        """Send callers to URLs that have calls; returns when the next one has."""
        now = self.services.clock()
        earliest = now + LOOK_S
        waiting: list[bytes] = []
        after = b""
        while lines := self.services.hooks.lines(after, _SLICE):
            after = lines[-1].key
            for line in lines:
                when = self._due_at(line)
                if when > now:
                    earliest = min(earliest, when)
                elif (caller := self._callers.get(line.key)) is not None:
                    caller.poke.set()
                else:
                    waiting.append(line.key)
            if len(lines) < _SLICE or self.is_stopping:
                break
            give_turn()
        waiting.sort(key=lambda key: self._served.get(key, 0.0))
        left = [key for key in waiting if not self._send(key)]
        self.is_short = bool(left) and len(self._callers) >= MAX_CALLERS
        if self.is_short:
            # Those that only wait for something to come may go.
            for caller in self._callers.values():
                caller.poke.set()
        return earliest

    def _due_at(self, line: Line) -> float:
        return max(line.when, self._resume_at.get(line.key, 0.0))

    # ---- callers

    def _send(self, key: bytes) -> bool:
        """Send a caller, if there are not too many already."""
        is_doubtful = key in self._resume_at
        if self.is_stopping or len(self._callers) >= MAX_CALLERS:
            return False
        if is_doubtful and len(self._doubtful) >= MAX_DOUBTFUL:
            return False
        caller = self._callers[key] = Caller(self, key, linger_s=self._linger_s)
        if is_doubtful:
            self._doubtful.add(key)
        self._greenlets.spawn(self._run, key, caller)
        return True

    def _run(self, key: bytes, caller: Caller) -> None:
        try:
            caller.run()
        except Exception:  # the border of a job: the others go on
            PANICS.labels("webhook").inc()
            log.exception("unexpected error in a webhook")
            caller.has_failed = True
        finally:
            del self._callers[key]
            self._doubtful.discard(key)
            self._note(key, caller)
            self.wake.set()

    def _note(self, key: bytes, caller: Caller) -> None:
        """Remember how it went with a URL."""
        for memory in (self._served, self._resume_at):
            if len(memory) >= MAX_REMEMBERED:
                memory.clear()
        self._served[key] = time.monotonic()
        if caller.has_failed:
            self._resume_at[key] = self.services.clock() + PAUSE_S
        else:
            self._resume_at.pop(key, None)
