"""Stubs for the parts of bottle that mox uses."""

from collections.abc import Callable, Iterable
from typing import Any, TypeVar

_F = TypeVar("_F", bound=Callable[..., Any])

class Bottle:
    catchall: bool
    def __init__(self, catchall: bool = True, autojson: bool = True) -> None: ...
    def route(self, path: str, method: str | list[str] = "GET") -> Callable[[_F], _F]: ...
    def get(self, path: str) -> Callable[[_F], _F]: ...
    def post(self, path: str) -> Callable[[_F], _F]: ...
    def error(self, code: int = 500) -> Callable[[_F], _F]: ...
    def __call__(
        self, environ: dict[str, Any], start_response: Callable[..., Any]
    ) -> Iterable[bytes]: ...

class BaseResponse:
    content_type: str
    status: int | str
    def set_header(self, name: str, value: str) -> None: ...

class HTTPResponse(BaseResponse):
    body: bytes | Iterable[bytes]
    headerlist: list[tuple[str, str]]
    def __init__(
        self,
        body: bytes | Iterable[bytes] = b"",
        status: int | str | None = None,
        headers: Iterable[tuple[str, str]] | None = None,
    ) -> None: ...

class BaseRequest:
    MEMFILE_MAX: int
    method: str
    path: str
    environ: dict[str, Any]

response: BaseResponse
request: BaseRequest

class SimpleTemplate:
    def __init__(self, *, name: str, lookup: list[str]) -> None: ...
    def render(self, **kwargs: object) -> str: ...
