from __future__ import annotations

from hypothesis import given
from hypothesis import strategies as st

from mox.imap import sorting
from mox.imap.sorting import ordered

ROWS = st.lists(st.tuples(st.integers(0, 3), st.sampled_from(["", "A", "B"])), max_size=40)


@given(ROWS, st.booleans(), st.booleans(), st.integers(1, 50))
def test_equals_a_plain_sort(rows, reverse_first, reverse_second, at_once) -> None:
    before, sorting._AT_ONCE = sorting._AT_ONCE, at_once
    turns = []
    try:
        columns = [
            ([number for number, _ in rows], reverse_first),
            ([text for _, text in rows], reverse_second),
        ]
        found = ordered(len(rows), columns, lambda: turns.append(1))
    finally:
        sorting._AT_ONCE = before
    plain = sorted(range(len(rows)), key=lambda i: rows[i][1], reverse=reverse_second)
    plain.sort(key=lambda i: rows[i][0], reverse=reverse_first)
    assert found == plain
    assert len(turns) >= 2 * (len(rows) // at_once)


def test_without_messages() -> None:
    assert ordered(0, [([], False)], lambda: None) == []
