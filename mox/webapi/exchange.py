"""HTTP exchanges with a webapi: connections that are kept, and what is tried again.

Standard library only. Safe for use by several threads, each call has a connection of its own.
"""

from __future__ import annotations

import http.client
import select
import ssl
import time
from collections import deque
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass

from mox.webapi.endpoint import Endpoint
from mox.webapi.failures import Unreachable
from mox.webapi.upload import Body

_MAX_IDLE = 8
_PIECE = 64 * 1024
# Before another try after a lost connection; the first one follows at once, because the server may
# just have closed a connection that was kept.
_PAUSES_S = (0.0, 0.25, 1.0)


class _LostError(Exception):
    """The connection ended before an answer began."""


@dataclass(frozen=True, slots=True)
class Request:
    """A call of `method`. A repeatable one does no harm when it is done twice."""

    method: str
    body: Body
    headers: Mapping[str, str]
    repeatable: bool


class Answer:
    """An answer as it comes in."""

    def __init__(self, response: http.client.HTTPResponse) -> None:
        self._response = response
        self.status = response.status

    def header(self, name: str) -> str:
        return self._response.headers.get(name, "")

    def read(self, octets: int) -> bytes:
        """Return what is there, up to so many octets; nothing at the end. Raises Unreachable."""
        try:
            piece = self._response.read(octets)
        except (OSError, http.client.HTTPException) as e:
            raise _broken_off(_why(e)) from e
        # http.client tells only those who read all at once that something is missing.
        if not piece and self._response.length:
            raise _broken_off(f"{self._response.length} octets are missing")
        return piece

    def pieces(self) -> Iterator[bytes]:
        while piece := self.read(_PIECE):
            yield piece


class Exchanges:
    """Connections to one endpoint."""

    def __init__(
        self, endpoint: Endpoint, *, timeout_s: float, tls: ssl.SSLContext | None, retries: int
    ) -> None:
        self._endpoint = endpoint
        self._timeout_s = timeout_s
        self._tls = tls if tls is not None else ssl.create_default_context()
        self._retries = retries
        self._idle: deque[http.client.HTTPConnection] = deque()

    @contextmanager
    def exchange(self, request: Request) -> Iterator[Answer]:
        """Send a request and give the answer, whose content is still to be read.

        Raises Unreachable.
        """
        connection, response = self._answered(request)
        try:
            yield Answer(response)
        except BaseException:
            connection.close()
            raise
        if response.isclosed() and not response.will_close and len(self._idle) < _MAX_IDLE:
            self._idle.append(connection)
        else:
            connection.close()

    def close(self) -> None:
        while self._idle:
            self._idle.pop().close()

    def _answered(
        self, request: Request
    ) -> tuple[http.client.HTTPConnection, http.client.HTTPResponse]:
        for attempt in range(self._retries + 1):
            connection = self._connection()
            try:
                return connection, self._try(connection, request)
            except _LostError as e:
                connection.close()
                if not request.repeatable or attempt == self._retries:
                    text = f"{self._place}: the connection was lost before an answer came: {e}"
                    raise Unreachable(text, may_have_happened=True) from e
            except BaseException:
                connection.close()
                raise
            time.sleep(_PAUSES_S[min(attempt, len(_PAUSES_S) - 1)])
        raise AssertionError("at least one attempt is made")

    @property
    def _place(self) -> str:
        return f"{self._endpoint.host} port {self._endpoint.port}"

    def _connection(self) -> http.client.HTTPConnection:
        """One that was kept and is still open, else a new one. Raises Unreachable."""
        while self._idle:
            kept = self._idle.pop()
            if not _has_ended(kept):
                return kept
            kept.close()
        host, port, timeout_s = self._endpoint.host, self._endpoint.port, self._timeout_s
        connection = (
            http.client.HTTPConnection(host, port, timeout=timeout_s)
            if self._endpoint.scheme == "http"
            else http.client.HTTPSConnection(host, port, timeout=timeout_s, context=self._tls)
        )
        try:
            connection.connect()
        except (OSError, UnicodeError) as e:
            connection.close()
            text = f"no connection to {self._place}: {_why(e)}"
            raise Unreachable(text, may_have_happened=False) from e
        return connection

    def _try(
        self, connection: http.client.HTTPConnection, request: Request
    ) -> http.client.HTTPResponse:
        try:
            self._send(connection, request)
            return connection.getresponse()
        except TimeoutError as e:
            text = f"{self._place}: no answer within {self._timeout_s:g} seconds"
            raise Unreachable(text, may_have_happened=True) from e
        except (ConnectionError, ssl.SSLError) as e:  # RemoteDisconnected is a ConnectionError
            raise _LostError(_why(e)) from e
        except http.client.HTTPException as e:
            text = f"{self._place} does not speak HTTP: {_why(e)}"
            raise Unreachable(text, may_have_happened=True) from e

    def _send(self, connection: http.client.HTTPConnection, request: Request) -> None:
        connection.putrequest(
            "POST", f"{self._endpoint.path}{request.method}", skip_accept_encoding=True
        )
        for name, value in request.headers.items():
            connection.putheader(name, value)
        connection.putheader("Authorization", self._endpoint.authorization)
        connection.putheader("Content-Type", request.body.content_type)
        connection.putheader("Content-Length", str(request.body.octets))
        connection.endheaders()
        for piece in request.body.pieces():
            try:
                connection.send(piece)
            except (BrokenPipeError, ConnectionResetError):
                # The server answers before it has everything, such as that it is too much.
                return


def _has_ended(connection: http.client.HTTPConnection) -> bool:
    """Whether there is something to read where no answer is awaited: mostly its end."""
    if connection.sock is None:
        return True
    poll = select.poll()
    poll.register(connection.sock, select.POLLIN)
    return bool(poll.poll(0))


def _broken_off(why: str) -> Unreachable:
    text = f"the connection was lost in the middle of the answer: {why}"
    return Unreachable(text, may_have_happened=True)


def _why(e: Exception) -> str:
    return str(e).strip() or type(e).__name__
