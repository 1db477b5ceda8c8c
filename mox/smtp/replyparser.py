"""Reads a server's replies (RFC 5321 §4.2, RFC 2034). A reply that is none ends the connection."""

from __future__ import annotations

import re

from mox.smtp.errors import SMTPError
from mox.smtp.linebuffer import CR
from mox.smtp.reply import Reply

# RFC 5321 §4.2: Reply-line = *( Reply-code "-" [ textstring ] CRLF ) Reply-code [ SP textstring ]
_LINE = re.compile(rb"([2-5][0-9]{2})(?:([ -])(.*))?", re.DOTALL)
# RFC 3463 §2: class "." subject "." detail
_ENHANCED = re.compile(r"([245]\.[0-9]{1,3}\.[0-9]{1,3})(?: |$)")


class BadReply(SMTPError):
    """What the server sent is not a reply; the connection is of no more use."""


class ReplyParser:
    """Collects octets and gives out whole replies. Never searches an octet twice."""

    __slots__ = ("_code", "_data", "_lines", "_max_line", "_max_lines", "_searched")

    def __init__(self, max_line: int = 2048, max_lines: int = 512) -> None:
        self._data = b""
        self._searched = 0
        self._code = 0
        self._lines: list[str] = []
        self._max_line = max_line
        self._max_lines = max_lines

    @property
    def is_empty(self) -> bool:
        """Nothing is waiting, not even part of a reply."""
        return not self._data and not self._lines

    def feed(self, data: bytes) -> None:
        self._data += data

    def next(self, *, enhanced: bool) -> Reply | None:
        """Return the next complete reply. `enhanced`: its text begins with an enhanced code.

        Raises BadReply.
        """
        while True:
            line = self._line()
            if line is None:
                return None
            match = _LINE.fullmatch(line)
            if match is None:
                raise BadReply(f"malformed reply: {line[:100]!r}")
            code = int(match[1])
            if self._lines and code != self._code:
                raise BadReply(f"code {code} within a reply with code {self._code}")
            self._code = code
            self._lines.append((match[3] or b"").decode("utf-8", "backslashreplace"))
            if match[2] != b"-":
                return self._reply(enhanced)
            if len(self._lines) >= self._max_lines:
                raise BadReply("reply has too many lines")

    def _line(self) -> bytes | None:
        at = self._data.find(b"\n", self._searched)
        if at >= self._max_line or (at < 0 and len(self._data) >= self._max_line):
            raise BadReply("reply line is too long")
        if at < 0:
            self._searched = len(self._data)
            return None
        line = self._data[: at - 1] if at and self._data[at - 1] == CR else self._data[:at]
        self._data = self._data[at + 1 :]
        self._searched = 0
        return line

    def _reply(self, enhanced: bool) -> Reply:
        lines, self._lines = self._lines, []
        code: str | None = None
        if enhanced:
            code, lines = _take_enhanced(self._code, lines)
        return Reply(self._code, code, lines[0] if len(lines) == 1 else tuple(lines))


def _take_enhanced(code: int, lines: list[str]) -> tuple[str | None, list[str]]:
    match = _ENHANCED.match(lines[0])
    # RFC 3463 §2: the class agrees with the first digit of the reply code.
    if match is None or match[1][0] != str(code)[0]:
        return None, lines
    found = match[1]
    return found, [line.removeprefix(found).removeprefix(" ") for line in lines]
