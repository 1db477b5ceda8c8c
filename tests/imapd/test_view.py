from __future__ import annotations

from hypothesis import given
from hypothesis import strategies as st

from mox.imapd.view import View
from mox.store.model import MailboxId

UIDS = st.lists(st.integers(1, 200), unique=True).map(sorted)


def view_of(uids: list[int]) -> View:
    view = View(MailboxId(1), "INBOX", 1, read_only=False)
    view.append(uids)
    return view


@given(UIDS)
def test_sequence_numbers_count_from_one(uids: list[int]) -> None:
    view = view_of(uids)
    assert [view.sequence_of(uid) for uid in uids] == list(range(1, len(uids) + 1))
    assert view.sequence_of(201) == 0
    assert view.uidnext == max(uids, default=0) + 1


@given(UIDS, st.lists(st.integers(1, 200)))
def test_expunges_applied_in_order_lead_to_what_is_left(uids: list[int], gone: list[int]) -> None:
    view = view_of(uids)
    mirror = list(uids)
    for number in view.remove(gone):
        del mirror[number - 1]
    assert mirror == list(view.uids) == [uid for uid in uids if uid not in gone]


@given(UIDS, UIDS)
def test_saved_result_loses_what_is_expunged(uids: list[int], gone: list[int]) -> None:
    view = view_of(uids)
    view.saved = view.uids[::2]
    saved = list(view.saved)
    view.remove(gone)
    assert list(view.saved) == [uid for uid in saved if uid not in gone]


@given(UIDS, st.integers(0, 201))
def test_recent_messages_are_the_last_ones(uids: list[int], first: int) -> None:
    view = view_of(uids)
    view.recent_from = first
    assert view.recent == sum(uid >= first for uid in uids)


@given(UIDS, UIDS, UIDS)
def test_what_is_held_back_adds_up(uids: list[int], one: list[int], two: list[int]) -> None:
    view = view_of(uids)
    view.hold(one)
    view.hold(two)
    assert set(view.held) == {*one, *two}
