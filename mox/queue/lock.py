"""One queue process at a time for a data directory, whoever starts it.

What a process has in hand it knows from memory, so a second one could begin the same message again.
The supervisor never starts two; but one that was killed leaves a queue process that may still be
ending its deliveries when the next supervisor starts.
"""

from __future__ import annotations

import fcntl
import os
from pathlib import Path
from typing import Final

import gevent
from gevent.event import Event

from mox import logfmt

log = logfmt.logger("queue")

_LOOK_S: Final = 0.05


class QueueLock:
    """A lock on the queue's directory. The kernel gives it back when its holder dies."""

    def __init__(self, directory: Path) -> None:
        """Raises OSError when the directory cannot be opened."""
        self._fd = os.open(directory, os.O_RDONLY | os.O_DIRECTORY | os.O_CLOEXEC)

    def acquire(self, stopping: Event) -> bool:
        """Wait until nobody else has it; false when `stopping` was set before."""
        has_waited = False
        while not stopping.is_set():
            try:
                fcntl.flock(self._fd, fcntl.LOCK_EX | fcntl.LOCK_NB)
                return True
            except BlockingIOError:
                if not has_waited:
                    log.info("waiting for another queue process to end its deliveries")
                has_waited = True
            gevent.sleep(_LOOK_S)
        return False

    def release(self) -> None:
        os.close(self._fd)
