"""Accept connections on a worker's sockets and run a handler for each, until drained."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from mox.serving.connection import Connection
    from mox.serving.context import Context
    from mox.serving.limits import Refusal

HANDSHAKE_TIMEOUT_S = 60.0
DRAIN_GRACE_S = 30.0


@dataclass(frozen=True, slots=True)
class Admission:
    """What a protocol wants of the front door.

    `group`: connections of equal group share limits ("smtp" for port 25 and submission).
    `auth_services`: services (Listen.service) closed to networks with many failed logins.
    `refuse(conn, refusal)` gives the bytes to send before closing, b"" for none.
    """

    group: str
    auth_services: frozenset[str]
    refuse: Callable[[Connection, Refusal], bytes]


def serve(
    ctx: Context,
    handler: Callable[[Connection], None],
    admission: Admission,
    *,
    grace_s: float = DRAIN_GRACE_S,
) -> None:
    """Serve all of ctx.listens until ctx.stopping is set and the connections are done.

    The handler runs in one greenlet per connection; when it returns or raises the
    connection is closed. ConnectionLost, ConnectionTimeout and ConnectionDraining that
    leave it are normal ends; anything else is logged with its stack and counted.
    """
    raise NotImplementedError
