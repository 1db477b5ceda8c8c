from __future__ import annotations

from mox.serving.cid import Cids


def test_ids_of_slots_never_meet() -> None:
    now = 1_800_000_000.0
    workers = [Cids(slot, lambda: now) for slot in range(8)]
    ids = [worker.next() for worker in workers for _ in range(1000)]
    assert len(set(ids)) == len(ids)


def test_a_restarted_slot_goes_on_above() -> None:
    before = Cids(3, lambda: 1_800_000_000.0)
    # A busy second: 2,000 connections.
    last = [before.next() for _ in range(2000)][-1]
    assert Cids(3, lambda: 1_800_000_001.0).next() > last


def test_ids_fit_64_bits_for_centuries() -> None:
    assert Cids(255, lambda: 20_000_000_000.0).next() < 1 << 63
