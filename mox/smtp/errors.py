"""Exceptions of the SMTP machines. What the other side does wrong is an event, not an exception."""

from __future__ import annotations

from typing import TYPE_CHECKING

from mox.errors import MoxError

if TYPE_CHECKING:
    from mox.smtp.reply import Reply


class SMTPError(MoxError):
    """Root of this package's exceptions."""


class LocalProtocolError(SMTPError):
    """Our own side asked the machine for something the protocol does not allow now: a bug."""


class BadMessage(SMTPError):
    """The message to send has a bare CR or LF or no final CRLF; it cannot go out."""


class CommandRefused(SMTPError):
    """A command that the server machine answers with an error; does not leave the package."""

    def __init__(self, reply: Reply, *, close: bool = False) -> None:
        super().__init__(str(reply))
        self.reply = reply
        self.close = close
