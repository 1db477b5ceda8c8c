"""Putting messages in order (RFC 5256 §3, BASE.6.4.SORT).

Works in steps, between which `pace` is called: sorting 100,000 texts in one go would hold up an
event loop for a quarter of a second.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from heapq import merge
from itertools import islice

# What a column holds: numbers or texts.
Column = Sequence[int] | Sequence[str]

# Rows sorted without a break.
_AT_ONCE = 4000


def ordered(
    count: int, columns: Sequence[tuple[Column, bool]], pace: Callable[[], None]
) -> list[int]:
    """The positions 0 to `count` - 1, sorted by columns of keys, each ascending or `reverse`.

    The first column counts most. Where all are equal the order stays as it is, also when reversed:
    RFC 5256 §3, sequence numbers decide in the end.
    """
    order = list(range(count))
    for keys, reverse in reversed(columns):
        order = _by_column(order, keys, reverse, pace)
    return order


def _by_column(
    order: list[int], keys: Column, reverse: bool, pace: Callable[[], None]
) -> list[int]:
    """Sort stably by one column."""
    runs: list[list[int]] = []
    for start in range(0, len(order), _AT_ONCE):
        run = order[start : start + _AT_ONCE]
        run.sort(key=keys.__getitem__, reverse=reverse)
        runs.append(run)
        pace()
    if len(runs) <= 1:
        return runs[0] if runs else []
    found: list[int] = []
    merged = merge(*runs, key=keys.__getitem__, reverse=reverse)
    while piece := list(islice(merged, _AT_ONCE)):
        found += piece
        pace()
    return found
