"""One HTTP/1.1 connection to a receiver of webhooks (RFC 9112), as bytes in and bytes out."""

from __future__ import annotations

from dataclasses import dataclass
from http import HTTPStatus
from typing import Final

import h11

from mox import __version__
from mox.errors import MoxError
from mox.queue.webhook.address import HTTPAddress
from mox.webapi.hooks import ATTEMPT_HEADER, CONTENT_TYPE, ID_HEADER

# Of an answer's body that is kept.
KEPT_OCTETS: Final = 512
# Of status line and header fields; of a body for whose end is waited; of interim answers.
MAX_HEAD_OCTETS: Final = 16 << 10
MAX_BODY_OCTETS: Final = 16 << 10
_MAX_INTERIM: Final = 20
_MAX_REASON: Final = 100
_START: Final = b"HTTP/1."
_PHRASES: Final = {status.value: status.phrase for status in HTTPStatus}


class NotHTTP(MoxError):
    """What came back is no answer in HTTP, or none that can be made sense of."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Request:
    """One call. `authorization` "" is none."""

    id: int
    attempt: int
    body: bytes
    authorization: str = ""


@dataclass(frozen=True, slots=True)
class Answer:
    """`body` is the beginning of it. `is_reusable`: the connection is good for the next call."""

    status: int
    reason: str
    body: bytes
    is_reusable: bool

    @property
    def is_success(self) -> bool:
        """Whether the receiver has got it: that is said by 200 alone."""
        return self.status == HTTPStatus.OK

    @property
    def error(self) -> str:
        if self.is_success:
            return ""
        return f'http status "{f"{self.status} {self.reason}".strip()}", expected 200 ok'


class Exchange:
    """The state of one connection. After an answer that is reusable the next request may go."""

    def __init__(self, address: HTTPAddress) -> None:
        self._address = address
        self._h11 = h11.Connection(h11.CLIENT, max_incomplete_event_size=MAX_HEAD_OCTETS)
        self._response: h11.Response | None = None
        self._interim = 0
        self._body = b""
        self._size = 0
        self.has_begun = False  # something of an answer has come

    def request(self, request: Request) -> bytes:
        """Return the octets of a request."""
        if self._response is not None:
            self._h11.start_next_cycle()
            self._response, self._interim, self._body, self._size = None, 0, b"", 0
            self.has_begun = False
        try:
            head = h11.Request(
                method="POST", target=self._address.target, headers=self._headers(request)
            )
            parts = [
                self._h11.send(head),
                self._h11.send(h11.Data(data=request.body)),
                self._h11.send(h11.EndOfMessage()),
            ]
        except h11.LocalProtocolError as e:
            # Their text has the value, which may be a secret.
            raise NotHTTP("URL or authorization cannot be sent over HTTP") from e
        return b"".join(part for part in parts if part is not None)

    def _headers(self, request: Request) -> list[tuple[bytes, bytes]]:
        authorization = request.authorization.strip() or self._address.authorization
        headers = [
            ("Host", self._address.authority),
            ("User-Agent", f"mox/{__version__} (webhook)"),
            ("Content-Length", str(len(request.body))),
            *([("Authorization", authorization)] if authorization else []),
            ("Content-Type", CONTENT_TYPE),
            (ATTEMPT_HEADER, str(request.attempt)),
            (ID_HEADER, str(request.id)),
        ]
        return [(name.encode(), value.encode("utf-8", "replace")) for name, value in headers]

    def receive(self, data: bytes) -> Answer | None:
        """Take octets of the receiver, b"" for its end; returns the answer once it is complete.

        Raises NotHTTP.
        """
        if not self.has_begun:
            if not data:
                raise NotHTTP("connection closed without an answer")
            self.has_begun = True
            # What does not begin so is not waited for.
            if not data.startswith(_START[: len(data)]):
                raise NotHTTP("the answer is not HTTP")
        try:
            self._h11.receive_data(data)
            return self._advance()
        except h11.RemoteProtocolError as e:
            raise NotHTTP(str(e)) from e

    def _advance(self) -> Answer | None:
        while True:
            event = self._h11.next_event()
            if event is h11.NEED_DATA or event is h11.PAUSED:
                return None
            match event:
                case h11.InformationalResponse():
                    self._interim += 1
                    if self._interim > _MAX_INTERIM:
                        raise NotHTTP("too many interim responses")
                case h11.Response():
                    self._response = event
                case h11.Data():
                    self._take(bytes(event.data))
                    if self._size > MAX_BODY_OCTETS:
                        return self._answer(is_reusable=False)
                case h11.EndOfMessage():
                    return self._answer(is_reusable=self._is_at_rest)
                case _:
                    raise NotHTTP("connection closed without an answer")

    @property
    def _is_at_rest(self) -> bool:
        """Whether the connection stays open; what came after the answer would answer nothing."""
        states = (self._h11.our_state, self._h11.their_state)
        return states == (h11.DONE, h11.DONE) and not self._h11.trailing_data[0]

    def _take(self, data: bytes) -> None:
        self._size += len(data)
        self._body += data[: KEPT_OCTETS - len(self._body)]

    def partial(self) -> Answer | None:
        """Return the answer if what is kept of it has come, although it did not end."""
        is_enough = self._response is not None and len(self._body) == KEPT_OCTETS
        return self._answer(is_reusable=False) if is_enough else None

    def _answer(self, *, is_reusable: bool) -> Answer:
        response = self._response
        assert response is not None
        reason = bytes(response.reason).decode("latin-1")[:_MAX_REASON].strip()
        reason = reason or _PHRASES.get(response.status_code, "")
        return Answer(response.status_code, reason, self._body, is_reusable)
