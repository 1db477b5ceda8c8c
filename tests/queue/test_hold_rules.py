from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

import pytest

from mox.queue import admin
from mox.store import Store, hold_rules, open_store
from mox.store.hold_rules import HoldRule
from mox.store.outgoing import Outgoing
from mox.store.outgoing_records import QueueAddress, QueueId, QueueMessage

NOW = 1_800_000_000.0


def message(sender: str = "me@here.example", to: str = "you@there.example") -> QueueMessage:
    return QueueMessage(
        queued=NOW,
        next_attempt=NOW,
        sender_account="me",
        sender=address(sender),
        recipient=address(to),
        size=10,
    )


def address(text: str) -> QueueAddress:
    localpart, _, domain = text.partition("@")
    return QueueAddress(localpart, domain, domain)


@pytest.fixture
def store(tmp_path: Path) -> Iterator[Store]:
    opened = open_store(tmp_path)
    yield opened
    opened.close()


@pytest.fixture
def queue(store: Store) -> Outgoing:
    return Outgoing(store)


def put(store: Store, queue: Outgoing, msg: QueueMessage) -> QueueId:
    with store.spool() as spool:
        spool.write(b"a: b\r\n\r\n")
        return queue.add([msg], queue.content(spool))[0]


def is_held(queue: Outgoing, id: QueueId) -> bool:
    msg = queue.get(id)
    assert msg is not None
    return msg.hold


@pytest.mark.parametrize(
    ("rule", "matches"),
    [
        (HoldRule(), True),
        (HoldRule(account="me"), True),
        (HoldRule(account="other"), False),
        (HoldRule(sender_domain="here.example"), True),
        (HoldRule(sender_domain="there.example"), False),
        (HoldRule(recipient_domain="there.example"), True),
        (HoldRule(recipient_domain="sub.there.example"), False),
        (HoldRule(sender="me@here.example"), True),
        (HoldRule(recipient="you@there.example"), True),
        (HoldRule(recipient="me@there.example"), False),
        # All that is named must be so, not any of it.
        (HoldRule(account="me", recipient_domain="elsewhere.example"), False),
        (HoldRule(account="me", sender="me@here.example", recipient_domain="there.example"), True),
    ],
)
def test_rule_holds_what_has_all_it_names(
    store: Store, queue: Outgoing, rule: HoldRule, matches: bool
) -> None:
    before = put(store, queue, message())
    assert admin.add_hold_rule(queue, store, rule) == matches
    after = put(store, queue, message())
    assert is_held(queue, before) == is_held(queue, after) == matches
    assert queue.held() == 2 * matches
    assert len(queue.flows()) == (not matches)  # nothing that is held is ever due


def test_localparts_are_compared_without_case(store: Store, queue: Outgoing) -> None:
    hold_rules.add(store, HoldRule(recipient="you@there.example"))
    assert is_held(queue, put(store, queue, message(to="YOU@there.example")))


def test_removed_rule_holds_nothing_new_and_releases_nothing(store: Store, queue: Outgoing) -> None:
    rule = hold_rules.add(store, HoldRule())
    held = put(store, queue, message())
    assert hold_rules.remove(store, rule.id)
    assert not hold_rules.remove(store, rule.id)
    assert is_held(queue, held)
    assert not is_held(queue, put(store, queue, message()))


def test_ids_of_rules_are_not_used_again(store: Store) -> None:
    first = hold_rules.add(store, HoldRule(account="a"))
    hold_rules.remove(store, first.id)
    second = hold_rules.add(store, HoldRule(account="b"))
    assert (first.id, second.id) == (1, 2)
    assert hold_rules.rules(store) == [second]
