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
# Other servers stay for one message or a few: handing them over costs some 2 % of their work, so
# small differences, which even out by themselves, are left alone.
_MARGIN_OF_SERVERS: Final = 4
_MARGIN_OF_CLIENTS: Final = 1


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
            margin=_MARGIN_OF_SERVERS if ctx.kind == "smtp" else _MARGIN_OF_CLIENTS,
        ),
    )


def refuse(conn: Connection, refusal: Refusal) -> bytes:
    """Return what a client is told that is not let in."""
    if refusal is Refusal.SHUTTING_DOWN:
        return SHUTTING_DOWN.encode()
    return Reply(421, "4.7.0", refusal.value).encode()
