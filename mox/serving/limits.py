"""Limits per network that all workers share: connections, failed logins, and any other rate.

Fixed windows over three widths of network (mox.networks). The counts live in the
ephemeral LMDB environment. A limit that cannot be checked lets through and logs: mail flows.
"""

from __future__ import annotations

import time
from collections.abc import Callable, Sequence
from enum import StrEnum
from typing import TypeVar

import lmdb

from mox import logfmt
from mox.networks import IP, is_this_host, network_keys
from mox.serving.open_counts import change_open, clear_slot, open_of
from mox.serving.windows import (
    Sweeper,
    Window,
    add_within,
    count_of,
    counter_key,
    set_count,
    would_fit,
)
from mox.store.ephemeral import Ephemeral, EphemeralError

__all__ = ["Limits", "Refusal", "Window"]

T = TypeVar("T")

# For an address, the network around it, and the wider one around that.
_RATE = tuple(Window(60, limit) for limit in (300, 900, 2700))
_OPEN = (30, 90, 270)
# Programs make a connection for each request, and browsers several: not stricter than the limit
# on requests.
_HTTP_RATE = tuple(Window(60, limit) for limit in (1000, 3000, 9000))
_HTTP_OPEN = (100, 300, 900)
_FAILURES = (
    tuple(Window(60, limit) for limit in (10, 30, 90)),
    tuple(Window(86400, limit) for limit in (50, 150, 450)),
)
_FAILURE_KIND = "failed login"


class Refusal(StrEnum):
    """Why a connection is not served; the shell turns it into 421 or BYE text."""

    SHUTTING_DOWN = "shutting down"
    CONNECTION_RATE = "connection rate too high"
    AUTH_FAILURES = "too many auth failures"
    OPEN_CONNECTIONS = "too many open connections"


class Limits:
    """Counters of one worker on the shared environment; None: everything is allowed.

    Calls that count wait some 80 µs for the writing thread, other greenlets go on meanwhile.
    """

    def __init__(
        self, ephemeral: Ephemeral | None, slot: int, clock: Callable[[], float] = time.time
    ) -> None:
        """`slot` is this worker's; what a crashed predecessor in it had open is forgotten."""
        self._ephemeral = ephemeral
        self._slot = slot
        self._clock = clock
        self._sweeper = Sweeper()
        self._log = logfmt.logger("serve")
        self._post(lambda txn: clear_slot(txn, slot))

    def connection_opened(self, group: str, ip: IP, *, check_auth: bool) -> Refusal | None:
        """Count a new connection of `group` ("smtp", "imap", "http"); None: it may stay.

        A connection that may stay is also counted as open until `connection_closed`. Local
        processes (127.0.0.1, ::1) are held to the limit on failed logins only.
        """
        if is_this_host(ip):
            allowed = not check_auth or self.auth_allowed(ip)
            return None if allowed else Refusal.AUTH_FAILURES
        now, networks = self._clock(), network_keys(ip)
        rate, most_open = (_HTTP_RATE, _HTTP_OPEN) if group == "http" else (_RATE, _OPEN)

        def count(txn: lmdb.Transaction) -> Refusal | None:
            kind = f"{group} connection"
            self._sweeper.sweep(txn, kind, rate[0], now)
            if not add_within(txn, 1, _counters(kind, networks, rate, now)):
                return Refusal.CONNECTION_RATE
            if check_auth and not would_fit(txn, 1, _failure_counters(networks, now)):
                return Refusal.AUTH_FAILURES
            for network, limit in zip(networks, most_open, strict=True):
                if open_of(txn, group, network) >= limit:
                    return Refusal.OPEN_CONNECTIONS
            for network in networks:
                change_open(txn, group, network, self._slot, 1)
            return None

        return self._write(count, None)

    def connection_closed(self, group: str, ip: IP) -> None:
        """Count a connection that was let in as closed; does not wait."""
        if is_this_host(ip):
            return
        networks = network_keys(ip)

        def count(txn: lmdb.Transaction) -> None:
            for network in networks:
                change_open(txn, group, network, self._slot, -1)

        self._post(count)

    def auth_allowed(self, ip: IP) -> bool:
        """Say whether one more failed login from this network would be within the limits."""
        now, networks = self._clock(), network_keys(ip)
        return self._read(lambda txn: would_fit(txn, 1, _failure_counters(networks, now)), True)

    def auth_failed(self, ip: IP) -> bool:
        """Count a failed login; false: the limit was reached already."""
        now, networks = self._clock(), network_keys(ip)

        def count(txn: lmdb.Transaction) -> bool:
            for windows in _FAILURES:
                self._sweeper.sweep(txn, _FAILURE_KIND, windows[0], now)
            return add_within(txn, 1, _failure_counters(networks, now))

        return self._write(count, True)

    def auth_succeeded(self, ip: IP) -> None:
        """Forgive: the address's failures are taken back, from the wider networks too."""
        now, networks = self._clock(), network_keys(ip)
        counters = [_counters(_FAILURE_KIND, networks, windows, now) for windows in _FAILURES]

        def forgive(txn: lmdb.Transaction) -> None:
            for (narrowest, _), *wider in counters:
                failures = count_of(txn, narrowest)
                set_count(txn, narrowest, 0)
                for key, _ in wider:
                    set_count(txn, key, count_of(txn, key) - failures)

        # Most logins succeed at the first try and have nothing to write.
        if self._read(lambda txn: any(count_of(txn, c[0][0]) for c in counters), False):
            self._post(forgive)

    def rate(self, kind: str, key: bytes, n: int, windows: Sequence[Window]) -> bool:
        """Count `n` events of `kind` for `key` unless a window would overflow; false: refused.

        `kind` is a constant of the caller's, in ASCII; counts of equal kind and key are shared
        by all processes.
        """
        now = self._clock()

        def count(txn: lmdb.Transaction) -> bool:
            for window in windows:
                self._sweeper.sweep(txn, kind, window, now)
            return add_within(txn, n, [(counter_key(kind, w, now, key), w.limit) for w in windows])

        return self._write(count, True)

    def _write(self, job: Callable[[lmdb.Transaction], T], otherwise: T) -> T:
        if self._ephemeral is None:
            return otherwise
        try:
            return self._ephemeral.write(job)
        except EphemeralError as e:
            self._log.error("limit not checked, letting through", err=e)
            return otherwise

    def _read(self, job: Callable[[lmdb.Transaction], T], otherwise: T) -> T:
        if self._ephemeral is None:
            return otherwise
        try:
            return self._ephemeral.read(job)
        except EphemeralError as e:
            self._log.error("limit not checked, letting through", err=e)
            return otherwise

    def _post(self, job: Callable[[lmdb.Transaction], None]) -> None:
        if self._ephemeral is None:
            return
        try:
            self._ephemeral.post(job)
        except EphemeralError as e:
            self._log.error("limit not counted", err=e)


def _counters(
    kind: str, networks: Sequence[bytes], windows: Sequence[Window], now: float
) -> list[tuple[bytes, int]]:
    """Return (key, limit) per width of network; the widths have windows of equal length."""
    pairs = zip(networks, windows, strict=True)
    return [(counter_key(kind, window, now, network), window.limit) for network, window in pairs]


def _failure_counters(networks: Sequence[bytes], now: float) -> list[tuple[bytes, int]]:
    return [
        counter
        for windows in _FAILURES
        for counter in _counters(_FAILURE_KIND, networks, windows, now)
    ]
