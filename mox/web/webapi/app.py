"""The webapi's application: paths and HTTP methods, logins, and the answer to each call.

GET shows documentation and needs no login; POST calls a method. There are no sessions, and no
other site can call: nothing is allowed across origins.
"""

from __future__ import annotations

from http import HTTPStatus
from typing import TYPE_CHECKING, Final

from bottle import Bottle, HTTPResponse, request

from mox.web.webapi import pages
from mox.web.webapi.call import Surroundings
from mox.web.webapi.calling import HEADERS, Caller
from mox.web.webapi.origins import is_of_another_site
from mox.webapi.methods import METHODS, VERSION

if TYPE_CHECKING:
    from mox.web.services import Services

_TOP: Final = f"/{VERSION}/"
_ANY: Final = "ANY"


def make_app(services: Services) -> Bottle:
    """The application of one process."""
    caller = Caller(services.access, Surroundings(services.ctx))
    # What breaks a connection passes through to whoever has the connection.
    app = Bottle(catchall=False)

    @app.route("/", _ANY)
    def top() -> HTTPResponse:
        if request.method != "GET":
            return _plain(HTTPStatus.METHOD_NOT_ALLOWED, "405 - method not allow", ("Allow", "GET"))
        location = f"{request.environ['SCRIPT_NAME']}{_TOP}"
        return _plain(HTTPStatus.SEE_OTHER, f"303 - see {location}", ("Location", location))

    @app.route(_TOP, _ANY)
    def index() -> HTTPResponse:
        return _document("")

    @app.route(f"{_TOP}<name:path>", _ANY)
    def method_or_page(name: str) -> HTTPResponse:
        method = METHODS.get(name)
        if method is None or request.method == "GET":
            return _document(name)
        if request.method != "POST":
            return _plain(
                HTTPStatus.METHOD_NOT_ALLOWED,
                "405 - method not allowed - use get or post",
                ("Allow", "GET, POST"),
            )
        if is_of_another_site(request.environ):
            return _plain(
                HTTPStatus.FORBIDDEN, "403 - forbidden - pages of other sites may not call"
            )
        return caller.answer(method, request.environ)

    @app.route("/<path:path>", _ANY)
    def nothing(path: str) -> HTTPResponse:
        return _not_found()

    return app


def _document(name: str) -> HTTPResponse:
    """Answer with a page."""
    page = pages.find_page(name, f"{request.environ['SCRIPT_NAME']}/")
    if page is None:
        return _not_found()
    headers = [("Content-Type", page.content_type), *pages.HEADERS.items()]
    return HTTPResponse(page.body, 200, headers)


def _not_found() -> HTTPResponse:
    return _plain(HTTPStatus.NOT_FOUND, "404 page not found")


def _plain(status: HTTPStatus, text: str, *headers: tuple[str, str]) -> HTTPResponse:
    fields = [("Content-Type", "text/plain; charset=utf-8"), *headers, *HEADERS]
    return HTTPResponse(f"{text}\n".encode(), status.value, fields)
