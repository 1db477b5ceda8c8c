"""HTTP on a connection: requests are read and answered by gunicorn's parser and response.

The limits on time and size, and what ends a connection, are here; processes, sockets, TLS and
draining are those of `mox.serving`.
"""

from __future__ import annotations

import time
from collections.abc import Callable
from functools import partial
from http import HTTPStatus
from typing import TYPE_CHECKING, Final

from gunicorn.http.errors import (
    ExpectationFailed,
    LimitRequestHeaders,
    LimitRequestLine,
    NoMoreData,
    ParseException,
    UnsupportedTransferCoding,
)

from mox import logfmt, metrics
from mox.serving.errors import ConnectionDraining, ConnectionLost, ConnectionTimeout
from mox.serving.parking import Event, Parked
from mox.web.environ import ExpectedBody, connection_environ, make_environ
from mox.web.observed import observe
from mox.web.parsing import new_parser, parser_settings
from mox.web.response import WebResponse, bare
from mox.web.router import Arrival, put_arrival
from mox.web.wire import Patience, Wire

if TYPE_CHECKING:
    from wsgiref.types import WSGIApplication

    from gunicorn.http.message import Request

    from mox.serving.cid import Cids
    from mox.serving.connection import Connection

# A connection without a request keeps its greenlet this long.
_AWAKE_S: Final = 1.0
# How much of a body that no one wanted is read, so that the connection can be used again.
_MAX_UNWANTED: Final = 1 << 20
_PATIENCE: Final = Patience()
_CONTINUE: Final = b"HTTP/1.1 100 Continue\r\n\r\n"
_ENDS: Final = (ConnectionDraining, ConnectionLost, ConnectionTimeout)
_STATUS: Final[dict[type[ParseException], HTTPStatus]] = {
    ExpectationFailed: HTTPStatus.EXPECTATION_FAILED,
    LimitRequestHeaders: HTTPStatus.REQUEST_HEADER_FIELDS_TOO_LARGE,
    LimitRequestLine: HTTPStatus.REQUEST_URI_TOO_LONG,
    UnsupportedTransferCoding: HTTPStatus.NOT_IMPLEMENTED,
}

_log = logfmt.logger("http")


class Http:
    """What the connections of a process have in common."""

    def __init__(
        self,
        root: WSGIApplication,
        cids: Cids,
        is_stopping: Callable[[], bool],
        patience: Patience = _PATIENCE,
    ) -> None:
        """`root` is the router; it finds an `Arrival` in its environ."""
        self.root = root
        self.cids = cids
        self.is_stopping = is_stopping
        self.patience = patience
        self.settings = parser_settings()

    def handle(self, conn: Connection) -> Parked | None:
        """Serve a connection until it ends or has been idle for a moment."""
        return _Exchanges(self, conn).serve()


class _Exchanges:
    """One connection."""

    __slots__ = ("_conn", "_fixed", "_http", "_parser", "_wire")

    def __init__(self, http: Http, conn: Connection) -> None:
        self._http = http
        self._conn = conn
        self._wire = Wire(conn, http.patience)
        self._parser = new_parser(http.settings, self._wire)
        self._fixed = connection_environ(conn)

    def serve(self) -> Parked | None:
        while True:
            self._wire.expect_head()
            request = self._next_request()
            if request is None or not self._answer(request):
                return None
            if not self._has_more() and self._wire.is_silent(_AWAKE_S):
                return Parked(self._resume, self._http.patience.idle_s)

    def _resume(self, event: Event) -> Parked | None:
        return self.serve() if event == "ready" else None

    def _has_more(self) -> bool:
        """Whether the next request has begun to arrive with the last one."""
        return self._parser.unreader.buf.getbuffer().nbytes > 0

    def _next_request(self) -> Request | None:
        """Read a head; None: the client has ended, or sent what is none and was told so."""
        try:
            return next(self._parser)
        except (StopIteration, NoMoreData):
            return None
        except ParseException as e:
            self._refuse(e)
            return None

    def _refuse(self, error: ParseException) -> None:
        conn = self._conn
        _log.debug("not http", err=error, remote_ip=conn.remote_ip, cid=conn.cid)
        status = _STATUS.get(type(error), HTTPStatus.BAD_REQUEST)
        conn.send(bare(status, f"{status.value} - {status.phrase.lower()}"))

    def _answer(self, req: Request) -> bool:
        """Have a request answered; true: the connection can take another one."""
        http = self._http
        self._wire.expect_body()
        response = WebResponse(req, self._wire, http.settings)
        if http.is_stopping():
            response.force_close()
        arrival = Arrival(self._conn, http.cids.next())
        started_at = time.monotonic()
        error: BaseException | None = None
        try:
            self._run(req, response, arrival)
        except _ENDS as e:
            error = e
            raise
        except ParseException as e:
            error = e
            self._fail(response, HTTPStatus.BAD_REQUEST)
        except Exception as e:  # the border of the application
            error = e
            metrics.PANICS.labels(arrival.handler).inc()
            _log.exception("application failed", err=e, path=req.path, cid=arrival.cid)
            self._fail(response, HTTPStatus.INTERNAL_SERVER_ERROR)
        finally:
            observe(arrival, response, started_at, error)
        return error is None and not response.ends_connection and self._discard_body()

    def _run(self, req: Request, response: WebResponse, arrival: Arrival) -> None:
        body = req.body
        expected: ExpectedBody | None = None
        if req._expected_100_continue:
            expected = ExpectedBody(body, partial(self._wire.sendall, _CONTINUE))
        environ = make_environ(req, self._fixed, expected or body)
        put_arrival(environ, arrival)
        parts = self._http.root(environ, response.start_response)
        try:
            for part in parts:
                if expected is not None and not expected.asked_for and not response.headers_sent:
                    # Whether the client sends its body all the same, nobody can know.
                    response.force_close()
                response.write(part)
            response.close()
        finally:
            close = getattr(parts, "close", None)
            if close is not None:
                close()

    def _fail(self, response: WebResponse, status: HTTPStatus) -> None:
        """Answer for an application that has not; cut off an answer that it broke off."""
        if not response.is_committed:
            text = f"{status.value} - {status.phrase.lower()}"
            response.status, response.status_code = f"{status.value} {status.phrase}", status.value
            self._conn.send(bare(status, text))

    def _discard_body(self) -> bool:
        """Read what the application has left of the body; false: it is too much."""
        parser = self._parser
        try:
            if not parser.finish_body(max_bytes=_MAX_UNWANTED):
                return False
            # It would look for more of this request's body before the next one.
            parser.mesg = None
            return True
        except ParseException as e:
            _log.debug("body is malformed", err=e, cid=self._conn.cid)
            return False
