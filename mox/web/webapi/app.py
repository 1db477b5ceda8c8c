"""The webapi's application: paths and HTTP methods, logins, and the answer to each call.

GET shows documentation and needs no login; POST calls a method. There are no sessions, and no
other site can call: nothing is allowed across origins.
"""

from __future__ import annotations

from collections.abc import Iterable
from http import HTTPStatus
from typing import TYPE_CHECKING, Final

from mox.web import answers
from mox.web.webapi import pages
from mox.web.webapi.call import Surroundings
from mox.web.webapi.calling import HEADERS, Caller
from mox.web.webapi.origins import is_of_another_site
from mox.webapi.methods import METHODS, VERSION

if TYPE_CHECKING:
    from wsgiref.types import StartResponse, WSGIApplication, WSGIEnvironment

    from mox.web.services import Services

_TOP: Final = f"/{VERSION}/"
_NOT_GET: Final = answers.plain(
    HTTPStatus.METHOD_NOT_ALLOWED, "405 - method not allow", [("Allow", "GET"), *HEADERS]
)
_NOT_GET_OR_POST: Final = answers.plain(
    HTTPStatus.METHOD_NOT_ALLOWED,
    "405 - method not allowed - use get or post",
    [("Allow", "GET, POST"), *HEADERS],
)
_NOT_FOR_OTHERS: Final = answers.plain(
    HTTPStatus.FORBIDDEN, "403 - forbidden - pages of other sites may not call", HEADERS
)
_NOT_FOUND: Final = answers.plain(HTTPStatus.NOT_FOUND, "404 page not found", HEADERS)


def make_app(services: Services) -> WSGIApplication:
    """The application of one process."""
    caller = Caller(services.access, Surroundings(services.ctx))

    def app(environ: WSGIEnvironment, start_response: StartResponse) -> Iterable[bytes]:
        path: str = environ["PATH_INFO"]
        verb: str = environ["REQUEST_METHOD"]
        method = METHODS.get(path[len(_TOP) :]) if path.startswith(_TOP) else None
        if method is not None and verb == "POST":
            if is_of_another_site(environ):
                return _NOT_FOR_OTHERS(environ, start_response)
            return caller.answer(method, environ, start_response)
        if method is not None and verb != "GET":
            return _NOT_GET_OR_POST(environ, start_response)
        return _document(path, verb, environ, start_response)

    return app


def _document(
    path: str, verb: str, environ: WSGIEnvironment, start_response: StartResponse
) -> Iterable[bytes]:
    """Answer with a page."""
    if path == "/":
        if verb != "GET":
            return _NOT_GET(environ, start_response)
        return answers.see_other(f"{environ['SCRIPT_NAME']}{_TOP}")(environ, start_response)
    base = f"{environ['SCRIPT_NAME']}/"
    page = pages.find_page(path[len(_TOP) :], base) if path.startswith(_TOP) else None
    if page is None:
        return _NOT_FOUND(environ, start_response)
    headers = [("Content-Type", page.content_type), ("Content-Length", str(len(page.body)))]
    start_response("200 OK", [*headers, *pages.HEADERS.items()])
    return [] if verb == "HEAD" else [page.body]
