"""The body of a call: a form with the field `request`, or plain JSON.

Files of a multipart form are streamed to disk. Whatever is too much is refused as soon as that is
known. RFC 7578 for multipart/form-data, the URL standard for the other form.
"""

from __future__ import annotations

import re
from binascii import a2b_qp
from collections.abc import Iterator
from typing import TYPE_CHECKING, Final

from multipart import (
    MultipartError,
    MultipartSegment,
    PushMultipartParser,
    parse_options_header,
)

from mox.store.errors import StoreError
from mox.web.webapi.errors import CallError
from mox.webapi.methods import FILE_FIELDS
from mox.webapi.types import ErrorCode

if TYPE_CHECKING:
    from wsgiref.types import InputStream, WSGIEnvironment

    from mox.web.webapi.uploads import Uploads

MAX_REQUEST_OCTETS: Final = 10 << 20
MAX_PARTS: Final = 1000
# Octets around and between the parts, and in fields that nobody asked for.
_MAX_REST_OCTETS: Final = MAX_REQUEST_OCTETS + (200 << 10)
_PIECE_OCTETS: Final = 64 << 10
_FIELD: Final = b"request="
_BAD_ESCAPE: Final = re.compile(rb"%(?![0-9A-Fa-f]{2})")
_FORM: Final = "application/x-www-form-urlencoded"


def read_request(environ: WSGIEnvironment, uploads: Uploads, *, max_file_octets: int) -> bytes:
    """Return the JSON of a call; files go to `uploads`. Raises CallError, StoreError."""
    content_type = environ.get("CONTENT_TYPE", "")
    stream: InputStream = environ["wsgi.input"]
    kind, options = parse_options_header(content_type) if content_type else ("", {})
    if kind == _FORM:
        request = _urlencoded(_read(stream))
    elif kind == "application/json":
        request = _read(stream)
    elif kind == "multipart/form-data":
        request = _multipart(stream, options.get("boundary", ""), uploads, max_file_octets)
    elif not kind:
        raise _error(f"unknown content-type {content_type}")
    else:
        request = b""
    if not request:
        raise _error("missing/empty request")
    return request


def _error(message: str) -> CallError:
    return CallError(ErrorCode.PROTOCOL, message)


def _read(stream: InputStream) -> bytes:
    data = stream.read(MAX_REQUEST_OCTETS + 1)
    if len(data) > MAX_REQUEST_OCTETS:
        raise _error("parsing form: http: POST too large")
    return data


def _urlencoded(body: bytes) -> bytes:
    # Not by splitting: there may be millions of fields.
    at = 0 if body.startswith(_FIELD) else body.find(b"&" + _FIELD) + 1
    if not body.startswith(_FIELD, at):
        return b""
    value = body[at + len(_FIELD) :].partition(b"&")[0]
    if _BAD_ESCAPE.search(value):
        raise _error("parsing form: invalid url escape")
    # Quoted-printable is the same but for the sign, and undone by C code.
    return a2b_qp(value.replace(b"+", b" ").replace(b"=", b"=3D").replace(b"%", b"="))


# ---- multipart


def _multipart(stream: InputStream, boundary: str, uploads: Uploads, max_file_octets: int) -> bytes:
    if not boundary:
        raise _error("parsing form: no multipart boundary param in Content-Type")
    form = _Form(uploads, max_file_octets)
    try:
        parser = PushMultipartParser(boundary, max_segment_count=MAX_PARTS)
        for piece in _pieces(stream, form):
            for event in parser.parse(piece):
                form.take(event)
            if parser.closed:
                break
        parser.close()
    except MultipartError as e:
        raise _error(f"parsing form: multipart: {e}") from e
    except (CallError, StoreError):
        _drain(stream, max_file_octets)
        raise
    return form.request


def _pieces(stream: InputStream, form: _Form) -> Iterator[bytes]:
    total = 0
    while piece := stream.read(_PIECE_OCTETS):
        total += len(piece)
        if total - form.octets > _MAX_REST_OCTETS:
            raise _error("parsing form: multipart: message too large")
        yield piece


def _drain(stream: InputStream, max_octets: int) -> None:
    """Read what a client is still sending, within reason: else it never sees the answer."""
    read = 0
    while read < max_octets and (piece := stream.read(_PIECE_OCTETS)):
        read += len(piece)


class _Form:
    """Collects the request's field and the files."""

    def __init__(self, uploads: Uploads, max_file_octets: int) -> None:
        self._uploads = uploads
        self._max_file_octets = max_file_octets
        self._segment: MultipartSegment | None = None
        self._fields: list[bytes] | None = None
        self.request = b""

    @property
    def octets(self) -> int:
        """Of the content that was wanted, so far."""
        pending = sum(map(len, self._fields)) if self._fields else 0
        return self._uploads.octets + len(self.request) + pending

    def take(self, event: MultipartSegment | bytes | None) -> None:
        if isinstance(event, MultipartSegment):
            self._begin(event)
        elif event is None:
            self._end()
        elif self._is_file:
            self._uploads.write(bytes(event))
            if self._uploads.octets > self._max_file_octets:
                raise CallError(ErrorCode.MESSAGE_TOO_LARGE, "message too large")
        elif self._fields is not None:
            self._fields.append(bytes(event))
            if self._segment is not None and self._segment.bytes_received > MAX_REQUEST_OCTETS:
                raise _error("parsing form: multipart: message too large")

    def _begin(self, segment: MultipartSegment) -> None:
        self._segment = segment
        is_request = segment.name == "request" and not segment.filename
        # Of fields with the same name the first counts.
        self._fields = [] if is_request and not self.request else None

    @property
    def _is_file(self) -> bool:
        """Without a name it is what a browser sends when no file was chosen."""
        segment = self._segment
        return segment is not None and bool(segment.filename) and segment.name in FILE_FIELDS

    def _end(self) -> None:
        segment = self._segment
        if self._fields is not None:
            self.request = b"".join(self._fields)
        elif self._is_file and segment is not None:
            self._uploads.end(
                field=FILE_FIELDS[segment.name or ""],
                # Some clients send the path that the file has with them.
                name=(segment.filename or "").rpartition("/")[2],
                content_type=segment.header("Content-Type", ""),
                content_id=segment.header("Content-Id", ""),
            )
        self._segment = self._fields = None
