"""The border of the keeper's jobs: a failure of one turn must not end the loop."""

from __future__ import annotations

from collections.abc import Callable

from mox import logfmt
from mox.metrics import PANICS
from mox.store.errors import StoreError

log = logfmt.logger("keeper")


def guarded(work: Callable[[], object]) -> None:
    """Do one turn of a job; what goes wrong is logged."""
    try:
        work()
    except (StoreError, OSError) as e:
        log.error("housekeeping failed, will be tried again", err=e)
    except Exception:
        PANICS.labels("keeper").inc()
        log.exception("unexpected error in housekeeping")
