"""The webapi's application: so far only the way to its first version."""

from __future__ import annotations

from collections.abc import Iterable
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from wsgiref.types import StartResponse, WSGIApplication, WSGIEnvironment

    from mox.web.services import Services


def make_app(services: Services) -> WSGIApplication:
    """An application whose top leads to `v0/`."""

    def app(environ: WSGIEnvironment, start_response: StartResponse) -> Iterable[bytes]:
        if environ["PATH_INFO"] == "/" and environ["REQUEST_METHOD"] in ("GET", "HEAD"):
            location = f"{environ['SCRIPT_NAME']}/v0/"
            start_response("303 See Other", [("Location", location), ("Content-Length", "0")])
            return []
        body = b"404 page not found\n"
        headers = [("Content-Type", "text/plain"), ("Content-Length", str(len(body)))]
        start_response("404 Not Found", headers)
        return [body]

    return app
