"""The roots of mox's exceptions. Whose fault it is, is in the type.

Packages derive their own from these; anything that becomes a protocol reply carries what
the reply needs (codes, a public text) besides the private details that go to the log.
"""

from __future__ import annotations


class MoxError(Exception):
    """Root of every exception that mox raises on purpose."""


class UserError(MoxError):
    """Bad input from a user or client; the text may be shown to them."""


class RemoteError(MoxError):
    """Another system failed us; `temporary` says whether a later try may succeed."""

    def __init__(self, text: str, *, temporary: bool) -> None:
        super().__init__(text)
        self.temporary = temporary
