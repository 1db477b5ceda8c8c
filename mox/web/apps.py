"""The applications that the web worker serves, by service."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from typing import TYPE_CHECKING, Final

from mox.web import metrics_app
from mox.web.webapi import app as webapi

if TYPE_CHECKING:
    from wsgiref.types import WSGIApplication

    from mox.web.services import Services

# Names as in mox.web.routes.
APPS: Final[Mapping[str, Callable[[Services], WSGIApplication]]] = {
    "metrics": metrics_app.make_app,
    "webapi": webapi.make_app,
}


def make_apps(services: Services) -> Mapping[str, WSGIApplication]:
    """Make all applications, for one process."""
    return {name: make(services) for name, make in APPS.items()}
