"""Choosing among webhooks, live and retired: filters, order, pages (see outgoing_select)."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass
from typing import Final, TypeVar

from mox.store.hook_records import Hook, HookId, RetiredHook
from mox.store.hooks import Hooks
from mox.store.outgoing_select import Bound, Order, SortField, in_order

_SLICE: Final = 1000

H = TypeVar("H", Hook, RetiredHook)


@dataclass(frozen=True, slots=True, kw_only=True)
class HookFilter:
    """What must be so of a webhook. None and empty ask for nothing.

    `event` is one of a sent message, or `incoming`. `next_attempt` is for live webhooks,
    `last_activity` for retired ones.
    """

    ids: Sequence[int] = ()
    account: str = ""
    event: str = ""
    submitted: Bound | None = None
    next_attempt: Bound | None = None
    last_activity: Bound | None = None

    def takes(self, hook: Hook) -> bool:
        return self._takes_shared(hook) and (
            self.next_attempt is None or self.next_attempt.takes(hook.next_attempt)
        )

    def takes_retired(self, hook: RetiredHook) -> bool:
        return self._takes_shared(hook) and (
            self.last_activity is None or self.last_activity.takes(hook.last_activity)
        )

    def _takes_shared(self, hook: Hook | RetiredHook) -> bool:
        return (
            (not self.account or hook.account == self.account)
            and (not self.event or hook.kind == self.event)
            and (self.submitted is None or self.submitted.takes(hook.submitted))
        )


def select_hooks(
    hooks: Hooks,
    chosen: HookFilter,
    order: Order | None = None,
    pause: Callable[[], None] = lambda: None,
) -> list[HookId]:
    """Return the ids of live webhooks; `pause` lets others run now and then."""
    order = order or Order(field=SortField.NEXT_ATTEMPT)
    by_submitted = order.field is SortField.QUEUED
    found = (
        (hook.submitted if by_submitted else hook.next_attempt, hook.id)
        for hook in _records(chosen.ids, hooks.get, hooks.hooks, pause)
        if chosen.takes(hook)
    )
    return in_order(found, order)


def select_retired_hooks(
    hooks: Hooks,
    chosen: HookFilter,
    order: Order | None = None,
    pause: Callable[[], None] = lambda: None,
) -> list[HookId]:
    """Return the ids of retired webhooks."""
    order = order or Order(field=SortField.LAST_ACTIVITY)
    by_submitted = order.field is SortField.QUEUED
    found = (
        (hook.submitted if by_submitted else hook.last_activity, hook.id)
        for hook in _records(chosen.ids, hooks.get_retired, hooks.retired, pause)
        if chosen.takes_retired(hook)
    )
    return in_order(found, order)


def _records(
    ids: Sequence[int],
    get: Callable[[HookId], H | None],
    read: Callable[[int, int], list[H]],
    pause: Callable[[], None],
) -> Iterator[H]:
    if ids:
        found = (get(HookId(id)) for id in sorted(set(ids)))
        yield from (hook for hook in found if hook is not None)
        return
    last = 0
    while hooks := read(last, _SLICE):
        yield from hooks
        last = hooks[-1].id
        pause()
