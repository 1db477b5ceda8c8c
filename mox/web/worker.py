"""The web worker process: HTTP and HTTPS of all listeners, until it is told to stop."""

from __future__ import annotations

from http import HTTPStatus
from typing import TYPE_CHECKING, Final

from mox.serving.server import Admission, serve
from mox.web.access import Access
from mox.web.apps import make_apps
from mox.web.exchange import Http
from mox.web.request_limit import RequestLimit
from mox.web.response import bare
from mox.web.router import Router
from mox.web.services import Services

if TYPE_CHECKING:
    from mox.serving.connection import Connection
    from mox.serving.context import Context
    from mox.serving.limits import Refusal

# Many clients come for one request, which may take less than handing the connection over: only
# large differences are evened out.
_MARGIN: Final = 16


def run(ctx: Context) -> None:
    """Serve until ctx.stopping is set and the requests under way are answered."""
    apps = make_apps(Services(ctx, Access(ctx)))
    router = Router(ctx, apps, RequestLimit(ctx.ephemeral))
    http = Http(router, ctx.cids, ctx.stopping.is_set)
    admission = Admission(
        "http",
        frozenset(),
        _refuse,
        "http",
        unlimited=lambda listen: router.site(listen).forwarded,
        margin=_MARGIN,
    )
    serve(ctx, http.handle, admission)


def _refuse(_: Connection, refusal: Refusal) -> bytes:
    return bare(HTTPStatus.TOO_MANY_REQUESTS, f"429 - {refusal.value}")
