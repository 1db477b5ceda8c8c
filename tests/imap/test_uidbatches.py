from __future__ import annotations

import itertools

import pytest
from hypothesis import given
from hypothesis import strategies as st

from mox.imap import codes, responses
from mox.imap.events import BadCommand
from mox.imap.uidbatches import UidBatches, batches
from tests.imap.drive import command, outcome


def test_commands() -> None:
    assert command("uidbatches 2000") == UidBatches("t", 2000)
    assert command("UIDBATCHES 1000 10:20") == UidBatches("t", 1000, (10, 20))
    for line in (
        "uidbatches",
        "uidbatches 0",
        "uidbatches x",
        "uidbatches 500 10",
        "uidbatches 5 0:1",
    ):
        assert isinstance(outcome(line), BadCommand)


def test_responses() -> None:
    # RFC 10022 §3.1
    ranges = [(215295, 99696), (99695, 20351), (20350, 7830), (7829, 1)]
    assert responses.uidbatches("A143", ranges) == (
        b'* UIDBATCHES (TAG "A143") 215295:99696,99695:20351,20350:7830,7829:1\r\n'
    )
    assert responses.uidbatches("A144", []) == b'* UIDBATCHES (TAG "A144")\r\n'


@given(
    st.lists(st.integers(1, 10_000), unique=True, max_size=60).map(sorted),
    st.integers(1, 20),
)
def test_batches_cut_the_mailbox(uids: list[int], size: int) -> None:
    found = batches(uids, size)
    assert len(found) == -(-len(uids) // size)
    covered: list[int] = []
    for high, low in found:
        inside = [uid for uid in uids if low <= uid <= high]
        assert len(inside) <= size
        covered = inside + covered
    assert covered == uids
    if found:
        assert found[0][0] == uids[-1]
        assert found[-1][1] == 1
        assert all(after[0] == before[1] - 1 for before, after in itertools.pairwise(found))
        assert all(
            len([uid for uid in uids if low <= uid <= high]) == size for high, low in found[:-1]
        )
    for first in range(1, len(found) + 2):
        assert batches(uids, size, (first, first + 1)) == found[first - 1 : first + 1]


@pytest.mark.parametrize(
    ("tag", "done", "goal", "code"),
    [
        # RFC 9585 §4.1 and §5
        ("A001", 454, 1000, b'INPROGRESS ("A001" 454 1000)'),
        ("A001", 7000, 0, b'INPROGRESS ("A001" 7000 NIL)'),
        ("A001", 0, 0, b'INPROGRESS ("A001" NIL NIL)'),
        ("A]1", 5, 9, b"INPROGRESS (NIL 5 9)"),
    ],
)
def test_progress_codes(tag: str, done: int, goal: int, code: bytes) -> None:
    assert codes.inprogress(tag, done, goal) == code
