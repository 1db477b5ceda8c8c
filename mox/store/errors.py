"""Errors of the store. Each says whether a later try may succeed, and has a text for the user."""

from __future__ import annotations

from enum import Enum

from mox.errors import MoxError


class ErrorKind(Enum):
    """What went wrong, for shells that map it to reply codes."""

    NOT_FOUND = "not found"
    EXISTS = "exists already"
    BAD_NAME = "bad name"
    HAS_CHILDREN = "has children"
    LIMIT = "limit reached"
    OVER_QUOTA = "over quota"
    DISK_FULL = "no space left"
    BUSY = "mailbox is being renamed or removed"
    INTERNAL = "internal error"


TEMPORARY = frozenset(
    {ErrorKind.OVER_QUOTA, ErrorKind.DISK_FULL, ErrorKind.BUSY, ErrorKind.INTERNAL}
)


class StoreError(MoxError):
    """A store operation did not happen; nothing of it is left behind.

    `text` may be shown to the user, `detail` is for the log and tells the admin what to do.
    """

    def __init__(self, kind: ErrorKind, text: str, detail: str = "") -> None:
        super().__init__(text if not detail else f"{text}: {detail}")
        self.kind = kind
        self.text = text
        self.detail = detail

    @property
    def temporary(self) -> bool:
        return self.kind in TEMPORARY


class Moved(StoreError):
    """A mailbox or file was renamed or removed between a look and what followed: look again."""

    def __init__(self, detail: str) -> None:
        super().__init__(ErrorKind.NOT_FOUND, "mailbox or message has moved", detail)


class MessageGone(StoreError):
    """The message is not in the mailbox and no longer kept for sessions that still show it."""

    def __init__(self, uid: int) -> None:
        super().__init__(ErrorKind.NOT_FOUND, f"message {uid} is gone")


class HistoryLost(StoreError):
    """The change log no longer reaches back to the asked modseq: start from the present state."""

    def __init__(self) -> None:
        super().__init__(ErrorKind.NOT_FOUND, "change history does not reach back that far")
