"""The kinds of worker processes, and where the code of each begins."""

from __future__ import annotations

import importlib
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import Final

from mox.serving.context import Context

Run = Callable[[Context], None]


@dataclass(frozen=True, slots=True)
class Kind:
    """One kind of worker. `entry` is `module:function`; the function gets a `Context`.

    A kind with `services` starts only when a listener offers one of them. A kind that is
    `exclusive` never has two processes, not even while one replaces the other.
    """

    name: str
    entry: str
    services: tuple[str, ...] = ()
    per_core: bool = False
    exclusive: bool = False

    def resolve(self) -> Run:
        """Import the code. Done before the fork, so that pages are shared and files readable."""
        module_name, _, attribute = self.entry.partition(":")
        run: Run = getattr(importlib.import_module(module_name), attribute)
        return run


KINDS: Final[Sequence[Kind]] = (
    Kind("smtp", "mox.smtpd.worker:run", ("smtp",), per_core=True),
    Kind("submission", "mox.smtpd.worker:run", ("submission", "submissions"), per_core=True),
    Kind("imap", "mox.imapd.worker:run", ("imap", "imaps"), per_core=True),
    Kind("queue", "mox.queue.worker:run", exclusive=True),
    Kind("keeper", "mox.keeper.worker:run", exclusive=True),
    Kind("web", "mox.web.worker:run", ("http", "https"), per_core=True),
)
