"""Calls that fail: with the code and the text that the caller gets."""

from __future__ import annotations

from mox.errors import UserError
from mox.store.errors import ErrorKind, StoreError
from mox.webapi.types import ErrorCode

_KINDS = {
    ErrorKind.BAD_NAME: ErrorCode.USER,
    ErrorKind.LIMIT: ErrorCode.USER,
    ErrorKind.OVER_QUOTA: ErrorCode.USER,
}


class CallError(UserError):
    """What a call comes to when it does not succeed."""

    def __init__(self, code: ErrorCode, message: str) -> None:
        super().__init__(message)
        self.code = code
        self.message = message


def of_store(error: StoreError) -> CallError:
    """Return what the caller gets to know of the store's trouble; the details are for the log."""
    code = _KINDS.get(error.kind, ErrorCode.SERVER)
    later = ", try again later" if error.temporary and code is ErrorCode.SERVER else ""
    return CallError(code, f"{error.text}{later}")
