"""Calls that fail: with the code and the text that the caller gets."""

from __future__ import annotations

from mox.errors import UserError
from mox.store.errors import ErrorKind, StoreError
from mox.webapi.types import ErrorCode

# Trouble of the store that passes by itself, or that the administrator has to mend.
_OURS = frozenset({ErrorKind.DISK_FULL, ErrorKind.BUSY, ErrorKind.INTERNAL})


class CallError(UserError):
    """What a call comes to when it does not succeed."""

    def __init__(self, code: ErrorCode, message: str) -> None:
        super().__init__(message)
        self.code = code
        self.message = message


def of_store(error: StoreError) -> CallError:
    """Return what the caller gets to know of the store's trouble; the details are for the log."""
    if error.kind in _OURS:
        return CallError(ErrorCode.SERVER, f"{error.text}, try again later")
    return CallError(ErrorCode.USER, error.text)
