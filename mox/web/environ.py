"""From a parsed request to the environ of PEP 3333."""

from __future__ import annotations

from collections.abc import Callable, Iterable
from typing import TYPE_CHECKING, Final
from urllib.parse import unquote_to_bytes

from gunicorn.http.wsgi import FileWrapper

from mox import logfmt

if TYPE_CHECKING:
    from wsgiref.types import WSGIEnvironment

    from gunicorn.http.body import Body
    from gunicorn.http.message import Request

    from mox.serving.connection import Connection

_log = logfmt.logger("http")


class _Errors:
    """`wsgi.errors`: what applications print goes to the log."""

    def write(self, text: str) -> int:
        if text.strip():
            _log.error("application", err=text.rstrip())
        return len(text)

    def writelines(self, lines: Iterable[str]) -> None:
        for line in lines:
            self.write(line)

    def flush(self) -> None:
        """Lines are written at once."""


_BASE: Final[WSGIEnvironment] = {
    "wsgi.version": (1, 0),
    "wsgi.errors": _Errors(),
    "wsgi.multithread": True,
    "wsgi.multiprocess": True,
    "wsgi.run_once": False,
    "wsgi.file_wrapper": FileWrapper,
    "wsgi.input_terminated": True,
    "SERVER_SOFTWARE": "mox",
    "SCRIPT_NAME": "",
}
_WITHOUT_PREFIX: Final = {"CONTENT-TYPE": "CONTENT_TYPE", "CONTENT-LENGTH": "CONTENT_LENGTH"}


class ExpectedBody:
    """A body that the client sends once it is told to (RFC 9110 §10.1.1): at the first read.

    An application that refuses without reading spares the client the sending.
    """

    __slots__ = ("_body", "_go_on", "asked_for")

    def __init__(self, body: Body, go_on: Callable[[], None]) -> None:
        self._body = body
        self._go_on = go_on
        self.asked_for = False

    def _ask(self) -> Body:
        if not self.asked_for:
            self.asked_for = True
            self._go_on()
        return self._body

    def read(self, size: int | None = None) -> bytes:
        return self._ask().read(size)

    def readline(self, size: int | None = None) -> bytes:
        return self._ask().readline(size)

    def readlines(self, size: int | None = None) -> list[bytes]:
        return self._ask().readlines(size)

    def __iter__(self) -> Iterable[bytes]:
        return iter(self._ask())


def connection_environ(conn: Connection) -> WSGIEnvironment:
    """What all requests of a connection have in common."""
    return {
        **_BASE,
        "wsgi.url_scheme": "http" if conn.tls is None else "https",
        "REMOTE_ADDR": str(conn.remote_ip),
        "REMOTE_PORT": str(conn.remote_port),
        "SERVER_NAME": str(conn.local_ip),
        "SERVER_PORT": str(conn.local_port),
    }


def make_environ(
    req: Request, fixed: WSGIEnvironment, body: Body | ExpectedBody
) -> WSGIEnvironment:
    """The environ of a request; what is peculiar to mox is added by the router."""
    environ: WSGIEnvironment = {
        **fixed,
        "wsgi.input": body,
        "REQUEST_METHOD": req.method,
        "RAW_URI": req.uri,
        "PATH_INFO": _decoded(req.path),
        "QUERY_STRING": req.query,
        "SERVER_PROTOCOL": f"HTTP/{req.version[0]}.{req.version[1]}",
    }
    for name, value in req.headers:
        key = _WITHOUT_PREFIX.get(name) or f"HTTP_{name.replace('-', '_')}"
        # RFC 9110 §5.3: fields of the same name are a list.
        environ[key] = f"{environ[key]},{value}" if key in environ else value
    return environ


def _decoded(path: str) -> str:
    return unquote_to_bytes(path).decode("latin-1") if "%" in path else path
