"""The MIME reader: one pass over a message, giving a tree of offsets (RFC 2045, RFC 2046).

Never raises on hostile input, works in linear time, copies header sections only. Reads wire form
and stored form; a message gives the same tree in both, but for the offsets.
"""

from __future__ import annotations

from mox.message.charsets import guess
from mox.message.envelopes import ENVELOPE_FIELDS, render_envelope
from mox.message.fields import Data, as_searchable, body_offset
from mox.message.limits import LIMITS, Limits
from mox.message.params import (
    MESSAGE_RFC822,
    OCTET_STREAM,
    TEXT_PLAIN,
    ContentType,
    content_type,
    disposition,
    param,
    strip_comments,
)
from mox.message.parts import Part
from mox.message.scan import FieldMap, scan_fields
from mox.message.windowed import Windowed

_CONTENT_FIELDS = frozenset(
    b"content-type content-transfer-encoding content-id content-description "
    b"content-disposition content-md5 content-language content-location".split()
)
_MESSAGE_FIELDS = _CONTENT_FIELDS | ENVELOPE_FIELDS
_ROOT_FIELDS = _MESSAGE_FIELDS | {b"references"}
_IDENTITY = ("7BIT", "8BIT", "BINARY")
_MAX_LANGUAGES = 20
_MAX_TEXT_OCTETS = 4096
_FREE_SCAN_OCTETS = 1 << 24  # small messages may nest to the depth limit


def parse(data: Data, *, wire: bool = True, limits: Limits = LIMITS) -> Part:
    """Read a message. With `wire` False lines end in LF and sizes count LF as two octets."""
    return Reader(as_searchable(data), wire=wire, limits=limits).read()


class Reader:
    """Reads one message; holds the budgets that all its parts share."""

    def __init__(self, data: bytes | Windowed, *, wire: bool, limits: Limits = LIMITS) -> None:
        self.fields: FieldMap = {}  # of the message itself, after read()
        self.malformed = ""  # the first thing found wrong
        self._is_truncated = False
        self._data = data
        self._wire = wire
        self._limits = limits
        self._parts = limits.parts - 1
        self._near_boundaries = limits.near_boundaries
        self._scans = limits.scans * len(data) + _FREE_SCAN_OCTETS

    def read(self) -> Part:
        root = self._entity(0, len(self._data), 0, TEXT_PLAIN, _ROOT_FIELDS)
        root.truncated = self._is_truncated
        return root

    def _entity(
        self, start: int, end: int, depth: int, default: ContentType, wanted: frozenset[bytes]
    ) -> Part:
        """Read one header section and what follows. The lines of the header are not counted."""
        data = self._data
        body = body_offset(data, start, end, wire=self._wire)
        fields = scan_fields(data[start:body], wanted, self._limits, wire=self._wire)
        if wanted is _ROOT_FIELDS:
            self.fields = fields
        part = Part(start, body, end, 0, 0, default)
        if fields:
            self._describe(part, fields)
        kind = part.content_type.type
        if kind == "MULTIPART":
            self._multipart(part, depth)
        elif kind == "MESSAGE" and part.content_type.subtype in ("RFC822", "GLOBAL"):
            self._message(part, depth)
        else:
            self._count(part, data.count(b"\n", body, end))
        if wanted is _MESSAGE_FIELDS:
            part.envelope = render_envelope(fields, self._limits)
        return part

    def _count(self, part: Part, lines: int) -> None:
        part.lines = lines
        octets = part.end - part.body_start
        part.octets = octets if self._wire else octets + lines

    def _describe(self, part: Part, fields: FieldMap) -> None:
        """Take the MIME facts from the header."""
        if b"content-type" in fields:
            self._set_type(part, fields[b"content-type"][0])
        if b"content-transfer-encoding" in fields:
            part.encoding = _encoding(fields[b"content-transfer-encoding"][0])
        if b"content-disposition" in fields:
            part.disposition = disposition(fields[b"content-disposition"][0], self._limits)
        if b"content-id" in fields:
            part.content_id = _text(fields, b"content-id")
        if b"content-description" in fields:
            part.description = _text(fields, b"content-description")
        if b"content-location" in fields:
            part.location = _text(fields, b"content-location")
        if b"content-md5" in fields:
            part.md5 = _text(fields, b"content-md5")
        if b"content-language" in fields:
            part.language = _languages(_text(fields, b"content-language"))

    def _set_type(self, part: Part, value: bytes) -> None:
        found = content_type(value, self._limits)
        if found is None:
            return
        part.content_type = found
        if found is OCTET_STREAM and not value.lower().startswith(b"application/octet-stream"):
            self._complain("content-type")

    def _complain(self, reason: str) -> None:
        self.malformed = self.malformed or reason
        self._is_truncated = self._is_truncated or reason == "limit"

    def _give_up(self, part: Part, reason: str) -> None:
        """Keep the part as plain octets: its structure cannot be told."""
        self._complain(reason)
        part.truncated = reason == "limit"
        part.content_type = OCTET_STREAM
        self._count(part, self._data.count(b"\n", part.body_start, part.end))

    def _message(self, part: Part, depth: int) -> None:
        # RFC 2046 §5.2.1: no encoding but 7bit, 8bit, binary; an encoded one is opaque.
        if part.encoding not in _IDENTITY:
            self._give_up(part, "encoded message")
        elif depth >= self._limits.depth or self._parts <= 0:
            self._give_up(part, "limit")
        else:
            self._parts -= 1
            start, end = part.body_start, part.end
            message = self._entity(start, end, depth + 1, TEXT_PLAIN, _MESSAGE_FIELDS)
            part.message = message
            header_lines = self._data.count(b"\n", start, message.body_start)
            self._count(part, header_lines + message.lines)

    def _multipart(self, part: Part, depth: int) -> None:
        if depth >= self._limits.depth or self._parts <= 0:
            return self._give_up(part, "limit")
        boundary = param(part.content_type.params, "boundary").encode("utf-8", "replace")
        # RFC 2046 §5.1.1: a boundary does not end in white space.
        boundary = boundary.rstrip(b" \t")
        if not boundary or len(boundary) > self._limits.boundary_octets:
            return self._give_up(part, "boundary")
        spans = self._split(part, boundary)
        if not spans:
            return self._give_up(part, "missing parts")
        self._parts -= len(spans)
        default = MESSAGE_RFC822 if part.content_type.subtype == "DIGEST" else TEXT_PLAIN
        count = self._data.count
        lines = 0
        pos = part.body_start
        for start, end in spans:
            child = self._entity(start, end, depth + 1, default, _CONTENT_FIELDS)
            part.children.append(child)
            # Lines between the bodies are counted here, those within were counted already.
            lines += count(b"\n", pos, child.body_start) + child.lines
            pos = end
        self._count(part, lines + count(b"\n", pos, part.end))
        return None

    def _split(self, part: Part, boundary: bytes) -> list[tuple[int, int]]:
        """Find the body parts of a multipart: (start, end) without the delimiters."""
        end = part.end
        self._scans -= end - part.body_start
        if self._scans < 0:
            self._complain("limit")
            return []
        spans: list[tuple[int, int]] = []
        start = -1  # of the open body part
        limit = self._parts
        delimiter = self._next_delimiter(boundary, part.body_start, part.body_start, end)
        while delimiter is not None:
            line_start, next_line, is_last = delimiter
            if start >= 0:
                spans.append((start, max(start, self._before_break(line_start, start))))
            start = next_line
            if is_last:
                return spans
            if len(spans) + 1 >= limit:
                self._complain("limit")
                break
            # The break that ends this delimiter line may belong to the next delimiter.
            delimiter = self._next_delimiter(boundary, next_line, part.body_start, end)
        else:
            self._complain("missing closing boundary")
        if start >= 0:
            spans.append((start, end))
        return spans

    def _before_break(self, line_start: int, floor: int) -> int:
        """Return where the line break before `line_start` begins: it belongs to the delimiter."""
        end = line_start - 1
        if self._wire and end > floor and self._data[end - 1] == 0x0D:
            end -= 1
        return end

    def _next_delimiter(
        self, boundary: bytes, pos: int, floor: int, end: int
    ) -> tuple[int, int, bool] | None:
        """Find a delimiter line at or after `pos`, which begins a line: (start, next line, last).

        RFC 2046 §5.1.1: the boundary must be followed by nothing but white space.
        """
        data = self._data
        delimiter = b"--" + boundary
        if data.startswith(delimiter, pos, end):
            found = self._delimiter_end(pos + len(delimiter), end)
            if found is not None:
                return (pos, *found)
        delimiter = b"\n" + delimiter
        while (at := data.find(delimiter, pos, end)) >= 0:
            pos = at + len(delimiter)
            found = self._delimiter_end(pos, end)
            if found is not None:
                return (at + 1, *found)
            self._near_boundaries -= 1
            if self._near_boundaries < 0:
                self._complain("limit")
                break
        return None

    def _delimiter_end(self, pos: int, end: int) -> tuple[int, bool] | None:
        """Check what follows a boundary; return the start of the next line and if it closes."""
        data = self._data
        is_last = data.startswith(b"--", pos, end)
        if is_last:
            pos += 2
        line_end = data.find(b"\n", pos, end)
        if line_end < 0:
            line_end = end - 1
        if data[pos : line_end + 1].strip():
            return None
        return line_end + 1, is_last


def _text(fields: FieldMap, name: bytes) -> str:
    return guess(fields[name][0][:_MAX_TEXT_OCTETS])


def _encoding(value: bytes) -> str:
    """Return the encoding's name in upper case: the first word, comments removed."""
    words = strip_comments(value[:_MAX_TEXT_OCTETS]).replace(b";", b" ").split(None, 1)
    name = guess(words[0]).strip('"').upper() if words else ""
    return name[:100] or "7BIT"


def _languages(value: str) -> tuple[str, ...]:
    tags = [tag.strip() for tag in value.split(",")]
    return tuple([tag for tag in tags if tag][:_MAX_LANGUAGES])
