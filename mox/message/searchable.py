"""What SEARCH looks at in a message, folded for comparing: made once, then kept or thrown away.

RFC 9051 §6.4.4: header keys look at decoded fields (and here at the raw ones too), BODY at the
decoded text parts, TEXT at both. All in UTF-8, so that a search is one look for octets.
"""

from __future__ import annotations

from dataclasses import dataclass

from mox.collation import folded
from mox.message.fields import Data, as_bytes, body_offset, split_fields, unfold
from mox.message.limits import LIMITS, Limits
from mox.message.reader import parse
from mox.message.transfer import text_of
from mox.message.words import decode_header


@dataclass(frozen=True, slots=True)
class Searchable:
    """The folded texts of a message.

    header: a line "\\nNAME: value" for each form of each field, raw and where different decoded.
    body: the text parts, NUL between them, so that nothing is found across two of them.
    """

    header: bytes
    body: bytes

    def has_field(self, name: bytes, part: bytes) -> bool:
        """Tell whether `part` is in a field called `name`; both folded."""
        header = self.header
        marker = b"\n" + name + b":"
        at = header.find(marker)
        while at >= 0:
            at += len(marker)
            end = header.find(b"\n", at)
            if header.find(part, at, len(header) if end < 0 else end) >= 0:
                return True
            at = header.find(marker, at)
        return False


def searchable(data: Data, *, wire: bool, limits: Limits = LIMITS) -> Searchable:
    """Read a message for searching. Never raises; may take a second for 32 MB of text."""
    stored = as_bytes(data)
    texts = text_of(stored, parse(stored, wire=wire, limits=limits), wire=wire, limits=limits)
    return Searchable(
        _header(stored, limits, wire=wire), b"\0".join([folded(text) for text in texts])
    )


def _header(stored: bytes, limits: Limits, *, wire: bool) -> bytes:
    end = min(body_offset(stored, 0, len(stored), wire=wire), limits.header_octets)
    lines: list[str] = []
    for name, raw in split_fields(stored[:end], wire=wire)[: limits.fields]:
        label = f"\n{name.decode('ascii', 'replace')}: "
        value = unfold(raw)
        text = value.decode("utf-8", "replace")
        lines.append(label + text)
        if b"=?" in value or not value.isascii():
            decoded = decode_header(value)
            if decoded != text:
                lines.append(label + decoded)
    return folded("".join(lines))
