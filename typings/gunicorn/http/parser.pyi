from typing import Protocol

from gunicorn.config import Config
from gunicorn.http.message import Request
from gunicorn.http.unreader import Unreader

class _Source(Protocol):
    def recv(self, size: int, /) -> bytes: ...

class RequestParser:
    unreader: Unreader
    def __init__(self, cfg: Config, source: _Source, source_addr: tuple[str, int]) -> None: ...
    def __next__(self) -> Request: ...
    def finish_body(self, deadline: float | None = None, max_bytes: int | None = None) -> bool: ...
