"""How a connection ends other than by agreement."""

from __future__ import annotations

from mox.errors import MoxError


class ConnectionLost(MoxError):
    """The peer went away, reset the connection or broke TLS; nothing more can be sent."""


class ConnectionTimeout(MoxError):
    """The peer did not send, or did not take, bytes in the time it was given."""


class ConnectionDraining(MoxError):
    """The process drains and the connection is between commands: say goodbye and return."""
