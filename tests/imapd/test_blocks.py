from __future__ import annotations

from array import array
from itertools import pairwise

import pytest
from hypothesis import given
from hypothesis import strategies as st

from mox.imap.sequence import Slice
from mox.imapd import blocks as blocks_module
from mox.imapd.blocks import blocks
from mox.imapd.view import View
from mox.store.model import MailboxId, MessageTuple

BOX = MailboxId(1)


class Records:
    """What `blocks` asks of an account: the records of the uids that exist."""

    def __init__(self, uids: list[int]) -> None:
        self.uids = uids

    def scan(self, _: int) -> list[MessageTuple]:
        return [self._record(uid) for uid in self.uids]

    def select(self, _: int, uids: array[int]) -> list[MessageTuple]:
        return [self._record(uid) for uid in self.uids if uid in uids]

    @staticmethod
    def _record(uid: int) -> MessageTuple:
        return (uid, 0, 0, 0, 0, 0, 0, 0, 0, 0)


@st.composite
def selections(draw: st.DrawFn) -> tuple[list[int], list[int], list[Slice]]:
    """Uids that the client knows, those that exist, and the positions asked for."""
    known = sorted(draw(st.sets(st.integers(1, 80), min_size=1)))
    gone = draw(st.sets(st.sampled_from(known)))
    new = draw(st.sets(st.integers(81, 90)))
    cuts = sorted(draw(st.sets(st.integers(0, len(known)))))
    slices = [pair for pair in pairwise(cuts)][::2]
    return known, sorted({*known, *new} - gone), slices


@pytest.mark.parametrize("backward", [False, True])
@pytest.mark.parametrize("many", [1, 500])
@given(selection=selections(), size=st.integers(1, 40))
def test_blocks_have_what_exists_and_say_what_does_not(
    many: int, backward: bool, selection: tuple[list[int], list[int], list[Slice]], size: int
) -> None:
    known, existing, slices = selection
    view = View(BOX, "INBOX", 1, read_only=False)
    view.append(known)
    wanted = [position for start, stop in slices for position in range(start, stop)]
    found: dict[int, int] = {}
    missing: list[int] = []
    before = blocks_module._MANY
    blocks_module._MANY = many
    try:
        for block in blocks(Records(existing), view, slices, size, backward=backward):  # type: ignore[arg-type]
            assert len(block.messages) + len(block.missing) <= size
            uids = [message[0] for message in block.messages]
            assert uids == sorted(uids)
            found.update(zip(block.numbers, uids, strict=True))
            missing += block.missing
    finally:
        blocks_module._MANY = before
    expected = {p + 1: known[p] for p in wanted if known[p] in existing}
    assert found == expected
    assert list(found) == sorted(expected, reverse=False) or backward
    assert sorted(missing) == [known[p] for p in wanted if known[p] not in existing]
