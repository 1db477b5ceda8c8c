"""A worker process for SMTP: port 25 and submission are the same program with other listeners."""

from __future__ import annotations

from typing import TYPE_CHECKING, Final

from mox.serving.limits import Refusal
from mox.serving.server import Admission, serve
from mox.smtp.reply import Reply
from mox.smtpd.services import Services
from mox.smtpd.session import SHUTTING_DOWN, converse

if TYPE_CHECKING:
    from mox.dns import Resolver
    from mox.serving.connection import Connection
    from mox.serving.context import Context

_SUBMISSION_SERVICES: Final = frozenset({"submission", "submissions"})


def run(ctx: Context) -> None:
    """Serve until told to stop and drained."""
    serve_clients(ctx, ctx.resolver)


def serve_clients(ctx: Context, resolver: Resolver) -> None:
    """Like `run`, with names looked up by `resolver`."""
    services = Services(ctx, resolver)
    serve(
        ctx,
        lambda conn: converse(services, conn),
        Admission(
            group="smtp",
            auth_services=_SUBMISSION_SERVICES,
            refuse=refuse,
            package="smtpserver",
        ),
    )


def refuse(conn: Connection, refusal: Refusal) -> bytes:
    """Return what a client is told that is not let in."""
    if refusal is Refusal.SHUTTING_DOWN:
        return SHUTTING_DOWN.encode()
    return Reply(421, "4.7.0", refusal.value).encode()
