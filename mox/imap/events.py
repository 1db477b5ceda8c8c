"""What the framing reader tells the shell. See mox.imap.framing for the order of events."""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import ClassVar

from mox.imap.commands import Command


@dataclass(frozen=True, slots=True)
class CommandReady:
    """A complete, well-formed command."""

    command: Command


@dataclass(frozen=True, slots=True)
class BadCommand:
    """A syntax error: answer `tag BAD [code] text` (tag "*" when the client's was unreadable)."""

    tag: str
    text: str
    code: str = ""


@dataclass(frozen=True, slots=True)
class BadCharset:
    """A SEARCH in an unknown charset: answer `tag NO [BADCHARSET (US-ASCII UTF-8)] …`."""

    tag: str


@dataclass(frozen=True, slots=True)
class NeedContinuation:
    """The client waits with a literal: send `+ ` and call accept_literal(), or refuse_literal()."""

    tag: str
    size: int


@dataclass(frozen=True, slots=True)
class Replaced:
    """The message that a REPLACE is about, by its number or uid; 0 stands for "*"."""

    number: int
    uid: bool


@dataclass(frozen=True, slots=True)
class AppendStart:
    """One message of an APPEND or REPLACE comes: call accept_literal() or refuse_literal().

    When `sync`, the shell sends `+ ` before accept_literal(). A MULTIAPPEND gives one AppendStart
    per message, `index` counting from 0. After a refusal the only further event is AppendEnd
    with `refused`; the shell answers then.

    With `catenate` the message is put together from parts: CatenateText and CatenateUrl follow,
    until the next AppendStart or AppendEnd.
    """

    names: ClassVar[tuple[str, ...]] = ("APPEND", "REPLACE")
    tag: str
    mailbox: str
    index: int
    size: int
    flags: tuple[str, ...] = ()
    date: tuple[int, int] | None = None  # seconds since the epoch, minutes east of UTC
    sync: bool = True
    binary: bool = False  # literal8: may hold NUL
    utf8: bool = False  # UTF8 (…): headers may hold raw UTF-8
    catenate: bool = False
    replaced: Replaced | None = None  # REPLACE

    @property
    def name(self) -> str:
        """Of the command."""
        return "APPEND" if self.replaced is None else "REPLACE"


@dataclass(frozen=True, slots=True)
class CatenateText:
    """A part of a message that comes as literal: call accept_literal() or refuse_literal().

    Its octets follow as LiteralChunk…, LiteralEnd. When `sync`, the shell sends `+ ` first.
    """

    size: int
    sync: bool = True


@dataclass(frozen=True, slots=True)
class CatenateUrl:
    """A part of a message that is here already: call accept_literal() or refuse_literal()."""

    url: str


@dataclass(frozen=True, slots=True)
class LiteralChunk:
    """Some octets of the message accepted last."""

    data: bytes = field(repr=False)


@dataclass(frozen=True, slots=True)
class LiteralEnd:
    """The accepted literal is complete: a message, or a part of one that is catenated."""


@dataclass(frozen=True, slots=True)
class AppendEnd:
    """The APPEND or REPLACE is complete (a BadCommand comes instead when its tail is malformed)."""

    tag: str
    refused: bool = False


@dataclass(frozen=True, slots=True)
class RawLine:
    """The line asked for by expect_line(), without its line end."""

    data: bytes = field(repr=False)


@dataclass(frozen=True, slots=True)
class LineTooLong:
    """No line end within the limit: say `* BYE` and close. The reader gives no more events."""


@dataclass(frozen=True, slots=True)
class Fatal:
    """The stream cannot be followed any more: say `* BYE [ALERT] text`, `tag BAD text`, close."""

    tag: str
    text: str


Event = (
    CommandReady
    | BadCommand
    | BadCharset
    | NeedContinuation
    | AppendStart
    | CatenateText
    | CatenateUrl
    | LiteralChunk
    | LiteralEnd
    | AppendEnd
    | RawLine
    | LineTooLong
    | Fatal
)
