"""What can go wrong with TLS."""

from __future__ import annotations

from mox.errors import MoxError


class TLSError(MoxError):
    """The handshake or the record layer failed; `reason` is a short text for the log."""

    def __init__(self, reason: str) -> None:
        super().__init__(reason)
        self.reason = reason


class TLSConfigError(MoxError):
    """A certificate, key or authority file cannot be used; the text says which and why."""
