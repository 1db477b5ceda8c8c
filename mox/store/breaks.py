"""Breaks of background work: longer while others write.

There is one writer at a time, and others wait for work that nobody waits for. So it rests between
its steps, as long as leaves it a share of the time; and when somebody has committed during the
break it rests again, so that its share is a small one as long as there is other work.
"""

from __future__ import annotations

from typing import Final

import gevent
import lmdb

# Others have their turn also after a step that took no time.
_SHORTEST_S: Final = 0.005
# A step that took longer has waited itself, for the disk or for others: no reason to rest for long.
_LONGEST_STEP_S: Final = 0.5


def take_break(env: lmdb.Environment, worked_s: float, *, share: float, beside: float) -> None:
    """Rest after a step that took so long.

    share: of the time that the work may take. beside: the same while others commit, of whatever
    process.
    """
    worked_s = min(worked_s, _LONGEST_STEP_S)
    before = _last_commit(env)
    usual_s = max(_SHORTEST_S, worked_s * (1 / share - 1))
    gevent.sleep(usual_s)
    if _last_commit(env) != before:
        gevent.sleep(max(0.0, worked_s * (1 / beside - 1) - usual_s))


def _last_commit(env: lmdb.Environment) -> int:
    number: int = env.info()["last_txnid"]
    return number
