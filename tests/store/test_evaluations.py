"""DMARC evaluations that wait for a report."""

from __future__ import annotations

from dataclasses import replace

import pytest

from mox.mailauth.dmarcevaluation import DMARCEvaluation, Signature
from mox.store import Store, evaluations, open_store
from mox.store.evaluations import Due
from tests.store.evaluated import EVALUATION, NOW

LATER = NOW + 1


def add(store: Store, *made: DMARCEvaluation) -> int:
    return store.write(lambda txn: evaluations.add(txn, made))


def kept(store: Store, domain: str = "bücher.example", before: int = NOW * 2) -> list[int]:
    return [each.when for each in evaluations.of_domain(store, domain, before)]


def entries(store: Store) -> int:
    with store.dbs.env.begin() as txn:
        return int(txn.stat(store.dbs.dmarc_evaluation)["entries"])


def test_evaluation_comes_back_as_it_was(store: Store) -> None:
    assert add(store, EVALUATION) == 1
    assert evaluations.of_domain(store, "bücher.example", LATER) == [EVALUATION]
    assert evaluations.of_domain(store, "example", LATER) == []


def test_equal_ones_are_all_kept_by_domain_and_time(store: Store) -> None:
    times = (NOW, NOW + 7, NOW - 3, NOW)
    other = replace(EVALUATION, policy_domain="a.example", when=NOW + 1)
    assert add(store, *(replace(EVALUATION, when=when) for when in times), other) == 5
    assert kept(store) == [NOW - 3, NOW, NOW, NOW + 7]
    assert kept(store, before=NOW) == [NOW - 3]
    assert kept(store, "a.example") == [NOW + 1]


def test_a_long_name_has_room(store: Store) -> None:
    name = ".".join(["ü" * 57] * 4)
    assert len(name.encode()) < 511
    name = ".".join(["𐌰" * 40] * 4)
    assert len(name.encode()) > 511
    assert add(store, replace(EVALUATION, policy_domain=name)) == 1
    assert kept(store, name) == [NOW]


def test_a_domain_can_have_so_many(store: Store, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(evaluations, "MAX_OF_DOMAIN", 3)
    assert add(store, EVALUATION, EVALUATION) == 2
    assert add(store, EVALUATION, EVALUATION, replace(EVALUATION, policy_domain="a.example")) == 2
    assert (len(kept(store)), len(kept(store, "a.example"))) == (3, 1)
    assert store.write(lambda txn: evaluations.delete(txn, "bücher.example", LATER, 1)) == 1
    assert add(store, EVALUATION, EVALUATION) == 1


def test_all_domains_can_have_so_many(store: Store, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(evaluations, "MAX_RECORDS", 5)
    made = [replace(EVALUATION, policy_domain=f"{n}.example") for n in range(9)]
    assert add(store, *made) == 3
    assert entries(store) == 6


def test_a_huge_one_is_not_kept(store: Store) -> None:
    signature = Signature(domain="x" * 250, selector="y" * 250, result="fail", human_result="z" * 9)
    assert add(store, replace(EVALUATION, signatures=(signature,) * 16)) == 0
    assert add(store, replace(EVALUATION, signatures=(signature,) * 8)) == 1


def test_domains_that_are_due(store: Store) -> None:
    hourly = replace(EVALUATION, policy_domain="hourly.example", interval_hours=1)
    mixed = replace(EVALUATION, policy_domain="mixed.example", optional=True)
    add(
        store,
        EVALUATION,
        hourly,
        replace(hourly, policy_domain="later.example", when=LATER),
        replace(hourly, policy_domain="optional.example", optional=True),
        mixed,
        replace(mixed, interval_hours=1),
        replace(mixed, optional=False),
    )
    assert evaluations.domains_due(store, LATER, (1, 2)) == [
        Due("hourly.example", has_reason=True),
        Due("mixed.example", has_reason=True),
        Due("optional.example", has_reason=False),
    ]
    daily = evaluations.domains_due(store, LATER, [24])
    assert [due.policy_domain for due in daily] == ["bücher.example", "mixed.example"]
    assert evaluations.domains_due(store, NOW, [1, 24]) == []


def test_what_was_reported_goes_and_later_ones_stay(store: Store) -> None:
    other = replace(EVALUATION, policy_domain="a.example")
    add(store, EVALUATION, replace(EVALUATION, when=LATER), other)
    assert store.write(lambda txn: evaluations.delete(txn, "bücher.example", LATER)) == 1
    assert (kept(store), kept(store, "a.example")) == ([LATER], [NOW])
    assert store.write(lambda txn: evaluations.delete(txn, "bücher.example", LATER)) == 0
    assert store.write(lambda txn: evaluations.delete(txn, "bücher.example", LATER + 1)) == 1
    assert store.write(lambda txn: evaluations.delete(txn, "a.example", LATER)) == 1
    assert entries(store) == 0


def test_old_ones_go_some_at_a_time(store: Store, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(evaluations, "EXPIRE_BATCH", 4)
    made = [
        replace(EVALUATION, policy_domain=f"{domain}.example", when=NOW - hours * 3600)
        for domain in range(3)
        for hours in (0, 47, 48, 49, 90)
    ]
    add(store, *made)
    removed = [store.write(lambda txn: evaluations.expire(txn, NOW)) for _ in range(3)]
    assert removed == [4, 2, 0]
    for domain in range(3):
        ages = [(NOW - when) // 3600 for when in kept(store, f"{domain}.example")]
        assert ages == [48, 47, 0]
    assert store.write(lambda txn: evaluations.expire(txn, NOW + 49 * 3600)) == 4


def test_they_outlast_a_restart(tmp_path_factory: pytest.TempPathFactory) -> None:
    directory = tmp_path_factory.mktemp("restart")
    first = open_store(directory)
    first.later_write(lambda txn: evaluations.add(txn, [EVALUATION]))
    first.close()
    second = open_store(directory)
    try:
        assert kept(second) == [NOW]
    finally:
        second.close()
