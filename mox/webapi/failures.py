"""What can go wrong with a call, as the client raises it."""

from __future__ import annotations

from mox.errors import MoxError
from mox.webapi.types import ErrorCode


class WebapiError(MoxError):
    """A call that did not work."""


class Refused(WebapiError):
    """The server answered with an error: `code` is for programs, `message` for people.

    After `ErrorCode.SENT_OVER_QUOTA` the message was sent all the same.
    """

    def __init__(self, code: str, message: str) -> None:
        super().__init__(f"{code}: {message}")
        self.code: ErrorCode | str = _known(code)
        self.message = message


class Unauthorized(WebapiError):
    """Address or password is wrong, or the account may not log in."""


class TooManyAttempts(WebapiError):
    """Too many failed logins, or too many requests, from this network. Wait for a minute."""


class Busy(WebapiError):
    """The server does not do it now, but may after `retry_after_s` seconds. Nothing was done."""

    def __init__(self, text: str, retry_after_s: int) -> None:
        super().__init__(text)
        self.retry_after_s = retry_after_s


class Unreachable(WebapiError):
    """No answer: no connection, no valid certificate, a connection that was lost, or no time left.

    `may_have_happened` is whether the server may have done what was asked for.
    """

    def __init__(self, text: str, *, may_have_happened: bool) -> None:
        super().__init__(text)
        self.may_have_happened = may_have_happened


class UnexpectedAnswer(WebapiError):
    """An answer that no webapi gives, so the address may be that of something else."""

    def __init__(self, text: str, status: int) -> None:
        super().__init__(text)
        self.status = status


def _known(code: str) -> ErrorCode | str:
    try:
        return ErrorCode(code)
    except ValueError:
        return code
