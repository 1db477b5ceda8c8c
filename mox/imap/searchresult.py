"""From matches to answers: what MIN, MAX, ALL, COUNT and SAVE ask for.

RFC 4731 §3.1, RFC 5182 §2.1 and §2.4 (SAVE), RFC 7162 §3.1.10 (MODSEQ).
"""

from __future__ import annotations

from collections.abc import Sequence
from enum import Enum

from mox.imap.commands import SearchReturn
from mox.imap.responses import SearchResult

_ENDS = frozenset({SearchReturn.MIN, SearchReturn.MAX})


class Extent(Enum):
    """How much of a search has to be carried out."""

    EVERYTHING = "everything"
    FIRST = "first"  # only the lowest match
    LAST = "last"  # only the highest match
    ENDS = "ends"  # both


def extent(returns: frozenset[SearchReturn] | None) -> Extent:
    """Tell which matches the result options need; SAVE with MIN or MAX saves only those."""
    wanted = (returns or frozenset()) - {SearchReturn.SAVE}
    if not wanted or wanted - _ENDS:
        return Extent.EVERYTHING
    if wanted == _ENDS:
        return Extent.ENDS
    return Extent.FIRST if SearchReturn.MIN in wanted else Extent.LAST


def summary(
    returns: frozenset[SearchReturn], numbers: Sequence[int], modseq: int | None = None
) -> SearchResult | None:
    """Make the ESEARCH answer from the ascending matches; None: only SAVE, so no answer.

    `numbers` may hold just what extent() asked for. `modseq` is the highest of the messages
    found, None when MODSEQ was no search key.
    """
    if returns == {SearchReturn.SAVE}:
        return None
    return SearchResult(
        minimum=numbers[0] if numbers and SearchReturn.MIN in returns else None,
        maximum=numbers[-1] if numbers and SearchReturn.MAX in returns else None,
        count=len(numbers) if SearchReturn.COUNT in returns else None,
        all=numbers if SearchReturn.ALL in returns else None,
        modseq=modseq if numbers else None,
    )


def saved(returns: frozenset[SearchReturn], uids: Sequence[int]) -> list[int]:
    """Choose what "$" becomes from the ascending matches (RFC 5182 §2.4, table of cases)."""
    if extent(returns) is Extent.EVERYTHING:
        return list(uids)
    ends: list[int] = []
    if uids and SearchReturn.MIN in returns:
        ends.append(uids[0])
    if uids and SearchReturn.MAX in returns and uids[-1] not in ends:
        ends.append(uids[-1])
    return ends
