"""Bodies of requests: a form, and files that are read from disk while they are sent.

RFC 7578 (multipart/form-data).
"""

from __future__ import annotations

import mimetypes
import secrets
from collections.abc import Iterator, Mapping, Sequence
from contextlib import AbstractContextManager, closing
from dataclasses import dataclass
from io import BytesIO
from pathlib import Path
from typing import BinaryIO, Protocol
from urllib.parse import urlencode

from mox.errors import UserError

_PIECE = 64 * 1024


@dataclass(frozen=True, slots=True)
class Upload:
    """A file for a message: `source` is where it is, or what is in it.

    By default it is named as on disk, and its media type is guessed from its name. Text with a
    `content_type` such as `text/plain; charset=utf-8` tells its charset. `content_id`, with its
    `<>`, is how HTML refers to an inline file: `<img src="cid:...">`.
    """

    source: Path | bytes
    name: str = ""
    content_type: str = ""
    content_id: str = ""

    @property
    def filename(self) -> str:
        return self.name or (self.source.name if isinstance(self.source, Path) else "")

    @property
    def media_type(self) -> str:
        """Empty when it is for the server to guess."""
        return self.content_type or mimetypes.guess_type(self.filename)[0] or ""

    def open(self) -> AbstractContextManager[BinaryIO]:
        if isinstance(self.source, Path):
            return self.source.open("rb")
        return closing(BytesIO(self.source))

    def octets(self) -> int:
        return self.source.stat().st_size if isinstance(self.source, Path) else len(self.source)


# Beyond this the escapes of a urlencoded form cost more than the frame of a multipart.
_LONG_REQUEST = 16 * 1024


def form_of(request: bytes, files: Mapping[str, Sequence[Upload]] | None = None) -> Body:
    """Return the form for a request in JSON, and files by the names of their fields.

    Raises what MultipartForm raises.
    """
    given = {name: uploads for name, uploads in (files or {}).items() if uploads}
    if given or len(request) > _LONG_REQUEST:
        return MultipartForm(request, given)
    return UrlencodedForm(request)


class Body(Protocol):
    """The body of a request, which can be sent more than once."""

    @property
    def content_type(self) -> str: ...

    @property
    def octets(self) -> int: ...

    def pieces(self) -> Iterator[bytes]: ...


class UrlencodedForm:
    """The form without files: `request` is JSON."""

    content_type = "application/x-www-form-urlencoded"

    def __init__(self, request: bytes) -> None:
        self._encoded = urlencode({"request": request}).encode("ascii")
        self.octets = len(self._encoded)

    def pieces(self) -> Iterator[bytes]:
        yield self._encoded


class MultipartForm:
    """The form with files, by the names of their fields. Files must not change meanwhile.

    Raises OSError for a file that cannot be read, UserError for a name that cannot be sent.
    """

    def __init__(self, request: bytes, files: Mapping[str, Sequence[Upload]]) -> None:
        self._boundary = secrets.token_hex(16)
        self.content_type = f"multipart/form-data; boundary={self._boundary}"
        field = 'Content-Disposition: form-data; name="request"'
        self._head = f"--{self._boundary}\r\n{field}\r\n\r\n".encode() + request
        self._end = f"\r\n--{self._boundary}--\r\n".encode()
        self._files = [
            (self._file_head(name, file), file, file.octets())
            for name, uploads in files.items()
            for file in uploads
        ]

    def _file_head(self, name: str, file: Upload) -> bytes:
        if not file.filename:  # servers take it for a field in which no file was chosen
            raise UserError("a file that is uploaded needs a name")
        lines = [
            f"\r\n--{self._boundary}",
            f'Content-Disposition: form-data; name="{name}"; filename="{_quoted(file.filename)}"',
        ]
        if file.media_type:
            lines.append(f"Content-Type: {_header_text(file.media_type)}")
        if file.content_id:
            lines.append(f"Content-ID: {_header_text(file.content_id)}")
        return "\r\n".join([*lines, "", ""]).encode()

    @property
    def octets(self) -> int:
        inside = sum(len(head) + octets for head, _, octets in self._files)
        return len(self._head) + inside + len(self._end)

    def pieces(self) -> Iterator[bytes]:
        yield self._head
        for head, file, octets in self._files:
            yield head
            yield from _content(file, octets)
        yield self._end


def _content(file: Upload, octets: int) -> Iterator[bytes]:
    left = octets
    with file.open() as opened:
        while left and (piece := opened.read(min(_PIECE, left))):
            left -= len(piece)
            yield piece
        if left or opened.read(1):
            raise UserError(f"{file.filename} was changed while it was sent")


# RFC 7578 §4.2: a name outside ASCII is sent as it is, in UTF-8.
def _quoted(text: str) -> str:
    return _header_text(text).replace("\\", "\\\\").replace('"', '\\"')


def _header_text(text: str) -> str:
    if any(ord(c) < 0x20 or ord(c) == 0x7F for c in text):
        raise UserError(f"control characters are not allowed in {text!r}")
    return text
