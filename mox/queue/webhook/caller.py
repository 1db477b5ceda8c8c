"""A caller: makes one call of a URL after the other, as they became due.

Attempts are recorded before they are made. A receiver that answers quickly gets many calls between
two writes of the index; what a crash repeats stays below a second's work.
"""

from __future__ import annotations

import time
from collections.abc import Iterable, Sequence
from typing import TYPE_CHECKING, Final

import gevent
from gevent.event import Event

from mox import logfmt
from mox.delivery.webhooks import keep_until
from mox.queue.webhook import metrics, schedule
from mox.queue.webhook.connection import CallFailed, Receiver
from mox.queue.webhook.exchange import Answer, Request
from mox.store.errors import StoreError
from mox.store.hook_records import Hook, HookResult
from mox.store.hooks import Due, HookOutcome, HookRelease, HookStart

if TYPE_CHECKING:
    from mox.queue.webhook.desk import Desk

log = logfmt.logger("webhook")

# Calls that are recorded as begun at once, and how long those after the first may wait.
MAX_BATCH: Final = 64
BATCH_S: Final = 1.0
# A connection without work is kept this long.
LINGER_S: Final = 5.0
# While others wait for their turn, a URL has it this long.
TURN_S: Final = 2.0
# Calls that share a failure to reach their receiver.
SHARED: Final = 100
# After the disk could not take a record.
RETRY_S: Final = 1.0
_MAX_ERROR_CHARS: Final = 1000

_Begun = tuple[Hook, bytes, HookStart]


class Caller:
    """See the module. `run` is a greenlet's work; it ends when there is nothing to do."""

    def __init__(self, desk: Desk, key: bytes, *, linger_s: float = LINGER_S) -> None:
        self.poke = Event()  # there may be something to do
        self.has_failed = False  # there was no answer the last time
        self._desk = desk
        self._services = desk.services
        self._key = key
        self._linger_s = linger_s
        self._receiver: Receiver | None = None
        self._url = ""
        self._batch = 1
        self._outcomes: list[HookOutcome] = []
        self._releases: list[HookRelease] = []

    def run(self) -> None:
        """Make calls until none is due for a while, others need the turn, or all fail to arrive."""
        began = time.monotonic()
        try:
            while not self._desk.is_stopping and not self.has_failed:
                if self._desk.is_short and time.monotonic() - began > TURN_S:
                    break
                due = self._services.hooks.due(self._key, self._services.clock(), self._batch)
                if due:
                    self._make(due)
                elif not self._rest():
                    break
        finally:
            self._flush()
            self._close()

    def _rest(self) -> bool:
        """Wait for something to do; false when it is time to go."""
        self._flush()
        if self._desk.is_short:
            return False
        was_poked = self.poke.wait(self._linger_s)
        self.poke.clear()
        return was_poked

    def _make(self, due: Sequence[Due]) -> None:
        calls = self._begin(due)
        began = time.monotonic()
        # Should one take its time, the ends of those before it must not wait.
        late = gevent.spawn_later(BATCH_S, self._flush)
        is_good = self._make_some(calls, began + BATCH_S)
        took_s = time.monotonic() - began
        if took_s < BATCH_S:
            late.kill()
        else:
            late.join()
        if not is_good:
            self._batch = 1
        elif took_s < BATCH_S / 2:
            self._batch = min(self._batch * 2, MAX_BATCH)
        elif took_s >= BATCH_S:
            self._batch = max(1, self._batch // 2)

    def _make_some(self, calls: Sequence[_Begun], deadline: float) -> bool:
        """Make calls until one fails or time is up, the first in any case; give the rest back.

        Returns whether all that were made succeeded.
        """
        is_good = True
        for n, call in enumerate(calls):
            is_over = not is_good or time.monotonic() > deadline or self._desk.is_stopping
            if n and (is_over or not self._services.hooks.is_live(call[0].id)):
                self._releases.append(HookRelease(call[2]))
            else:
                is_good = self._make_one(call)
        return is_good

    def _make_one(self, call: _Begun) -> bool:
        """Make a call; whether the receiver took it."""
        hook, body, _ = call
        started, begun = self._services.clock(), time.monotonic()
        answer: Answer | None = None
        error = ""
        try:
            answer = self._receiver_of(hook).call(_request(hook, body))
            error = answer.error
        except CallFailed as e:
            error = str(e)[:_MAX_ERROR_CHARS]
            self.has_failed = True
            if not e.reached:
                self._share(hook, error)
        duration_s = time.monotonic() - begun
        metrics.REQUESTS.observe(duration_s)
        self._end(hook, _result(hook, started, duration_s, answer, error))
        return answer is not None and answer.is_success

    def _share(self, like: Hook, error: str) -> None:
        """Let others that are due for a receiver that is not there fail the same way."""
        self._flush()
        now = self._services.clock()
        due = self._services.hooks.due(self._key, now, SHARED)
        for hook, _, _ in self._begin([one for one in due if one.id != like.id]):
            self._end(hook, _result(hook, now, 0.0, None, error))

    def _receiver_of(self, hook: Hook) -> Receiver:
        if self._receiver is None or self._url != hook.url:
            self._close()
            self._url = hook.url
            self._receiver = Receiver(self._services, hook.url)
        return self._receiver

    def _close(self) -> None:
        receiver, self._receiver = self._receiver, None
        if receiver is not None:
            receiver.close()

    # ---- records

    def _begin(self, due: Sequence[Due]) -> list[_Begun]:
        """Record attempts as begun, and what has ended; returns those that are to be made."""
        now = self._services.clock()
        starts = {one.id: self._start(one, now) for one in due}
        begun = self._record(starts.values(), now)
        return [(hook, body, starts[hook.id]) for hook, body in begun]

    def _start(self, due: Due, now: float) -> HookStart:
        hook = self._services.hooks.get(due.id)
        attempt = 1 if hook is None else hook.attempts + 1
        wait_s = schedule.wait_s(attempt, self._services.chance)
        return HookStart(due.id, due.when, now + wait_s)

    def _end(self, hook: Hook, result: HookResult) -> None:
        is_done = result.success or schedule.is_last(hook.attempts)
        kept = 0.0
        if is_done:
            kept = keep_until(self._services.config, hook.account, self._services.clock())
        self._outcomes.append(HookOutcome(hook.id, result, is_done, kept))
        metrics.count(result.code)
        _log(hook, result, is_done=is_done)

    def _flush(self) -> None:
        if self._outcomes or self._releases:
            self._record((), 0.0)

    def _record(self, starts: Iterable[HookStart], now: float) -> list[tuple[Hook, bytes]]:
        """Does not give up while the disk takes no writes: what was taken must not be repeated."""
        outcomes, self._outcomes = self._outcomes, []
        releases, self._releases = self._releases, []
        begun = list(starts)
        while True:
            try:
                return self._services.hooks.record(outcomes, releases, begun, now)
            except StoreError as e:
                log.error("recording webhooks, will be tried again", err=e)
                gevent.sleep(RETRY_S)


def _request(hook: Hook, body: bytes) -> Request:
    return Request(id=hook.id, attempt=hook.attempts, body=body, authorization=hook.authorization)


def _result(
    hook: Hook, started: float, duration_s: float, answer: Answer | None, error: str
) -> HookResult:
    return HookResult(
        start=started,
        duration_s=duration_s,
        url=hook.url,
        success=answer is not None and answer.is_success,
        code=answer.status if answer is not None else 0,
        error=error,
        response=answer.body.decode("utf-8", "replace") if answer is not None else "",
    )


def _log(hook: Hook, result: HookResult, *, is_done: bool) -> None:
    if result.success:
        text = "webhook delivered"
    else:
        text = "webhook failed for good" if is_done else "webhook failed, will be tried again"
    log.info(
        text,
        err=result.error or None,
        id=hook.id,
        account=hook.account,
        event=hook.kind,
        attempt=hook.attempts,
        code=result.code,
        duration_ms=round(result.duration_s * 1000, 1),
    )
