"""Limits per network that all workers share: connections, failed logins, and any other rate.

Fixed windows over three widths of network (mox.serving.networks). The counts live in the
ephemeral LMDB environment. A limit that cannot be checked lets through and logs: mail flows.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from enum import StrEnum
from ipaddress import IPv4Address, IPv6Address
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from mox.store.ephemeral import Ephemeral

IP = IPv4Address | IPv6Address


class Refusal(StrEnum):
    """Why a connection is not served; the shell turns it into 421 or BYE text."""

    SHUTTING_DOWN = "shutting down"
    CONNECTION_RATE = "connection rate too high"
    AUTH_FAILURES = "too many auth failures"
    OPEN_CONNECTIONS = "too many open connections"


@dataclass(frozen=True, slots=True)
class Window:
    """At most `limit` events in each fixed window of `seconds`."""

    seconds: int
    limit: int


class Limits:
    """Counters of one worker on the shared environment. Calls that write wait some 50 µs."""

    def __init__(
        self, ephemeral: Ephemeral, slot: int, clock: Callable[[], float] | None = None
    ) -> None:
        """`slot` is this worker's; what a crashed predecessor in it had open is forgotten."""
        raise NotImplementedError

    def connection_opened(self, group: str, ip: IP, *, check_auth: bool) -> Refusal | None:
        """Count a new connection of `group` ("smtp", "imap"); None: it may stay.

        A connection that may stay is also counted as open until `connection_closed`.
        """
        raise NotImplementedError

    def connection_closed(self, group: str, ip: IP) -> None:
        """Count a connection that was let in as closed; does not wait."""
        raise NotImplementedError

    def auth_allowed(self, ip: IP) -> bool:
        """Say whether one more failed login from this network would be within the limits."""
        raise NotImplementedError

    def auth_failed(self, ip: IP) -> bool:
        """Count a failed login; false: the limit was reached already."""
        raise NotImplementedError

    def auth_succeeded(self, ip: IP) -> None:
        """Forgive: the address's failures are taken back, from the wider networks too."""
        raise NotImplementedError

    def rate(self, kind: str, key: bytes, n: int, windows: Sequence[Window]) -> bool:
        """Count `n` events of `kind` for `key` unless a window would overflow; false: refused."""
        raise NotImplementedError
