"""Calls over HTTP: from a request with credentials and a form to the answer in JSON or octets."""

from __future__ import annotations

import time
from collections.abc import Callable, Mapping
from functools import lru_cache
from typing import TYPE_CHECKING, Final, TypeVar

import msgspec
from bottle import HTTPResponse
from gunicorn.http.errors import ParseException
from msgspec import Struct

from mox import metrics
from mox.serving.errors import ConnectionDraining, ConnectionLost, ConnectionTimeout
from mox.store.errors import StoreError
from mox.store.idempotency import Answer
from mox.web.access import Access, Login, Refused, refuse
from mox.web.request import Request, request_of
from mox.web.webapi import messaging, sending, suppressing
from mox.web.webapi.call import Call, Octets, Surroundings
from mox.web.webapi.errors import CallError, of_store
from mox.web.webapi.forms import read_request
from mox.web.webapi.uploads import Uploads
from mox.webapi import types
from mox.webapi.decoding import RequestError, decode_request
from mox.webapi.types import IDEMPOTENCY_HEADER, MAX_IDEMPOTENCY_KEY, Error, ErrorCode

if TYPE_CHECKING:
    from wsgiref.types import WSGIEnvironment

    from prometheus_client import Counter, Histogram

    from mox.webapi.methods import Method

R = TypeVar("R", bound=Struct)
Result = Struct | Octets | Answer

HEADERS: Final = (
    ("Content-Security-Policy", "default-src 'self' 'unsafe-inline' data:"),
    ("Referrer-Policy", "same-origin"),
    ("X-Content-Type-Options", "nosniff"),
    ("X-Frame-Options", "deny"),
)
# Octets of messages come from anybody: a browser that shows them must run nothing.
_OCTET_HEADERS: Final = (
    ("Content-Security-Policy", "sandbox; default-src 'none'"),
    *HEADERS[1:],
)
_RESULTS: Final = metrics.counter(
    "mox_webapi_results_total", "Calls of the webapi, by method and result.", ("method", "result")
)
_DURATION: Final = metrics.histogram(
    "mox_webapi_duration_seconds",
    "Time that calls of the webapi take.",
    ("method",),
    metrics.CLIENT_BUCKETS,
)
_KEY_NAME: Final = f"HTTP_{IDEMPOTENCY_HEADER.upper().replace('-', '_')}"
# These end the connection; its shell knows what to do.
_ENDS: Final = (ConnectionDraining, ConnectionLost, ConnectionTimeout, ParseException)
_encode = msgspec.json.Encoder().encode


def _bind(type_: type[R], function: Callable[[Call, R], Result]) -> Callable[[Call, bytes], Result]:
    """Give a function its request from JSON."""
    return lambda call, raw: function(call, decode_request(raw, type_))


_FUNCTIONS: Final[Mapping[str, Callable[[Call, bytes], Result]]] = {
    "Send": _bind(types.SendRequest, sending.send),
    "SuppressionList": _bind(types.SuppressionListRequest, suppressing.list_all),
    "SuppressionAdd": _bind(types.SuppressionAddRequest, suppressing.add),
    "SuppressionRemove": _bind(types.SuppressionRemoveRequest, suppressing.remove),
    "SuppressionPresent": _bind(types.SuppressionPresentRequest, suppressing.present),
    "MessageGet": _bind(types.MessageGetRequest, messaging.get),
    "MessageRawGet": _bind(types.MessageRawGetRequest, messaging.raw_get),
    "MessagePartGet": _bind(types.MessagePartGetRequest, messaging.part_get),
    "MessageDelete": _bind(types.MessageDeleteRequest, messaging.delete),
    "MessageFlagsAdd": _bind(types.MessageFlagsAddRequest, messaging.add_flags),
    "MessageFlagsRemove": _bind(types.MessageFlagsRemoveRequest, messaging.remove_flags),
    "MessageMove": _bind(types.MessageMoveRequest, messaging.move),
}


class Caller:
    """Answers the calls of one process."""

    def __init__(self, access: Access, surroundings: Surroundings) -> None:
        self._access = access
        self._surroundings = surroundings

    def answer(self, method: Method, environ: WSGIEnvironment) -> HTTPResponse:
        """Call a method for whoever the credentials are of."""
        began = time.perf_counter()
        http = request_of(environ)
        result: Result | Refused
        try:
            result = self._call(method, http, environ)
            outcome = "badauth" if isinstance(result, Refused) else "ok"
        except CallError as e:
            outcome, result = str(e.code), Error(code=e.code, message=e.message)
        except _ENDS:
            raise
        except Exception as e:  # the border of a call
            metrics.PANICS.labels("webapi").inc()
            http.log.exception("call failed", err=e, method=method.name)
            outcome = "internal"
            result = Error(code=ErrorCode.SERVER, message="unhandled error")
        results, duration = _children(method.name, outcome)
        results.inc()
        duration.observe(time.perf_counter() - began)
        if isinstance(result, Refused):
            return refuse(result, HEADERS)
        return _respond(result)

    def _call(self, method: Method, http: Request, environ: WSGIEnvironment) -> Result | Refused:
        try:
            login = self._access.authenticate(environ, "webapi")
        except StoreError as e:
            http.log.error("verifying credentials", err=e)
            raise CallError(ErrorCode.SERVER, "error verifying credentials") from e
        if isinstance(login, Refused):
            return login
        try:
            return self._run(method, http, login, environ)
        except RequestError as e:
            raise CallError(ErrorCode.PROTOCOL, f"parsing request: {e}") from e
        except StoreError as e:
            error = of_store(e)
            if error.code is ErrorCode.SERVER:
                http.log.error("call failed", method=method.name, account=login.account, err=e)
            raise error from e

    def _run(self, method: Method, http: Request, login: Login, environ: WSGIEnvironment) -> Result:
        ctx = self._surroundings.ctx
        config = ctx.config
        uploads = Uploads(ctx.store)
        try:
            max_size = config.static.listeners[http.listener].smtp_max_message_size
            raw = read_request(environ, uploads, max_file_octets=max_size)
            call = Call(
                surroundings=self._surroundings,
                config=config,
                login=login,
                http=http,
                idempotency_key=_idempotency_key(environ),
                uploads=tuple(uploads.found),
            )
            return _FUNCTIONS[method.name](call, raw)
        finally:
            uploads.close()


def _idempotency_key(environ: WSGIEnvironment) -> str:
    key: str = environ.get(_KEY_NAME, "")
    if len(key) > MAX_IDEMPOTENCY_KEY or not key.isascii() or not key.isprintable():
        raise CallError(
            ErrorCode.PROTOCOL,
            f"{IDEMPOTENCY_HEADER} must have at most {MAX_IDEMPOTENCY_KEY} ascii characters",
        )
    return key


@lru_cache(maxsize=1000)
def _children(method: str, outcome: str) -> tuple[Counter, Histogram]:
    return _RESULTS.labels(method, outcome), _DURATION.labels(method)


def _respond(result: Result) -> HTTPResponse:
    if isinstance(result, Octets):
        headers = [("Content-Type", result.content_type), *_OCTET_HEADERS]
        return HTTPResponse(result.pieces, 200, headers)
    is_error = isinstance(result, Error)
    if isinstance(result, Answer):
        body, is_error = result.body + b"\n", result.is_error
    else:
        body = _encode(result) + b"\n"
    headers = [("Content-Type", "application/json; charset=utf-8"), *HEADERS]
    return HTTPResponse(body, 400 if is_error else 200, headers)
