"""Breaks of background work: longer while accounts or the queue are changed.

There is one writer at a time, and others wait for work that nobody waits for. So it rests between
its steps, as long as leaves it a share of the time; and when something was changed during the break
it rests again, so that its share is a small one as long as there is other work. What background
work writes itself changes no account and leaves no word in `touched`: two such jobs do not hold
each other up.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Final

import gevent

from mox.store.notify import last_touched

if TYPE_CHECKING:
    from mox.store.env import Databases

# Others have their turn also after a step that took no time.
_SHORTEST_S: Final = 0.005
# A step that took longer has waited itself, for the disk or for others: no reason to rest for long.
_LONGEST_STEP_S: Final = 0.5


def take_break(dbs: Databases, worked_s: float, *, share: float, beside: float) -> None:
    """Rest after a step that took so long.

    share: of the time that the work may take. beside: the same while others, of whatever process,
    change accounts or the queue.
    """
    worked_s = min(worked_s, _LONGEST_STEP_S)
    before = last_touched(dbs)
    usual_s = max(_SHORTEST_S, worked_s * (1 / share - 1))
    gevent.sleep(usual_s)
    if last_touched(dbs) != before:
        gevent.sleep(max(0.0, worked_s * (1 / beside - 1) - usual_s))
