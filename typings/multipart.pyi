from collections.abc import Generator

class MultipartError(ValueError): ...
class ParserError(MultipartError): ...
class ParserLimitReached(ParserError): ...

class MultipartSegment:
    headerlist: list[tuple[str, str]]
    name: str | None
    filename: str | None
    content_type: str | None
    bytes_received: int
    def header(self, name: str, default: str = ...) -> str: ...

class PushMultipartParser:
    closed: bool
    def __init__(
        self,
        boundary: str | bytes,
        content_length: int = -1,
        max_header_size: int = ...,
        max_header_count: int = ...,
        max_segment_size: float = ...,
        max_segment_count: float = ...,
        header_charset: str = "utf8",
        strict: bool = False,
    ) -> None: ...
    def parse(
        self, chunk: bytes
    ) -> Generator[MultipartSegment | bytes | None, None, None]: ...
    def close(self, check_complete: bool = True) -> None: ...

def parse_options_header(header: str) -> tuple[str, dict[str, str]]: ...
