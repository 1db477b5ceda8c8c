"""The receiving end of webhooks: checks who calls, and reads what it is about.

    >>> from mox.webapi.hooks import Event, Outgoing
    >>> from mox.webapi.receiver import Receiver
    >>> def handle(call: Call) -> None:
    ...     if isinstance(call.payload, Outgoing) and call.payload.event == Event.FAILED:
    ...         print(f"order {call.payload.extra['order']}: {call.payload.error}")
    >>> application = Receiver("Bearer secret").application(handle)

The application is for any WSGI server, such as wsgiref.simple_server for a try; other kinds of
server give header and body to Receiver.receive. The server calls again until the answer has status
200, so that a call may come twice: with the same `call.id`, which is the way to tell.
"""

from __future__ import annotations

import hmac
from collections.abc import Callable, Iterable, Mapping
from dataclasses import dataclass
from typing import TYPE_CHECKING, BinaryIO, Final

import msgspec

from mox.errors import MoxError
from mox.webapi.hooks import (
    ATTEMPT_HEADER,
    ID_HEADER,
    Incoming,
    Outgoing,
    decode_incoming,
    decode_outgoing,
)
from mox.webapi.naming import json_name

if TYPE_CHECKING:
    from wsgiref.types import StartResponse, WSGIApplication, WSGIEnvironment

# Texts of 1 MiB each, in which every character may be an escape of six.
MAX_BODY: Final = 16 * 1024 * 1024


@dataclass(frozen=True, slots=True)
class Call:
    """One call of a webhook. Its repetitions have the same `id` and the next `attempt`."""

    id: int
    attempt: int
    payload: Outgoing | Incoming


class BadCall(MoxError):
    """A call that no server of ours makes; `status` is for the answer."""

    def __init__(self, status: int, text: str) -> None:
        super().__init__(text)
        self.status = status


_REASONS: Final = {
    400: "Bad Request",
    401: "Unauthorized",
    405: "Method Not Allowed",
    413: "Content Too Large",
}


class Receiver:
    """Reads calls. `authorization` is the one in the account's configuration, if there is one."""

    def __init__(self, authorization: str = "") -> None:
        self._authorization = authorization

    def receive(self, header: Mapping[str, object], body: bytes) -> Call:
        """Read a call. Names in `header` may have any case; an environment of WSGI is one, too.

        Raises BadCall.
        """
        fields = {_name(name): value for name, value in header.items() if isinstance(value, str)}
        given, wanted = fields.get("authorization", ""), self._authorization
        if wanted and not hmac.compare_digest(given.encode(), wanted.encode()):
            raise BadCall(401, "wrong Authorization")
        return Call(
            _number(fields, ID_HEADER), _number(fields, ATTEMPT_HEADER), decode_payload(body)
        )

    def application(self, handle: Callable[[Call], None]) -> WSGIApplication:
        """Return a WSGI application that hands calls to `handle`.

        What `handle` raises goes to the WSGI server, and the call comes again later.
        """

        def application(environ: WSGIEnvironment, start_response: StartResponse) -> Iterable[bytes]:
            try:
                handle(self.receive(environ, _body(environ)))
            except BadCall as e:
                return _answer(start_response, f"{e.status} {_REASONS[e.status]}", str(e))
            return _answer(start_response, "200 OK", "ok")

        return application


class _Kind(msgspec.Struct, rename=json_name):
    """What tells the payloads apart, and whether mox in Go left out something."""

    event: str | None = None
    extra: dict[str, str] | None = None


def decode_payload(body: bytes) -> Outgoing | Incoming:
    """Read the body of a call, whichever it is. Raises BadCall."""
    try:
        kind = msgspec.json.decode(body, type=_Kind)
        if kind.event is None:
            return decode_incoming(body)
        return decode_outgoing(body if kind.extra is not None else _with_extra(body))
    except (msgspec.MsgspecError, UnicodeDecodeError, RecursionError) as e:
        raise BadCall(400, f"not the payload of a webhook: {e}") from e


def _with_extra(body: bytes) -> bytes:
    value = msgspec.json.decode(body, type=dict[str, msgspec.Raw])
    return msgspec.json.encode({**value, "Extra": {}})


def _name(name: str) -> str:
    return name.lower().replace("_", "-").removeprefix("http-")


def _number(fields: Mapping[str, str], name: str) -> int:
    text = fields.get(name.lower(), "")
    if not (text.isascii() and text.isdecimal() and len(text) < 20):
        raise BadCall(400, f"{name} is not a number")
    return int(text)


def _body(environ: WSGIEnvironment) -> bytes:
    if environ["REQUEST_METHOD"] != "POST":
        raise BadCall(405, "webhooks are called with POST")
    text: str = environ.get("CONTENT_LENGTH") or "0"
    if not (text.isascii() and text.isdecimal()):
        raise BadCall(400, "Content-Length is not a number")
    if len(text) > 9 or int(text) > MAX_BODY:
        raise BadCall(413, "larger than any call of a webhook")
    file: BinaryIO = environ["wsgi.input"]
    return file.read(int(text))


def _answer(start_response: StartResponse, status: str, text: str) -> Iterable[bytes]:
    body = f"{text}\n".encode()
    start_response(
        status,
        [
            ("Content-Type", "text/plain; charset=utf-8"),
            ("Content-Length", str(len(body))),
        ],
    )
    return [body]
