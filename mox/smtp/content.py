"""Message octets as they come in: DATA with its dots, BDAT without (RFC 5321 §4.5.2, RFC 3030).

Everything is done with searches over whole chunks; no loop over lines. A message is `broken` once
it has had a CR without LF or a LF without CR: other software may take such octets for a line end
and see commands where we see text (SMTP smuggling), so it is never passed on. The readers still
find the true end, and return no more content.
"""

from __future__ import annotations

END = b"\r\n.\r\n"
STUFFED = b"\r\n."
# What a chunk may end with that can only be judged with the next one, longest first.
_TAILS = (b"\r\n.\r", b"\r\n.", b"\r\n", b"\r")


def has_bare(data: bytes) -> bool:
    """Tell whether a CR or LF stands alone in `data`, which must not begin or end inside a CRLF."""
    pairs = data.count(b"\r\n")
    return data.count(b"\n") != pairs or data.count(b"\r") != pairs


class DotReader:
    """Reads what follows 354, up to CRLF "." CRLF.

    Before the first octet a CRLF is put in front, so that a first line with a dot is no special
    case; `_skip` takes it away again.
    """

    __slots__ = ("_held", "_skip", "broken")

    def __init__(self) -> None:
        self._held = b"\r\n"
        self._skip = 2
        self.broken = False

    def feed(self, data: bytes) -> tuple[bytes, bytes | None]:
        """Return content, and None or, once the end was found, the octets after it."""
        data = self._held + data
        dot = data.find(STUFFED)
        end = data.find(END, dot) if dot >= 0 else -1
        if end >= 0:
            rest: bytes | None = data[end + len(END) :]
            content = data[: end + 2]
        else:
            rest = None
            self._held = _tail(data)
            content = data[: len(data) - len(self._held)]
        return self._clean(content, dot >= 0), rest

    def _clean(self, content: bytes, has_dots: bool) -> bytes:
        if self.broken or not content:
            return b""
        if has_bare(content):
            self.broken = True
            return b""
        if has_dots:
            content = content.replace(STUFFED, b"\r\n")
        if self._skip:
            content = content[self._skip :]
            self._skip = 0
        return content


class ChunkReader:
    """Reads the octets of all BDATs of one message."""

    __slots__ = ("_held", "broken")

    def __init__(self) -> None:
        self._held = b""
        self.broken = False

    def feed(self, data: bytes) -> bytes:
        """Return content; a CR at the very end waits for its LF."""
        data = self._held + data
        self._held = b"\r" if data.endswith(b"\r") else b""
        content = data[:-1] if self._held else data
        if not content or self.broken:
            return b""
        if has_bare(content):
            self.broken = True
            return b""
        return content

    def finish(self) -> None:
        """Say that the last chunk is complete: a CR at its end stands alone.

        RFC 3030 §2: the octets are the message; one that does not end with a line stays so.
        """
        if self._held:
            self.broken = True


def _tail(data: bytes) -> bytes:
    for tail in _TAILS:
        if data.endswith(tail):
            return tail
    return b""
