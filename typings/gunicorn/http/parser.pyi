from typing import Protocol

from gunicorn.http.message import Request
from gunicorn.http.unreader import Unreader

class _Source(Protocol):
    def recv(self, size: int, /) -> bytes: ...

class RequestParser:
    unreader: Unreader
    mesg: Request | None
    def __init__(self, cfg: object, source: _Source, source_addr: str) -> None: ...
    def __next__(self) -> Request: ...
    def finish_body(self, deadline: float | None = None, max_bytes: int | None = None) -> bool: ...
