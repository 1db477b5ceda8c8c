"""What an administrator does to queued messages: hold, reschedule, redirect, fail, drop.

Each works on ids, in steps that leave the index to others in between, and returns how many
messages it changed. A running queue process hears of what concerns it.
"""

from __future__ import annotations

import itertools
from collections.abc import Callable, Iterable, Iterator
from dataclasses import dataclass
from typing import TYPE_CHECKING, Final

from msgspec import structs

from mox.address import Domain, parse_domain
from mox.delivery import webhooks
from mox.queue import notices
from mox.queue.settle import keep_until
from mox.queue.verdict import Verdict
from mox.store import hold_rules
from mox.store.hold_rules import HoldRule
from mox.store.outgoing import Outcome, Outgoing
from mox.store.outgoing_records import AttemptResult, QueueId, QueueMessage
from mox.store.outgoing_select import Filter, select
from mox.webapi.hooks import Event

if TYPE_CHECKING:
    from mox.config import Config
    from mox.store import Store

CANCELED: Final = "delivery canceled by admin"
_STEP: Final = 200

Change = Callable[[QueueMessage], QueueMessage]


@dataclass(frozen=True, slots=True)
class Office:
    """What it takes to end a delivery: the store, and the configuration in force."""

    store: Store
    config: Config
    outgoing: Outgoing

    @property
    def hostname(self) -> Domain:
        return parse_domain(self.config.static.hostname)


def _steps(ids: Iterable[QueueId]) -> Iterator[list[QueueId]]:
    rest = iter(ids)
    while step := list(itertools.islice(rest, _STEP)):
        yield step


def change(queue: Outgoing, ids: Iterable[QueueId], how: Change) -> int:
    """Replace records by what `how` returns for them."""
    return sum(len(queue.update(step, how)) for step in _steps(ids))


def hold(on: bool) -> Change:
    return lambda msg: structs.replace(msg, hold=on)


def schedule_at(when: float) -> Change:
    return lambda msg: structs.replace(msg, next_attempt=when)


def postpone(by_s: float) -> Change:
    return lambda msg: structs.replace(msg, next_attempt=msg.next_attempt + by_s)


def transport(name: str) -> Change:
    """`name` "" is by routing rules."""
    return lambda msg: structs.replace(msg, transport=name)


def require_tls(wanted: bool | None) -> Change:
    return lambda msg: structs.replace(msg, require_tls=wanted)


def fail(office: Office, ids: Iterable[QueueId], now: float) -> int:
    """Give messages up, as if they could not be delivered: their senders are told.

    Raises StoreError when a notification cannot be stored; that message stays.
    """
    return _end(office, ids, now, tell=True)


def drop(office: Office, ids: Iterable[QueueId], now: float) -> int:
    """Remove messages without telling their senders."""
    return _end(office, ids, now, tell=False)


def _end(office: Office, ids: Iterable[QueueId], now: float, *, tell: bool) -> int:
    count = 0
    for step in _steps(ids):
        messages = [msg for id in step if (msg := office.outgoing.get(id)) is not None]
        if tell:
            for msg in messages:
                verdict = Verdict(permanent=True, error=CANCELED)
                notices.tell_failure(office, msg, verdict, now)
                office.outgoing.record([_canceled(office, msg, now, Event.FAILED)])
        else:
            office.outgoing.record(
                [_canceled(office, msg, now, Event.CANCELED) for msg in messages]
            )
        count += len(messages)
    return count


def _canceled(office: Office, msg: QueueMessage, now: float, event: Event) -> Outcome:
    return Outcome(
        id=msg.id,
        result=AttemptResult(now, error=CANCELED),
        done=True,
        keep_until=keep_until(office.config, msg.sender_account, now),
        hook=webhooks.about_sent(office.config, msg, event, now, error=CANCELED),
    )


def add_hold_rule(queue: Outgoing, store: Store, rule: HoldRule) -> int:
    """Add a rule and hold what it matches; returns how many messages that were."""
    # First the rule: what is queued meanwhile must not slip through.
    hold_rules.add(store, rule)
    ids = select(queue, Filter(account=rule.account))
    on = hold(True)
    return change(queue, ids, lambda msg: on(msg) if rule.matches(msg) else msg)
