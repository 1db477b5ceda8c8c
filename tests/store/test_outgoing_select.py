from __future__ import annotations

import random

import pytest
from hypothesis import given
from hypothesis import strategies as st

from mox.store import Store
from mox.store.outgoing import Outcome, Outgoing
from mox.store.outgoing_records import AttemptResult, QueueAddress, QueueId, QueueMessage
from mox.store.outgoing_select import (
    Bound,
    Filter,
    Order,
    SortField,
    in_order,
    select,
    select_retired,
)

NOW = 1_800_000_000.0


def message(number: int, **changes: object) -> QueueMessage:
    fields: dict[str, object] = {
        "queued": NOW + number,
        "next_attempt": NOW - number,
        "sender_account": "me",
        "sender": QueueAddress("Me", "here.example", "here.example"),
        "recipient": QueueAddress(f"you{number}", "xn--bcher-kva.example", "bücher.example"),
        "size": 10,
        **changes,
    }
    return QueueMessage(**fields)  # type: ignore[arg-type]


@pytest.fixture
def queue(store: Store) -> Outgoing:
    """Five messages, ids 1 to 5; the later ones are due earlier."""
    outgoing = Outgoing(store)
    changes: list[dict[str, object]] = [
        {},
        {"hold": True},
        {"transport": "relay"},
        {"sender_account": "other"},
        {"sender": QueueAddress("them", "else.example", "else.example")},
    ]
    for number, change in enumerate(changes, 1):
        with store.spool() as spool:
            spool.write(b"a: b\r\n\r\n")
            outgoing.add([message(number, **change)], outgoing.content(spool))
    return outgoing


@pytest.mark.parametrize(
    ("chosen", "ids"),
    [
        (Filter(), [1, 2, 3, 4, 5]),
        (Filter(ids=[5, 1, 99, 1]), [1, 5]),
        (Filter(ids=[1, 2], hold=True), [2]),
        (Filter(hold=False), [1, 3, 4, 5]),
        (Filter(account="other"), [4]),
        (Filter(transport="relay"), [3]),
        (Filter(transport=""), [1, 2, 4, 5]),
        (Filter(sender="me@HERE"), [1, 2, 3, 4]),
        (Filter(recipient="@bücher.example"), [1, 2, 3, 4, 5]),
        (Filter(recipient="you3@"), [3]),
        # Both must be so.
        (Filter(sender="them", recipient="you3"), []),
        (Filter(submitted=Bound(True, NOW + 3)), [1, 2]),
        (Filter(submitted=Bound(False, NOW + 3)), [4, 5]),
        (Filter(next_attempt=Bound(True, NOW - 3)), [4, 5]),
    ],
)
def test_filter(queue: Outgoing, chosen: Filter, ids: list[int]) -> None:
    order = Order(field=SortField.QUEUED, ascending=True)
    assert select(queue, chosen, order) == ids


def test_latest_next_attempt_comes_first_unless_told_otherwise(queue: Outgoing) -> None:
    assert select(queue, Filter()) == [1, 2, 3, 4, 5]
    assert select(queue, Filter(), Order(field=SortField.NEXT_ATTEMPT, ascending=True)) == [
        5,
        4,
        3,
        2,
        1,
    ]
    assert select(queue, Filter(), Order(field=SortField.QUEUED, limit=2)) == [5, 4]


def test_retired_messages_are_chosen_by_their_end(queue: Outgoing) -> None:
    for id in (1, 2, 3):
        result = AttemptResult(NOW + id, 0.0, id == 2, 250 if id == 2 else 550)
        queue.record([Outcome(QueueId(id), result, done=True, keep_until=NOW + 100)])
    assert select_retired(queue, Filter()) == [3, 2, 1]
    assert select_retired(queue, Filter(success=True)) == [2]
    assert select_retired(queue, Filter(success=False, transport="relay")) == [3]
    assert select_retired(queue, Filter(last_activity=Bound(True, NOW + 2))) == [1]
    assert select(queue, Filter(), Order(field=SortField.QUEUED)) == [5, 4]


@given(
    times=st.lists(st.integers(0, 5), max_size=30),
    ascending=st.booleans(),
    limit=st.integers(1, 7),
)
def test_pages_give_everything_once_and_in_order(
    times: list[int], ascending: bool, limit: int
) -> None:
    rows = [(float(when), QueueId(id)) for id, when in enumerate(times, 1)]
    when_of = {id: when for when, id in rows}
    random.Random(1).shuffle(rows)
    seen: list[QueueId] = []
    after = None
    while True:
        order = Order(field=SortField.QUEUED, ascending=ascending, limit=limit, after=after)
        page = in_order(iter(rows), order)
        if not page:
            break
        seen += page
        after = (when_of[page[-1]], page[-1])
    assert seen == [id for _, id in sorted(rows, reverse=not ascending)]
