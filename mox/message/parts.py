"""The tree of a message's parts: offsets and MIME facts, no content."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass, field

from mox.errors import UserError
from mox.message.fields import Data, as_bytes
from mox.message.params import ContentType, Disposition, Params, param


class MessageError(UserError):
    """A question about a message that has no answer."""


class UnknownEncoding(MessageError):
    """The part's Content-Transfer-Encoding cannot be decoded (RFC 3516: UNKNOWN-CTE)."""


class NotALeaf(MessageError):
    """Only the content of a leaf part can be decoded."""


@dataclass(slots=True)
class Part:
    """One entity: the message, a body part, or the message in a message/rfc822 part.

    Offsets point into the data that was parsed. `lines` and `octets` are of the body, as IMAP
    shows them: octets in wire form, lines the number of line breaks. Texts are "" when absent.
    """

    header_start: int
    body_start: int
    end: int
    lines: int
    octets: int
    content_type: ContentType
    encoding: str = "7BIT"  # upper case
    content_id: str = ""
    description: str = ""  # as written, encoded words included
    disposition: Disposition | None = None
    md5: str = ""
    language: tuple[str, ...] = ()
    location: str = ""
    children: list[Part] = field(default_factory=list)  # of a multipart
    message: Part | None = None  # in a message/rfc822 or message/global
    envelope: bytes = b""  # rendered; of embedded messages only
    truncated: bool = False  # a limit was met in here: not all parts are known

    @property
    def media_type(self) -> str:
        return self.content_type.type

    @property
    def media_subtype(self) -> str:
        return self.content_type.subtype

    @property
    def params(self) -> Params:
        return self.content_type.params

    @property
    def is_text(self) -> bool:
        return self.content_type.type == "TEXT"

    @property
    def is_attachment(self) -> bool:
        return self.disposition is not None and self.disposition.type == "ATTACHMENT"

    @property
    def charset(self) -> str:
        """The declared charset, "" when there is none."""
        return param(self.content_type.params, "charset")

    @property
    def filename(self) -> str:
        """The file name, maybe with encoded words, "" when there is none."""
        name = param(self.disposition.params, "filename") if self.disposition else ""
        return name or param(self.content_type.params, "name")

    @property
    def is_dsn(self) -> bool:
        """True for a delivery status notification (RFC 3464 §2)."""
        type_ = self.content_type
        return (
            type_.type == "MULTIPART"
            and type_.subtype == "REPORT"
            and param(type_.params, "report-type").lower() == "delivery-status"
        )


def resolve(root: Part, numbers: tuple[int, ...]) -> Part | None:
    """Return the part with this section number (RFC 9051 §6.4.5), None when there is none.

    Part 1 of a message that is not a multipart is its body: then the message itself is returned.
    """
    part = root
    is_message = True
    for number in numbers:
        if not is_message and part.message is not None:
            part = part.message
            is_message = True
        if part.children:
            if not 1 <= number <= len(part.children):
                return None
            part = part.children[number - 1]
        elif not is_message or number != 1:
            return None
        is_message = False
    return part


def walk(root: Part) -> Iterator[Part]:
    """Yield a part and all below it, embedded messages included, in order of appearance."""
    stack = [root]
    while stack:
        part = stack.pop()
        yield part
        stack.extend(reversed(part.children))
        if part.message is not None:
            stack.append(part.message)


def has_8bit_headers(data: Data, root: Part) -> bool:
    """Say whether any header section has octets that need SMTPUTF8 (RFC 6532 §3)."""
    return not all(
        as_bytes(data[part.header_start : part.body_start]).isascii() for part in walk(root)
    )
