"""Short answers that the router gives itself, as WSGI applications."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from http import HTTPStatus
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from wsgiref.types import StartResponse, WSGIApplication, WSGIEnvironment


def plain(
    status: HTTPStatus, text: str, headers: Sequence[tuple[str, str]] = ()
) -> WSGIApplication:
    """An application that says `text` to everything."""
    body = f"{text}\n".encode()
    fields = {
        "Content-Type": "text/plain; charset=utf-8",
        "X-Content-Type-Options": "nosniff",
        "Content-Length": str(len(body)),
        **dict(headers),
    }
    all_headers = [*fields.items()]

    def app(environ: WSGIEnvironment, start_response: StartResponse) -> Iterable[bytes]:
        start_response(f"{status.value} {status.phrase}", all_headers)
        return [body]

    return app


def see_other(location: str) -> WSGIApplication:
    """An application that leads elsewhere; `location` is an escaped path, with query."""
    return plain(HTTPStatus.SEE_OTHER, f"303 - see {location}", [("Location", location)])


NOT_FOUND = plain(HTTPStatus.NOT_FOUND, "404 page not found")
TOO_MANY = plain(HTTPStatus.TOO_MANY_REQUESTS, "429 - too many requests", [("Retry-After", "60")])
NO_HOST = plain(HTTPStatus.BAD_REQUEST, "400 - bad request - missing or malformed host header")
NOT_FORWARDED = plain(
    HTTPStatus.INTERNAL_SERVER_ERROR,
    "500 - internal server error - x-forwarded-for is missing or malformed",
)
