"""Long commands: done in pieces, and the client is told how far they are (RFC 9585)."""

from __future__ import annotations

import time
from array import array
from collections.abc import Iterator
from typing import TYPE_CHECKING, Final

from mox.imap import codes, responses

if TYPE_CHECKING:
    from mox.imapd.session import Session

# RFC 9585 §4: often enough that no client gives up, seldom enough to be no burden.
INTERVAL_S: Final = 10.0
# Messages that one transaction copies, moves, flags or removes: others write in between.
PIECE: Final = 5000


class Progress:
    """Tells the client from time to time that its command goes on.

    Call it with the number of messages done; `goal` is the number of all, 0 when not known.
    """

    __slots__ = ("_goal", "_session", "_tag", "_told")

    def __init__(self, session: Session, tag: str, goal: int = 0) -> None:
        self._session = session
        self._tag = tag
        self._goal = goal
        self._told = time.monotonic()

    def __call__(self, done: int = 0) -> None:
        now = time.monotonic()
        if now - self._told < INTERVAL_S:
            return
        self._told = now
        code = codes.inprogress(self._tag, done, self._goal)
        self._session.write(responses.untagged("OK", "still at it", code))
        self._session.flush()

    def pieces(self, uids: array[int]) -> Iterator[array[int]]:
        """Parts of `uids` for one transaction each; tells after each."""
        for start in range(0, len(uids), PIECE):
            yield uids[start : start + PIECE]
            self(min(start + PIECE, len(uids)))
