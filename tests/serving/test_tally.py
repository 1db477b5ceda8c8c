"""Counting and deciding, without sockets."""

from __future__ import annotations

import random
from collections.abc import Sequence

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from mox.serving.tally import Tally, size_bytes


def tally_of(opens: Sequence[int], *, away: Sequence[int] = ()) -> Tally:
    tally = Tally(memoryview(bytearray(size_bytes(len(opens)))), len(opens))
    for member, count in enumerate(opens):
        tally.set_open(member, count)
        tally.set_available(member, member not in away)
    return tally


@pytest.mark.parametrize(
    ("opens", "me", "margin", "gets"),
    [
        # Equal, or one less after taking it: kept.
        ([0], 0, 1, None),
        ([0, 0], 0, 1, None),
        ([4, 4], 0, 1, None),
        ([3, 4], 0, 1, None),
        # One more already: given.
        ([1, 0], 0, 1, 1),
        ([5, 4], 0, 1, 1),
        ([0, 1], 1, 1, 0),
        # A larger margin.
        ([5, 4], 0, 2, None),
        ([7, 0], 0, 8, None),
        ([8, 0], 0, 8, 1),
        # Several: the emptiest, of equals the next.
        ([5, 3, 1, 2], 0, 1, 2),
        ([5, 1, 1, 1], 0, 1, 1),
        ([1, 1, 5, 1], 2, 1, 3),
        ([1, 1, 1, 5], 3, 1, 0),
        ([1, 0, 5, 1], 2, 1, 1),
    ],
)
def test_who_gets_the_next_connection(
    opens: list[int], me: int, margin: int, gets: int | None
) -> None:
    assert tally_of(opens).emptiest(me, margin) == gets


def test_who_is_not_available_gets_nothing() -> None:
    assert tally_of([9, 0], away=[1]).emptiest(0, 1) is None
    assert tally_of([9, 0, 5], away=[1]).emptiest(0, 1) == 2
    # Whoever is leaving gives still.
    assert tally_of([9, 0], away=[0]).emptiest(0, 1) == 1


def test_what_is_on_its_way_counts_for_the_receiver() -> None:
    tally = tally_of([3, 1, 1])
    tally.add_sent(0, 1, 1)
    assert [tally.load(member) for member in range(3)] == [3, 2, 1]
    assert tally.emptiest(0, 1) == 2
    tally.add_sent(2, 1, 1)
    assert tally.load(1) == 3
    tally.set_open(1, 2)
    tally.add_received(1)
    assert tally.load(1) == 3
    # A failure is taken back.
    tally.add_sent(2, 1, -1)
    assert tally.load(1) == 2


def test_what_is_on_its_way_to_me_counts_for_me() -> None:
    tally = tally_of([0, 1])
    assert tally.emptiest(0, 1) is None
    tally.add_sent(1, 0, 2)
    assert tally.emptiest(0, 1) == 1


def test_a_dead_member_has_nothing_and_gets_nothing() -> None:
    tally = tally_of([4, 1])
    tally.forget(1)
    assert tally.load(1) == 0
    assert not tally.is_available(1)
    assert tally.emptiest(0, 1) is None
    # What waits in its inbox is its successor's.
    tally.add_sent(0, 1, 1)
    tally.forget(1)
    assert tally.load(1) == 1


def test_settling_takes_back_what_was_counted_and_not_sent() -> None:
    tally = tally_of([0, 0, 0])
    for giver in (0, 2):
        tally.add_sent(giver, 1, 1)
    tally.settle(1)
    assert tally.load(1) == 0
    tally.add_sent(0, 1, 1)
    assert tally.load(1) == 1


def test_the_end_is_seen_by_all() -> None:
    buffer = memoryview(bytearray(size_bytes(2)))
    ours, theirs = Tally(buffer, 2), Tally(buffer, 2)
    assert not theirs.is_ending
    ours.set_ending(True)
    assert theirs.is_ending
    ours.set_ending(False)
    assert not theirs.is_ending
    ours.close()
    theirs.close()
    buffer.release()


class Model:
    """Members with their inboxes, in lists; `tally` is told what real workers tell it."""

    def __init__(self, members: int) -> None:
        self.tally = tally_of([0] * members)
        self.open = [0] * members
        self.inbox = [0] * members

    def accept(self, me: int, margin: int) -> None:
        to = self.tally.emptiest(me, margin)
        if to is None:
            self.change(me, 1)
        else:
            self.tally.add_sent(me, to, 1)
            self.inbox[to] += 1

    def change(self, me: int, by: int) -> None:
        self.open[me] += by
        self.tally.set_open(me, self.open[me])

    def take(self, me: int) -> None:
        if self.inbox[me]:
            self.inbox[me] -= 1
            self.change(me, 1)
            self.tally.add_received(me)

    def close(self, me: int) -> None:
        if self.open[me]:
            self.change(me, -1)

    def crash(self, me: int) -> None:
        self.open[me] = 0
        self.tally.forget(me)

    def revive(self, me: int) -> None:
        while self.inbox[me]:
            self.take(me)
        self.tally.settle(me)
        self.tally.set_available(me, True)

    def check(self) -> None:
        for member, (is_open, waiting) in enumerate(zip(self.open, self.inbox, strict=True)):
            assert self.tally.load(member) == is_open + waiting


MEMBERS = 4
STEPS = st.lists(
    st.tuples(
        st.sampled_from(["accept", "accept", "take", "close", "crash", "revive"]),
        st.integers(0, MEMBERS - 1),
    ),
    max_size=120,
)


@settings(deadline=None)
@given(STEPS, st.integers(1, 4))
def test_loads_are_right_at_any_moment(steps: list[tuple[str, int]], margin: int) -> None:
    model = Model(MEMBERS)
    for what, member in steps:
        if what == "accept":
            before = [model.tally.load(m) for m in range(MEMBERS)]
            model.accept(member, margin)
            after = [model.tally.load(m) for m in range(MEMBERS)]
            assert sum(after) == sum(before) + 1
        else:
            getattr(model, what)(member)
        model.check()


@settings(deadline=None)
@given(st.lists(st.integers(0, MEMBERS - 1), max_size=100), st.integers(0, 1 << 32))
def test_however_they_come_in_they_end_evenly(arrivals: list[int], seed: int) -> None:
    """Whoever accepts, and whenever the others look at their inboxes."""
    dice = random.Random(seed)
    model = Model(MEMBERS)
    for member in arrivals:
        model.accept(member, 1)
        model.take(dice.randrange(MEMBERS))
    for member in range(MEMBERS):
        while model.inbox[member]:
            model.take(member)
    assert max(model.open) - min(model.open) <= 1
