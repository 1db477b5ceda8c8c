"""What follows from an attempt: done, tried again or given up; told, logged, counted."""

from __future__ import annotations

from datetime import timedelta
from typing import TYPE_CHECKING, Final

from mox import logfmt
from mox.delivery import webhooks
from mox.queue import metrics, notices, schedule
from mox.queue.delivery import Delivery
from mox.queue.services import Services
from mox.queue.verdict import Verdict
from mox.store.errors import StoreError
from mox.store.outgoing import Outcome
from mox.store.outgoing_records import AttemptResult, QueueMessage
from mox.webapi.hooks import Event

if TYPE_CHECKING:
    from mox.config import Config
    from mox.store.hooks_txn import OutgoingHook

log = logfmt.logger("queue")

# What left the queue of an account that is gone is remembered this long.
KEEP_OF_UNKNOWN: Final = timedelta(days=7)
# Of an error's text, in a record.
_MAX_ERROR_CHARS: Final = 2000


def settle(services: Services, msg: QueueMessage, delivery: Delivery, transport: str) -> Outcome:
    """Return how the attempt for `msg` is to be recorded, after telling the sender if need be.

    Blocks while a notification is stored. Never raises StoreError.
    """
    verdict, now = delivery.verdict, services.clock()
    duration_s = max(0.0, now - msg.last_attempt)
    if not verdict.success and schedule.is_last(msg.attempts, msg.max_attempts):
        verdict = verdict.as_permanent()
    is_done = verdict.success or verdict.permanent
    has_told = _tell(services, msg, verdict, now)
    if not verdict.success:
        is_done = has_told and is_done
    if is_done and not verdict.success and msg.is_dmarc_report:
        metrics.DMARC_REPORT_FAILURES.inc()
    timer = metrics.delivery(msg.attempts, transport, verdict.tls_mode, verdict.label)
    timer.observe(duration_s)
    _log(msg, verdict, duration_s, is_done=is_done)
    return Outcome(
        id=msg.id,
        result=AttemptResult(
            start=msg.last_attempt,
            duration_s=duration_s,
            success=verdict.success,
            code=verdict.code,
            secode=verdict.secode,
            error=verdict.error[:_MAX_ERROR_CHARS],
        ),
        done=is_done,
        next_attempt=msg.next_attempt,
        keep_until=keep_until(services.config, msg.sender_account, now) if is_done else 0.0,
        dialed_ips=delivery.dialed_ips,
        hook=_call(services.config, msg, verdict, now, is_done=is_done),
    )


def _call(
    config: Config, msg: QueueMessage, verdict: Verdict, now: float, *, is_done: bool
) -> OutgoingHook | None:
    """Return the call of an application about the attempt, if one wants to hear of it."""
    if verdict.success:
        return webhooks.about_sent(config, msg, Event.DELIVERED, now)
    event = Event.FAILED if is_done else Event.DELAYED
    return webhooks.about_sent(
        config,
        msg,
        Event.SUPPRESSED if is_done and verdict.suppressed else event,
        now,
        code=verdict.code,
        secode=verdict.secode,
        error=verdict.error[:_MAX_ERROR_CHARS],
    )


def _tell(services: Services, msg: QueueMessage, verdict: Verdict, now: float) -> bool:
    """Tell the sender what has to be told; false when that could not be stored."""
    try:
        if verdict.success:
            notices.tell_success(services, msg, verdict, now)
        elif verdict.permanent:
            notices.tell_failure(services, msg, verdict, now)
        elif schedule.is_time_to_tell(msg.attempts, msg.max_attempts):
            times = schedule.further_attempts(msg.attempts, msg.max_attempts, msg.next_attempt)
            notices.tell_delay(services, msg, verdict, now, times)
    except StoreError as e:
        # A message that failed stays and is tried again: it must not vanish without a word.
        log.error("storing notification about delivery", err=e, id=msg.id)
        return False
    return True


def keep_until(config: Config, account_name: str, now: float) -> float:
    """Return until when to remember what leaves an account's queue now; 0: not at all."""
    account = config.dynamic.accounts.get(account_name)
    period = account.keep_retired_message_period if account else KEEP_OF_UNKNOWN
    return now + period.total_seconds() if period else 0.0


def _log(msg: QueueMessage, verdict: Verdict, duration_s: float, *, is_done: bool) -> None:
    if verdict.success:
        text = "message delivered"
    else:
        text = "delivery failed for good" if is_done else "delivery failed, will be tried again"
    log.info(
        text,
        err=verdict.error or None,
        id=msg.id,
        account=msg.sender_account,
        mailfrom=msg.sender.path(),
        rcptto=msg.recipient.path(),
        attempt=msg.attempts,
        host=verdict.host,
        remote_ip=verdict.ip,
        code=verdict.code,
        tlsmode=verdict.tls_mode,
        duration_ms=round(duration_s * 1000, 1),
    )
