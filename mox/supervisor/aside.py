"""Work that must not be done in the supervisor's own process: opening the store, for one."""

from __future__ import annotations

import os
import sys
import traceback
from collections.abc import Callable

from gevent.monkey import get_original

from mox.errors import MoxError
from mox.supervisor.errors import StartError

_fork: Callable[[], int] = get_original("os", "fork")
_waitpid: Callable[[int, int], tuple[int, int]] = get_original("os", "waitpid")


def run_aside(work: Callable[[], None]) -> None:
    """Run `work` in a forked process and wait for it. Raises StartError when it fails."""
    sys.stdout.flush()
    sys.stderr.flush()
    pid = _fork()
    if pid == 0:
        status = 1
        try:
            work()
            status = 0
        except MoxError as exc:
            print(exc, file=sys.stderr)
        except Exception:
            traceback.print_exc()
        finally:
            sys.stderr.flush()
            os._exit(status)
    if _waitpid(pid, 0)[1] != 0:
        raise StartError("that failed, see the lines above")
