"""From matches to answers: what the result options of SEARCH, SORT and ESEARCH ask for.

RFC 4731 §3.1, RFC 5182 §2.1 and §2.4 (SAVE), RFC 7162 §3.1.10 (MODSEQ), RFC 9394 §3 (PARTIAL).
"""

from __future__ import annotations

from collections.abc import Sequence
from enum import Enum

from mox.imap.responses import SearchResult
from mox.imap.searchcommands import SearchReturn, Window

_ENDS = frozenset({SearchReturn.MIN, SearchReturn.MAX})
# Options that change nothing about what is to be found.
_ASIDE = frozenset({SearchReturn.SAVE, SearchReturn.CONTEXT})


class Extent(Enum):
    """How much of a search has to be carried out."""

    EVERYTHING = "everything"
    FIRST = "first"  # only the lowest match
    LAST = "last"  # only the highest match
    ENDS = "ends"  # both
    WINDOW = "window"  # from one end up to the end of the window


def extent(returns: frozenset[SearchReturn] | None) -> Extent:
    """Tell which matches the result options need; SAVE with MIN or MAX saves only those."""
    wanted = (returns or frozenset()) - _ASIDE
    if wanted == {SearchReturn.PARTIAL}:
        return Extent.WINDOW
    if not wanted or wanted - _ENDS:
        return Extent.EVERYTHING
    if wanted == _ENDS:
        return Extent.ENDS
    return Extent.FIRST if SearchReturn.MIN in wanted else Extent.LAST


def part(results: Sequence[int], window: Window) -> Sequence[int]:
    """The results in a window; RFC 9394 §4: its ends may stand in either order."""
    low, high = sorted((abs(window[0]), abs(window[1])))
    if window[0] > 0:
        return results[low - 1 : high]
    count = len(results)
    return results[max(count - high, 0) : max(count - low + 1, 0)]


def summary(
    returns: frozenset[SearchReturn],
    numbers: Sequence[int],
    modseq: int | None = None,
    window: Window | None = None,
    relevancy: Sequence[int] | None = None,
) -> SearchResult | None:
    """Make the ESEARCH answer from the matches in their order; None: nothing is to be told.

    `numbers` may hold just what extent() asked for. `modseq` is the highest of the messages
    found, None when MODSEQ was no search key. `relevancy` has a score for each number.
    """
    if not returns - _ASIDE - {SearchReturn.UPDATE}:
        return None
    return SearchResult(
        minimum=numbers[0] if numbers and SearchReturn.MIN in returns else None,
        maximum=numbers[-1] if numbers and SearchReturn.MAX in returns else None,
        count=len(numbers) if SearchReturn.COUNT in returns else None,
        all=numbers if SearchReturn.ALL in returns else None,
        partial=None if window is None else (window, part(numbers, window)),
        relevancy=_scores(relevancy, window),
        modseq=modseq if numbers else None,
    )


def _scores(relevancy: Sequence[int] | None, window: Window | None) -> Sequence[int] | None:
    """RFC 6203 §4: a score for each message that the answer names."""
    return relevancy if relevancy is None or window is None else part(relevancy, window)


def saved(
    returns: frozenset[SearchReturn], uids: Sequence[int], window: Window | None = None
) -> list[int]:
    """Choose what "$" becomes from the matches in their order; gives ascending uids.

    RFC 5182 §2.4 and RFC 9394 §3.2, tables of cases.
    """
    if SearchReturn.COUNT in returns or not returns & (_ENDS | {SearchReturn.PARTIAL}):
        return sorted(uids)
    if SearchReturn.ALL in returns:
        return sorted(uids)
    chosen = set(part(uids, window)) if window is not None else set()
    if uids and SearchReturn.MIN in returns:
        chosen.add(uids[0])
    if uids and SearchReturn.MAX in returns:
        chosen.add(uids[-1])
    return sorted(chosen)
