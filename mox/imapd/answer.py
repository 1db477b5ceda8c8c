"""How a command ends: OK, NO or BAD with code and text, or with the session."""

from __future__ import annotations

from dataclasses import dataclass

from mox.errors import MoxError
from mox.imap import codes
from mox.imap.responses import Condition
from mox.store.errors import ErrorKind, StoreError


@dataclass(frozen=True, slots=True)
class Done:
    """The text of a tagged OK, and its response code."""

    text: str
    code: bytes = b""


class Refusal(MoxError):
    """A handler's way to end its command with a tagged NO, or BAD."""

    def __init__(self, text: str, code: bytes = b"", *, condition: Condition = "NO") -> None:
        super().__init__(text)
        self.text = text
        self.code = code
        self.condition: Condition = condition


class Goodbye(MoxError):
    """A handler's way to end the session: an untagged BYE."""

    def __init__(self, text: str, code: bytes = b"") -> None:
        super().__init__(text)
        self.text = text
        self.code = code


def bad(text: str, code: bytes = b"") -> Refusal:
    """The client sent something that makes no sense here."""
    return Refusal(text, code, condition="BAD")


def wrong_state() -> Refusal:
    """RFC 9051 §3: a command in a state that it is not for is an error of the client's."""
    return bad("command is not allowed in this state")


def no_such_mailbox() -> Refusal:
    return Refusal("no such mailbox", codes.NONEXISTENT)


# RFC 9051 §7.1 and RFC 5530 §3: codes that tell a program what the text tells a person.
_CODES = {
    ErrorKind.NOT_FOUND: codes.NONEXISTENT,
    ErrorKind.EXISTS: codes.ALREADYEXISTS,
    ErrorKind.BAD_NAME: codes.CANNOT,
    ErrorKind.HAS_CHILDREN: codes.HASCHILDREN,
    ErrorKind.LIMIT: codes.LIMIT,
    ErrorKind.OVER_QUOTA: codes.OVERQUOTA,
    ErrorKind.DISK_FULL: codes.UNAVAILABLE,
    ErrorKind.BUSY: codes.INUSE,
    ErrorKind.INTERNAL: codes.SERVERBUG,
}


def from_store(error: StoreError) -> Refusal:
    """The answer to a command that the store could not carry out."""
    return Refusal(error.text, _CODES[error.kind])
