"""The durable queue of webhooks: states, superseding, what is kept, choosing among many."""

from __future__ import annotations

import json
from datetime import UTC, datetime

import pytest
from msgspec import structs

from mox.store import Store, hooks_txn
from mox.store.hook_records import Hook, HookId, HookResult
from mox.store.hooks import HookOutcome, HookRelease, Hooks, HookStart
from mox.store.hooks_due import url_key
from mox.store.hooks_select import HookFilter, select_hooks, select_retired_hooks
from mox.store.hooks_txn import IncomingHook, OutgoingHook
from mox.store.outgoing_due import micros
from mox.store.outgoing_records import DELIVERING
from mox.store.outgoing_select import Bound, Order, SortField
from mox.webapi.hooks import Incoming, IncomingMeta, Outgoing, encode
from mox.webapi.types import Structure

NOW = 1_800_000_000.0
WHEN = datetime.fromtimestamp(NOW, UTC)
URL = "http://127.0.0.1/out"


@pytest.fixture
def hooks(store: Store) -> Hooks:
    return Hooks(store)


def outgoing(msg_id: int = 7, event: str = "delivered", **changes: object) -> OutgoingHook:
    keep = float(changes.pop("keep", 0.0))  # type: ignore[arg-type]
    fields: dict[str, object] = {
        "queue_msg_id": msg_id,
        "account": "mjl",
        "url": URL,
        "authorization": "Bearer x",
        "event": event,
        "submitted": NOW,
        "next_attempt": NOW,
        **changes,
    }
    payload = Outgoing(event=event, queue_msg_id=msg_id, webhook_queued=WHEN)
    return OutgoingHook(Hook(**fields), payload, keep)  # type: ignore[arg-type]


def add(hooks: Hooks, *new: OutgoingHook, suppressing: bool = False) -> list[HookId]:
    return hooks._store.write(
        lambda txn: [hooks_txn.add_outgoing(txn, one, suppressing=suppressing) for one in new]
    )


def start(hooks: Hooks, id: HookId, when: float = NOW, now: float = NOW) -> HookStart:
    begun = HookStart(id, micros(when), now + 60)
    assert [hook.id for hook, _ in hooks.record(starts=[begun], now=now)] == [id]
    return begun


def result(*, success: bool = True, code: int = 200, error: str = "") -> HookResult:
    return HookResult(NOW, 0.5, URL, success, code, error, "thanks")


def entries(hooks: Hooks) -> dict[str, int]:
    names = ("hook", "hook_body", "hook_due", "hook_msg", "hook_retired", "hook_until")
    with hooks.dbs.env.begin() as txn:
        return {n: txn.stat(getattr(hooks.dbs, n))["entries"] for n in names}


def test_call_is_made_and_leaves_nothing(hooks: Hooks) -> None:
    [id] = add(hooks, outgoing())
    assert hooks.due(url_key(URL), NOW - 1, 10) == []
    [due] = hooks.due(url_key(URL), NOW, 10)
    assert due.id == id
    [(hook, body)] = hooks.record(starts=[HookStart(id, due.when, NOW + 60)], now=NOW)
    assert json.loads(body)["Suppressing"] is False
    assert (hook.attempts, hook.results[-1].error) == (1, DELIVERING)
    # A crash here: it is due again later, not at once.
    assert hooks.due(url_key(URL), NOW + 59, 10) == []
    assert [line.when for line in hooks.lines()] == [NOW + 60]
    hooks.record([HookOutcome(id, result(), True)])
    assert not any(entries(hooks).values())


def test_failed_attempt_waits_with_its_result(hooks: Hooks) -> None:
    [id] = add(hooks, outgoing())
    start(hooks, id)
    hooks.record([HookOutcome(id, result(success=False, code=500, error="no"), False)])
    hook = hooks.get(id)
    assert hook is not None
    assert [one.error for one in hook.results] == ["no"]
    assert (hook.attempts, hook.next_attempt) == (1, NOW + 60)
    assert len(hooks.due(url_key(URL), NOW + 60, 10)) == 1


def test_retired_call_is_kept_until_its_time(hooks: Hooks) -> None:
    [id] = add(hooks, outgoing(extra={"a": "b"}), suppressing=True)
    start(hooks, id)
    hooks.record([HookOutcome(id, result(), True, keep_until=NOW + 100)])
    retired = hooks.get_retired(id)
    assert retired is not None
    assert (retired.success, retired.has_authorization, retired.extra) == (True, True, {"a": "b"})
    assert retired.last_activity == NOW + 0.5
    assert json.loads(hooks.body(id))["Suppressing"] is True
    assert hooks.expire(NOW + 99) == 0
    assert hooks.expire(NOW + 100) == 1
    assert not any(entries(hooks).values())


def test_next_event_supersedes_a_call_that_waits(hooks: Hooks) -> None:
    first, other = add(hooks, outgoing(7, "delayed"), outgoing(8, "delayed"))
    [second] = add(hooks, outgoing(7, "failed", keep=NOW + 100))
    assert [hook.id for hook in hooks.hooks()] == [other, second]
    [retired] = hooks.retired()
    assert (retired.id, retired.superseded_by_id, retired.success) == (first, second, False)
    # Without a period to keep it for, it is gone.
    add(hooks, outgoing(7, "canceled"))
    assert [retired.id for retired in hooks.retired()] == [first]
    assert entries(hooks)["hook_due"] == entries(hooks)["hook_msg"] == 2


def test_call_in_flight_is_superseded_and_remembers_its_result(hooks: Hooks) -> None:
    [first] = add(hooks, outgoing(7, "delayed"))
    start(hooks, first)
    [second] = add(hooks, outgoing(7, "failed", keep=NOW + 100))
    assert not hooks.is_live(first)
    hooks.record([HookOutcome(first, result(success=False, code=500, error="no"), False)])
    [retired] = hooks.retired()
    assert [one.error for one in retired.results] == ["no (superseded)"]
    assert (retired.superseded_by_id, retired.success) == (second, False)
    assert [hook.id for hook in hooks.hooks()] == [second]


def test_successful_call_that_was_superseded_says_so(hooks: Hooks) -> None:
    [first] = add(hooks, outgoing(7, "delayed"))
    start(hooks, first)
    add(hooks, outgoing(7, "failed", keep=NOW + 100))
    hooks.record([HookOutcome(first, result(), True)])
    [retired] = hooks.retired()
    assert [(one.code, one.error) for one in retired.results] == [(200, "(superseded)")]


def test_calls_about_received_messages_are_never_superseded(hooks: Hooks) -> None:
    payload = Incoming(structure=Structure(), meta=IncomingMeta(received=WHEN))
    hook = structs.replace(outgoing().hook, queue_msg_id=0, is_incoming=True, event="")
    new = IncomingHook(hook, encode(payload))
    for number in (71, 72):
        hooks._store.write(lambda txn, n=number: hooks_txn.add_incoming(txn, new, n))  # type: ignore[misc]
    found = hooks.hooks()
    assert [json.loads(hooks.body(one.id))["Meta"]["MsgID"] for one in found] == [71, 72]
    assert {one.kind for one in found} == {"incoming"}


def test_attempt_that_is_not_made_leaves_no_trace(hooks: Hooks) -> None:
    [id] = add(hooks, outgoing())
    before = hooks.get(id)
    begun = start(hooks, id)
    hooks.record(releases=[HookRelease(begun)])
    assert hooks.get(id) == before
    assert len(hooks.due(url_key(URL), NOW, 10)) == 1


def test_time_set_by_an_administrator_meanwhile_stays(hooks: Hooks) -> None:
    [id] = add(hooks, outgoing())
    begun = start(hooks, id)
    assert hooks.update([id], lambda hook: structs.replace(hook, next_attempt=NOW + 5)) == 1
    hooks.record(releases=[HookRelease(begun)])
    hook = hooks.get(id)
    assert hook is not None
    assert (hook.next_attempt, hook.attempts, hook.results) == (NOW + 5, 0, ())


def test_superseded_before_it_was_made_leaves_no_attempt(hooks: Hooks) -> None:
    [id] = add(hooks, outgoing(7, "delayed"))
    begun = start(hooks, id)
    add(hooks, outgoing(7, "failed", keep=NOW + 100))
    hooks.record(releases=[HookRelease(begun)])
    [retired] = hooks.retired()
    assert (retired.attempts, retired.results) == (0, ())


def test_start_of_what_has_changed_is_left_out(hooks: Hooks) -> None:
    gone, moved = add(hooks, outgoing(7), outgoing(8))
    starts = [HookStart(id, micros(NOW), NOW + 60) for id in (gone, moved)]
    hooks.cancel([gone], HookResult(NOW, error="canceled by admin"), lambda account: 0.0)
    hooks.update([moved], lambda hook: structs.replace(hook, next_attempt=NOW + 5))
    assert hooks.record(starts=starts, now=NOW) == []


def test_few_large_bodies_are_handed_out_at_once(hooks: Hooks) -> None:
    payload = Outgoing(event="failed", error="x" * (2 << 20), webhook_queued=WHEN)
    ids = add(hooks, *(OutgoingHook(outgoing(n).hook, payload) for n in range(1, 8)))
    starts = [HookStart(id, micros(NOW), NOW + 60) for id in ids]
    assert [hook.id for hook, _ in hooks.record(starts=starts, now=NOW)] == ids[:2]
    assert len(hooks.due(url_key(URL), NOW, 10)) == 5


def test_canceled_call_is_kept_with_the_reason(hooks: Hooks) -> None:
    ids = add(hooks, outgoing(7), outgoing(8))
    canceled = HookResult(NOW, error="canceled by admin")
    assert hooks.cancel([*ids, HookId(99)], canceled, lambda account: NOW + 9) == 2
    assert [one.results for one in hooks.retired()] == [(canceled,)] * 2
    assert hooks.count() == 0
    # One that was in flight then tells its result, too.
    hooks.record([HookOutcome(ids[0], result(), True)])
    first = hooks.get_retired(ids[0])
    assert first is not None
    assert [one.error for one in first.results] == ["canceled by admin", ""]


def test_dead_receivers_calls_hide_no_others(hooks: Hooks) -> None:
    many = [outgoing(0, url="http://dead.example/", submitted=NOW - 1) for _ in range(20_000)]
    for step in range(0, len(many), 5000):
        add(hooks, *many[step : step + 5000])
    add(hooks, outgoing(1), outgoing(2, account="second", url="https://b.example/"))
    lines = hooks.lines()
    assert {line.key for line in lines} == {
        url_key(url) for url in ("http://dead.example/", URL, "https://b.example/")
    }
    assert len(hooks.due(url_key(URL), NOW, 10)) == 1
    chosen = HookFilter(account="second")
    assert len(select_hooks(hooks, chosen)) == 1


def test_filters_order_and_pages(hooks: Hooks) -> None:
    ids = add(
        hooks,
        outgoing(1, "failed", submitted=NOW + 3, next_attempt=NOW + 1),
        outgoing(2, "delayed", submitted=NOW + 2, next_attempt=NOW + 2, account="second"),
        outgoing(3, "failed", submitted=NOW + 1, next_attempt=NOW + 3),
    )
    a, b, c = ids

    def found(order: Order | None = None, **wanted: object) -> list[HookId]:
        return select_hooks(hooks, HookFilter(**wanted), order)  # type: ignore[arg-type]

    assert found() == [c, b, a]
    assert found(Order(field=SortField.QUEUED, ascending=True)) == [c, b, a]
    assert found(Order(field=SortField.NEXT_ATTEMPT, ascending=True, limit=2)) == [a, b]
    page = Order(field=SortField.NEXT_ATTEMPT, ascending=True, after=(NOW + 2, b))
    assert found(page) == [c]
    assert found(account="second") == [b]
    assert found(event="failed") == [c, a]
    assert found(event="incoming") == []
    assert found(ids=[b, 99]) == [b]
    assert found(submitted=Bound(is_before=True, when=NOW + 2)) == [c]
    assert found(next_attempt=Bound(is_before=False, when=NOW + 2)) == [c]


def test_retired_are_chosen_likewise(hooks: Hooks) -> None:
    a, b = add(hooks, outgoing(1, "failed"), outgoing(2, "delayed", submitted=NOW + 9))
    for id, when in ((a, NOW + 20), (b, NOW + 10)):
        start(hooks, id)
        outcome = HookOutcome(id, HookResult(when, success=True, code=200), True, NOW + 100)
        hooks.record([outcome])
    assert select_retired_hooks(hooks, HookFilter()) == [a, b]
    assert select_retired_hooks(hooks, HookFilter(), Order(field=SortField.QUEUED)) == [b, a]
    before = Bound(is_before=True, when=NOW + 15)
    assert select_retired_hooks(hooks, HookFilter(last_activity=before)) == [b]
    assert select_retired_hooks(hooks, HookFilter(event="failed")) == [a]


def test_expiry_of_many_goes_in_steps(hooks: Hooks) -> None:
    ids = add(hooks, *(outgoing(0) for _ in range(hooks_txn.EXPIRE_BATCH + 5)))
    hooks.cancel(ids, HookResult(NOW, error="canceled"), lambda account: NOW + 1)
    assert hooks.expire(NOW + 2) == len(ids)
    assert not any(entries(hooks).values())
