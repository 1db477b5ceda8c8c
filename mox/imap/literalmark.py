"""The announcement of a literal at the end of a line.

RFC 9051 §9: literal = "{" number64 ["+"] "}" CRLF; literal8 = "~{" number64 ["+"] "}" CRLF.
"""

from __future__ import annotations

import re
from dataclasses import dataclass

_MARK = re.compile(rb"\{([0-9]{1,20})[0-9]*(\+?)\}")


@dataclass(frozen=True, slots=True)
class LiteralMark:
    """`sync`: the client waits for `+ `; `binary`: literal8. Sizes beyond 20 digits are cut."""

    size: int
    sync: bool
    binary: bool


def split_mark(line: bytes) -> tuple[bytes, LiteralMark | None]:
    """Divide a line into its text and the literal it announces, if any.

    No element of the grammar but a literal ends in "}" after "{" and digits, except inside an
    unfinished quoted string, which is an error anyway.
    """
    if not line.endswith(b"}"):
        return line, None
    start = line.rfind(b"{")
    match = _MARK.fullmatch(line, start) if start >= 0 else None
    if match is None:
        return line, None
    binary = line[:start].endswith(b"~")
    mark = LiteralMark(int(match[1]), sync=not match[2], binary=binary)
    return line[: start - binary], mark
