from typing import Protocol
from wsgiref.types import StartResponse

from gunicorn.config import Config
from gunicorn.http.message import Request

class _Sink(Protocol):
    def sendall(self, data: bytes, /) -> None: ...

class FileWrapper: ...

class Response:
    req: Request
    sock: _Sink
    status: str | None
    status_code: int | None
    chunked: bool
    headers: list[tuple[str, str]]
    headers_sent: bool
    sent: int
    response_length: int | None
    _omits_body: bool
    start_response: StartResponse
    def __init__(self, req: Request, sock: _Sink, cfg: Config) -> None: ...
    def force_close(self) -> None: ...
    def should_close(self) -> bool: ...
    def send_headers(self) -> None: ...
    def write(self, arg: bytes) -> None: ...
    def _emit_body(self, data: bytes) -> None: ...
    def close(self) -> None: ...
