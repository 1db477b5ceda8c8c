"""How many connections each worker of a kind has, in memory that they share.

Pure: cells of eight octets in a buffer that is given. Each cell is written by one process only, so
there is no lock, and whoever reads may be a moment behind. For each worker, its *members* numbered
from 0: whether it takes connections from others, how many it has open, how many it has received,
and for each giver how many that one has sent to it. What is sent and not received yet counts for
the receiver, so that in a burst not everybody gives to the same one.
"""

from __future__ import annotations

from typing import Final

CELL_BYTES: Final = 8
# Before the members' cells.
_ENDING: Final = 0
_MEMBERS: Final = 1
# Of a member's cells; from the last on there is one for each giver.
_AVAILABLE: Final = 0
_OPEN: Final = 1
_RECEIVED: Final = 2
_SENT: Final = 3


def size_bytes(members: int) -> int:
    """How large a buffer is needed."""
    return CELL_BYTES * (_MEMBERS + members * (_SENT + members))


class Tally:
    """The counts, seen by any of the processes; `buffer` is all zeros at first."""

    __slots__ = ("_cells", "_each", "members")

    def __init__(self, buffer: memoryview, members: int) -> None:
        self.members = members
        self._each = _SENT + members
        self._cells = buffer[: size_bytes(members)].cast("Q")

    def close(self) -> None:
        """Let go of the buffer."""
        self._cells.release()

    def _at(self, member: int) -> int:
        return _MEMBERS + member * self._each

    # Reading.

    def is_available(self, member: int) -> bool:
        return self._cells[self._at(member) + _AVAILABLE] != 0

    def load(self, member: int) -> int:
        """Return how many connections a member has, with those that are on the way to it."""
        cells, at = self._cells, self._at(member)
        # In this order a connection that just arrives is counted twice rather than not at all.
        received = cells[at + _RECEIVED]
        return sum(cells[at + _SENT : at + self._each]) - received + cells[at + _OPEN]

    def emptiest(self, me: int, margin: int) -> int | None:
        """Return who should have the connection that `me` has accepted and not counted yet.

        None: `me`, because no available member has at least `margin` (1 or more) less. Of several
        with equally few it is the one that comes next after `me`. Costs little when there is none.
        """
        cells, members = self._cells, self.members
        # The most that a member may have to get it.
        most = self.load(me) - margin
        found = None
        for member in (*range(me + 1, members), *range(me)):
            at = self._at(member)
            if cells[at + _OPEN] <= most and cells[at + _AVAILABLE]:
                load = self.load(member)
                if load <= most:
                    found, most = member, load - 1
        return found

    @property
    def is_ending(self) -> bool:
        """Whether members that stop now have no successors."""
        return self._cells[_ENDING] != 0

    # Writing: each by the member itself.

    def set_available(self, me: int, available: bool) -> None:
        self._cells[self._at(me) + _AVAILABLE] = available

    def set_open(self, me: int, count: int) -> None:
        self._cells[self._at(me) + _OPEN] = count

    def add_sent(self, me: int, to: int, count: int) -> None:
        """Count before sending, and back (-1) when that failed."""
        self._cells[self._at(to) + _SENT + me] += count

    def add_received(self, me: int) -> None:
        self._cells[self._at(me) + _RECEIVED] += 1

    def settle(self, me: int) -> None:
        """With an empty inbox, and while nobody sends: all that was sent has been received.

        Takes back what workers that were killed between counting and acting left.
        """
        at = self._at(me)
        self._cells[at + _RECEIVED] = sum(self._cells[at + _SENT : at + self._each])

    # Writing: by the supervisor, in cells of members that are no more.

    def forget(self, member: int) -> None:
        """Take a member that died out, until its successor says that it is available."""
        self.set_available(member, False)
        self.set_open(member, 0)

    def set_ending(self, ending: bool) -> None:
        self._cells[_ENDING] = ending
