"""UIDBATCHES: uid ranges that cut a mailbox into batches of messages, the newest first.

RFC 10022. Ranges of neighbouring batches touch, and the last one goes down to uid 1: every uid
up to the highest is in one of them.

>>> batches([3, 5, 6, 9], 2)
[(9, 6), (5, 1)]
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import ClassVar

# Smaller batches would only mean more commands.
MIN_SIZE = 500


@dataclass(frozen=True, slots=True)
class UidBatches:
    """`chosen`: the first and the last batch that is asked for, counted from 1."""

    name: ClassVar[str] = "UIDBATCHES"
    tag: str
    size: int
    chosen: tuple[int, int] | None = None


def batches(
    uids: Sequence[int], size: int, chosen: tuple[int, int] | None = None
) -> list[tuple[int, int]]:
    """The ranges, highest uid first in each and among them; `uids` ascending."""
    count = -(-len(uids) // size)
    first, last = chosen or (1, count)
    found: list[tuple[int, int]] = []
    for number in range(first, min(last, count) + 1):
        end = len(uids) - (number - 1) * size
        high = uids[-1] if number == 1 else uids[end] - 1
        low = uids[end - size] if end > size else 1
        found.append((high, low))
    return found
