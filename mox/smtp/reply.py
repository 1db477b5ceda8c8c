"""SMTP replies as values (RFC 5321 §4.2, enhanced codes RFC 2034 and RFC 3463).

A `Reply` is what the delivery code decides, what the server machine writes and what the client
machine reads. `encode` gives the wire form; reading is `replyparser`'s work.
"""

from __future__ import annotations

from dataclasses import dataclass, replace

# RFC 5321 §4.5.3.1.5: a reply line has at most 512 octets with its CRLF.
MAX_REPLY_LINE = 512
# Long texts break at a space from this column on.
BREAK_FROM = 400


@dataclass(frozen=True, slots=True)
class Reply:
    """One reply: code, enhanced code ("5.1.1") or None, and a text or several lines of text."""

    code: int
    enhanced: str | None
    text: str | tuple[str, ...]

    @property
    def lines(self) -> tuple[str, ...]:
        return (self.text,) if isinstance(self.text, str) else self.text

    @property
    def is_positive(self) -> bool:
        """2xx: done."""
        return 200 <= self.code < 300

    @property
    def is_intermediate(self) -> bool:
        """3xx: go on."""
        return 300 <= self.code < 400

    @property
    def is_error(self) -> bool:
        return self.code >= 400

    @property
    def is_temporary(self) -> bool:
        return 400 <= self.code < 500

    @property
    def is_permanent(self) -> bool:
        return self.code >= 500

    def with_suffix(self, suffix: str) -> Reply:
        """Return the same reply with `suffix` after its last line."""
        *rest, last = self.lines
        text = f"{last} {suffix}".lstrip()
        return replace(self, text=(*rest, text) if rest else text)

    def encode(self, *, utf8: bool = False) -> bytes:
        """Return the reply in wire form; long lines are wrapped, control characters replaced.

        Text that is not ASCII is escaped unless `utf8` (RFC 6531 §3.7.4.2: only after the client
        has used SMTPUTF8).
        """
        lead = f"{self.enhanced} " if self.enhanced else ""
        room = MAX_REPLY_LINE - len("250-\r\n") - len(lead)
        text = self.text
        if isinstance(text, str) and len(text) <= room and text.isascii() and text.isprintable():
            return f"{self.code} {lead}{text}\r\n".encode()  # nearly all replies
        texts = [part for line in self.lines for part in _wrap(_clean(line, utf8), room)]
        last = len(texts) - 1
        return b"".join(
            f"{self.code}{' ' if number == last else '-'}{lead}".encode() + text + b"\r\n"
            for number, text in enumerate(texts)
        )

    def __str__(self) -> str:
        lead = f"{self.code} {self.enhanced} " if self.enhanced else f"{self.code} "
        return lead + " / ".join(self.lines)


_CONTROLS = dict.fromkeys((*range(32), 127), "?")


def _clean(text: str, utf8: bool) -> bytes:
    text = text.translate(_CONTROLS)
    return text.encode("utf-8", "replace") if utf8 else text.encode("ascii", "backslashreplace")


def _wrap(line: bytes, room: int) -> list[bytes]:
    parts = []
    while len(line) > room:
        at = line.rfind(b" ", BREAK_FROM, room + 1)
        end = at if at > 0 else _character_start(line, room)
        parts.append(line[:end])
        line = line[end:].removeprefix(b" ")
    return [*parts, line]


def _character_start(line: bytes, at: int) -> int:
    while line[at] & 0xC0 == 0x80:  # inside a UTF-8 sequence
        at -= 1
    return at
