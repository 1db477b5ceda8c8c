"""The WSGI application with the metrics, for Prometheus to fetch."""

from __future__ import annotations

from typing import TYPE_CHECKING

from bottle import Bottle, response

from mox import metrics

if TYPE_CHECKING:
    from mox.web.services import Services

_INDEX = """\
<!doctype html>
<html lang="en"><meta charset="utf-8"><title>mox metrics</title>
<p>Numbers about this mail server, for Prometheus: <a href="metrics">metrics</a></p>
</html>
"""


def make_app(services: Services) -> Bottle:
    """An application with `/metrics`, and `/` that leads there. It never reads a request's body."""
    app = Bottle()

    @app.get("/")
    def index() -> str:
        response.content_type = "text/html; charset=utf-8"
        return _INDEX

    @app.get("/metrics")
    def show() -> bytes:
        response.content_type = metrics.CONTENT_TYPE
        response.set_header("Cache-Control", "no-store")
        return metrics.exposition()

    return app
