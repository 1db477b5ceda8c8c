"""Bodies of composed messages: texts, files, and multiparts around them (RFC 2045, RFC 2046).

A body comes in pieces, and files may be read while it does: nothing large is in memory whole.
"""

from __future__ import annotations

import binascii
import re
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass
from typing import Final, Literal

from mox.errors import UserError
from mox.message.composefields import MAX_TOKEN, has_controls, parameter
from mox.message.sniff import HEAD_OCTETS, OCTET_STREAM, sniff
from mox.message.trace import FoldedField

# Octets, or what reads them anew each time.
Content = bytes | Callable[[], Iterator[bytes]]

# RFC 2045 §6.7, §6.8: at most 76 characters in a line.
_MAX_LINE: Final = 76
_LINE_OCTETS: Final = _MAX_LINE // 4 * 3
_PIECE_OCTETS: Final = _LINE_OCTETS * 1024
# RFC 2045 §5.1: type/subtype and parameters.
_MEDIA_TYPE: Final = re.compile(r"([A-Za-z0-9!#$&^_.+\-]+)/[A-Za-z0-9!#$&^_.+\-]+ *(?:;[ -~]*)?")


class ComposeError(UserError):
    """The message cannot be composed like this; the text says why."""


@dataclass(frozen=True, slots=True, kw_only=True)
class File:
    """A file to go along. Texts are "" when not given; `content_id` has its <>."""

    content: Content
    name: str = ""
    content_type: str = ""
    content_id: str = ""


@dataclass(frozen=True, slots=True)
class Entity:
    """Content fields, each with CRLF, and the body after them; `body` can be asked for again."""

    fields: bytes
    body: Content
    has_8bit: bool = False

    def pieces(self) -> Iterator[bytes]:
        """Yield the body; no piece is long."""
        if not isinstance(self.body, bytes):
            yield from self.body()
        elif self.body:
            for at in range(0, len(self.body), _PIECE_OCTETS):
                yield self.body[at : at + _PIECE_OCTETS]


def text(content: str, subtype: Literal["plain", "html"]) -> Entity:
    """Return a text as an entity: with one kind of line end, and one at the end."""
    octets = content.encode("utf-8", "replace").replace(b"\r\n", b"\n")
    if not octets.endswith(b"\n"):
        octets += b"\n"
    is_ascii = octets.isascii()
    encoding = "7bit" if is_ascii else "8bit"
    # RFC 2045 §2.7, §2.8: a body that is not encoded has neither a bare CR nor NUL.
    if b"\r" in octets or b"\0" in octets or _has_long_line(octets):
        encoding = "quoted-printable"
        octets = _quoted_printable(octets)
    charset = "us-ascii" if is_ascii else "utf-8"
    fields = (
        f"Content-Type: text/{subtype}; charset={charset}\r\n"
        f"Content-Transfer-Encoding: {encoding}\r\n"
    )
    return Entity(fields.encode(), octets.replace(b"\n", b"\r\n"), encoding == "8bit")


def _has_long_line(octets: bytes) -> bool:
    """Whether a line has more than _MAX_LINE octets; looks at few places only."""
    at = 0
    while len(octets) - at > _MAX_LINE:
        end = octets.rfind(b"\n", at, at + _MAX_LINE + 1)
        if end < 0:
            return True
        at = end + 1
    return False


def _quoted_printable(octets: bytes) -> bytes:
    if b"\r" not in octets:
        return binascii.b2a_qp(octets, istext=True)
    # In text mode a CR would be taken for half a line end.
    lines = [binascii.b2a_qp(line, istext=False) for line in octets.split(b"\n")]
    return b"\n".join(lines)


def file(given: File, disposition: Literal["inline", "attachment"]) -> Entity:
    """Return a file as an entity in base64. Raises ComposeError."""
    check_value(given.name)
    for value in (given.content_type, given.content_id):
        check_token(value)
    if not given.content_id.isascii():
        raise ComposeError("content-id of a file must be ascii")
    fields = [_type_field(given), _disposition_field(given.name, disposition)]
    if given.content_id:
        # RFC 2045 §7: the brackets are part of it.
        fields.append(f"Content-Id: <{given.content_id.strip('<> ')}>\r\n".encode())
    fields.append(b"Content-Transfer-Encoding: base64\r\n")
    return Entity(b"".join(fields), lambda: _base64(given.content))


def _type_field(given: File) -> bytes:
    media_type = given.content_type.strip(" ")
    if not media_type:
        media_type = sniff(_head(given.content))
        # Nothing is claimed where nothing is known.
        return b"" if media_type == OCTET_STREAM else f"Content-Type: {media_type}\r\n".encode()
    match = _MEDIA_TYPE.fullmatch(media_type)
    if match is None:
        raise ComposeError(f'content-type of a file must be like "image/png", not "{media_type}"')
    # RFC 2046 §5: bodies of these types must not be encoded, and files are.
    if match[1].lower() in ("multipart", "message"):
        media_type = OCTET_STREAM
    return bytes(FoldedField("Content-Type").add(media_type))


def _disposition_field(name: str, disposition: str) -> bytes:
    # RFC 2183 §2
    tokens = [disposition, *(parameter("filename", name) if name else ())]
    return bytes(FoldedField("Content-Disposition").add(*_with_semicolons(tokens)))


def _with_semicolons(tokens: Sequence[str]) -> Iterator[str]:
    yield from (f"{token};" for token in tokens[:-1])
    yield tokens[-1]


def _head(content: Content) -> bytes:
    if isinstance(content, bytes):
        return content[:HEAD_OCTETS]
    return next(content(), b"")[:HEAD_OCTETS]


def _base64(content: Content) -> Iterator[bytes]:
    """Yield lines of base64, the last one without its CRLF."""
    rest, end = b"", b""
    for piece in (content,) if isinstance(content, bytes) else content():
        data = rest + piece if rest else piece
        whole = (len(data) - 1) // _LINE_OCTETS * _LINE_OCTETS
        for at in range(0, whole, _PIECE_OCTETS):
            yield end + _base64_lines(data[at : min(at + _PIECE_OCTETS, whole)])
            end = b"\r\n"
        rest = data[whole:]
    yield end + binascii.b2a_base64(rest, newline=False)


def _base64_lines(data: bytes) -> bytes:
    encoded = binascii.b2a_base64(data, newline=False)
    return b"\r\n".join([encoded[at : at + _MAX_LINE] for at in range(0, len(encoded), _MAX_LINE)])


def multipart(subtype: str, parts: Sequence[Entity], boundary: str) -> Entity:
    """Return entities as one; the boundary must be in none of them: a random one is not."""
    has_8bit = any(part.has_8bit for part in parts)
    fields = f'Content-Type: multipart/{subtype};\r\n\tboundary="{boundary}"\r\n'
    if has_8bit:
        # RFC 2045 §6.4: a multipart names the widest of what its parts need.
        fields += "Content-Transfer-Encoding: 8bit\r\n"
    delimiter = f"--{boundary}".encode()

    def pieces() -> Iterator[bytes]:
        before = b""
        for part in parts:
            yield b"%b%b\r\n%b\r\n" % (before, delimiter, part.fields)
            yield from part.pieces()
            before = b"\r\n"
        yield b"\r\n%b--\r\n" % delimiter

    return Entity(fields.encode(), pieces, has_8bit)


def check_value(value: str) -> None:
    """Raise ComposeError for what cannot be in a header field."""
    if has_controls(value):
        raise ComposeError("checking header values: control characters not allowed")


def check_token(value: str) -> None:
    """Raise ComposeError for what cannot be in a header field, or not as one piece."""
    check_value(value)
    if len(value) > MAX_TOKEN:
        raise ComposeError(f"checking header values: longer than {MAX_TOKEN} characters")
