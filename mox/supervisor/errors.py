"""Errors of starting and reloading the server, with texts for the administrator."""

from __future__ import annotations

from mox.errors import MoxError


class StartError(MoxError):
    """The server cannot start, or cannot take over a new configuration, as things are."""
