"""Choosing among queued and retired messages: filters, order, pages.

A question reads all records once, in slices with a transaction each; only ids and the values to
sort by are kept, so that its memory does not depend on how long the messages' records are.
"""

from __future__ import annotations

import heapq
from collections.abc import Callable, Iterable, Iterator, Sequence
from dataclasses import dataclass
from enum import StrEnum
from typing import Final, TypeVar

from mox.store.outgoing import Outgoing
from mox.store.outgoing_records import QueueAddress, QueueId, QueueMessage, RetiredMessage

_SLICE: Final = 1000

M = TypeVar("M", QueueMessage, RetiredMessage)
Id = TypeVar("Id", bound=int)


class SortField(StrEnum):
    """What messages are sorted by; retired ones have a last activity instead of a next attempt."""

    NEXT_ATTEMPT = "nextattempt"
    LAST_ACTIVITY = "lastactivity"
    QUEUED = "queued"


@dataclass(frozen=True, slots=True)
class Bound:
    """Times before or after one, in seconds since the epoch."""

    is_before: bool
    when: float

    def takes(self, time: float) -> bool:
        return time < self.when if self.is_before else time > self.when


@dataclass(frozen=True, slots=True, kw_only=True)
class Filter:
    """What must be so of a message. None and empty ask for nothing.

    `hold` and `next_attempt` are for queued messages, `last_activity` and `success` for retired
    ones. `sender` and `recipient` are parts of addresses in Unicode.
    """

    ids: Sequence[int] = ()
    account: str = ""
    sender: str = ""
    recipient: str = ""
    transport: str | None = None
    submitted: Bound | None = None
    hold: bool | None = None
    next_attempt: Bound | None = None
    last_activity: Bound | None = None
    success: bool | None = None

    def takes(self, msg: QueueMessage) -> bool:
        return (
            self._takes_shared(msg)
            and (self.hold is None or msg.hold == self.hold)
            and (self.next_attempt is None or self.next_attempt.takes(msg.next_attempt))
        )

    def takes_retired(self, msg: RetiredMessage) -> bool:
        return (
            self._takes_shared(msg)
            and (self.success is None or msg.success == self.success)
            and (self.last_activity is None or self.last_activity.takes(msg.last_activity))
        )

    def _takes_shared(self, msg: QueueMessage | RetiredMessage) -> bool:
        return (
            (not self.account or msg.sender_account == self.account)
            and (self.transport is None or msg.transport == self.transport)
            and (self.submitted is None or self.submitted.takes(msg.queued))
            and (not self.sender or self.sender.lower() in _text(msg.sender))
            and (not self.recipient or self.recipient.lower() in _text(msg.recipient))
        )


def _text(address: QueueAddress) -> str:
    return f"{address.localpart}@{address.domain}".lower()


@dataclass(frozen=True, slots=True, kw_only=True)
class Order:
    """How messages are sorted, and which part of them is wanted.

    Ties go by id in the same direction. `after` is the sort value and the id of the last message
    of the page before.
    """

    field: SortField
    ascending: bool = False
    limit: int = 0  # 0: all
    after: tuple[float, int] | None = None


def select(
    queue: Outgoing,
    chosen: Filter,
    order: Order | None = None,
    pause: Callable[[], None] = lambda: None,
) -> list[QueueId]:
    """Return the ids of queued messages; `pause` lets others run now and then."""
    order = order or Order(field=SortField.NEXT_ATTEMPT)
    by_queued = order.field is SortField.QUEUED
    found = (
        (msg.queued if by_queued else msg.next_attempt, msg.id)
        for msg in _records(chosen.ids, queue.get, queue.messages, pause)
        if chosen.takes(msg)
    )
    return in_order(found, order)


def select_retired(
    queue: Outgoing,
    chosen: Filter,
    order: Order | None = None,
    pause: Callable[[], None] = lambda: None,
) -> list[QueueId]:
    """Return the ids of retired messages."""
    order = order or Order(field=SortField.LAST_ACTIVITY)
    by_queued = order.field is SortField.QUEUED
    found = (
        (msg.queued if by_queued else msg.last_activity, msg.id)
        for msg in _records(chosen.ids, queue.get_retired, queue.retired, pause)
        if chosen.takes_retired(msg)
    )
    return in_order(found, order)


def _records(
    ids: Sequence[int],
    get: Callable[[QueueId], M | None],
    read: Callable[[int, int], list[M]],
    pause: Callable[[], None],
) -> Iterator[M]:
    if ids:
        found = (get(QueueId(id)) for id in sorted(set(ids)))
        yield from (msg for msg in found if msg is not None)
        return
    last = 0
    while messages := read(last, _SLICE):
        yield from messages
        last = messages[-1].id
        pause()


def in_order(found: Iterable[tuple[float, Id]], order: Order) -> list[Id]:
    """Return the ids of (value to sort by, id) that are wanted."""
    after = order.after
    if after is not None:
        if order.ascending:
            found = (one for one in found if one > after)
        else:
            found = (one for one in found if one < after)
    if order.limit:
        choose = heapq.nsmallest if order.ascending else heapq.nlargest
        return [id for _, id in choose(order.limit, found)]
    return [id for _, id in sorted(found, reverse=not order.ascending)]
