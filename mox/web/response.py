"""gunicorn's response, whose head goes out in one piece with the beginning of the body."""

from __future__ import annotations

import time
from email.utils import formatdate
from http import HTTPStatus

from gunicorn.http.wsgi import Response


class WebResponse(Response):
    """One response. `started_at` is when its head was complete (monotonic), 0.0 before."""

    _head = b""
    started_at = 0.0

    @property
    def is_committed(self) -> bool:
        """Whether a part of it may have left: nothing else can be answered any more."""
        return self.headers_sent and not self._head

    @property
    def ends_connection(self) -> bool:
        """Whether nothing can follow: it was said so, or less came than had been announced."""
        if self.should_close():
            return True
        announced = self.response_length
        return announced is not None and self.sent < announced and not self._omits_body

    def send_headers(self) -> None:
        if self.headers_sent:
            return
        major, minor = self.req.version
        lines = [
            f"HTTP/{major}.{minor} {self.status}",
            f"Date: {_http_date(int(time.time()))}",
            f"Connection: {'close' if self.should_close() else 'keep-alive'}",
        ]
        if self.chunked:
            lines.append("Transfer-Encoding: chunked")
        lines += [f"{name}: {value}" for name, value in self.headers]
        self._head = "\r\n".join([*lines, "\r\n"]).encode("latin-1")
        self.headers_sent = True
        self.started_at = time.monotonic()

    def write(self, arg: bytes) -> None:
        if self._omits_body:
            # RFC 9110 §9.3.2: HEAD is answered as GET, without the body; applications may be the
            # same for both, and gunicorn would warn of each.
            self.send_headers()
        else:
            super().write(arg)

    def _emit_body(self, data: bytes) -> None:
        head, self._head = self._head, b""
        if self.chunked:
            data = b"%X\r\n%b\r\n" % (len(data), data)
        self.sock.sendall(head + data if head else data)

    def close(self) -> None:
        self.send_headers()
        head, self._head = self._head, b""
        rest = head + b"0\r\n\r\n" if self.chunked else head
        if rest:
            self.sock.sendall(rest)


class _Clock:
    """The last Date field made: it is the same for a second."""

    second = 0
    text = ""


def _http_date(second: int) -> str:
    if second != _Clock.second:
        _Clock.second, _Clock.text = second, formatdate(second, usegmt=True)
    return _Clock.text


def bare(status: HTTPStatus, text: str) -> bytes:
    """A whole response of plain text to what is no request, after which the connection ends."""
    body = f"{text}\n".encode()
    head = (
        f"HTTP/1.1 {status.value} {status.phrase}\r\n"
        f"Date: {_http_date(int(time.time()))}\r\n"
        "Connection: close\r\n"
        "Content-Type: text/plain; charset=utf-8\r\n"
        f"Content-Length: {len(body)}\r\n\r\n"
    )
    return head.encode() + body
