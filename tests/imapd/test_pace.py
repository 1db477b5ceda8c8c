"""Long commands and the event loop."""

from __future__ import annotations

from mox.imapd.pace import release


def test_a_list_is_emptied_step_by_step() -> None:
    turns: list[int] = []
    objects = list(range(12_345))
    release(objects, lambda: turns.append(len(objects)))
    assert objects == []
    assert turns == [7345, 2345, 0]
