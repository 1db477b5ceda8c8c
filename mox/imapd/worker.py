"""The IMAP worker process: serves its sockets until it is told to stop."""

from __future__ import annotations

from functools import partial
from typing import TYPE_CHECKING

from mox.imap import responses
from mox.imapd.feed import Feeds
from mox.imapd.loop import handle
from mox.imapd.service import Service
from mox.serving.login import Authenticator
from mox.serving.server import Admission, serve

if TYPE_CHECKING:
    from mox.serving.connection import Connection
    from mox.serving.context import Context
    from mox.serving.limits import Refusal

SERVICES = frozenset({"imap", "imaps"})


def run(ctx: Context) -> None:
    """Serve until ctx.stopping is set and the connections are done."""
    service = Service(ctx, Authenticator(ctx), Feeds(ctx.store))
    serve(ctx, partial(handle, service), Admission("imap", SERVICES, _refuse, "imapserver"))


def _refuse(_: Connection, refusal: Refusal) -> bytes:
    return responses.untagged("BYE", refusal.value)
