"""Are we on a DNS block list? Our own public addresses, in the lists we use and watch.

A listing means that others refuse our mail, mostly without telling. It shows as a metric, for an
alert, and in the log.
"""

from __future__ import annotations

import math
import time
from collections.abc import Callable, Iterable
from typing import Final

import gevent

from mox import logfmt, metrics
from mox.address import Domain, parse_domain
from mox.config import Config
from mox.dns import Resolver
from mox.keeper.border import guarded
from mox.keeper.ownaddresses import interface_addresses, public_addresses
from mox.mailauth.dnsbl import DNSBLStatus, ZonesInUse, lookup
from mox.networks import IP
from mox.serving.context import Context

log = logfmt.logger("dnsbl")

_OUTGOING: Final = "mox_queue_connection_total"
# How often the loop takes its turn.
TURN_S: Final = 300.0
# A turn looks only after this many new connections for outgoing mail, or after this time: lists
# react to what is sent, and do not want to be asked for nothing.
CONNECTIONS: Final = 100
LONGEST_S: Final = 3 * 3600.0
# Between two addresses.
PAUSE_S: Final = 1.0
# The listener that other servers deliver to.
_PUBLIC: Final = "public"

# One process writes it; what is not watched any more gets NaN, which no alert is about.
_SUCCESS = metrics.gauge(
    "mox_dnsbl_ips_success",
    "Own address not on a DNS block list: 1 not listed, 0 listed, -1 not known.",
    ("zone", "ip"),
    "livemin",
)
_NOT_LISTED: Final = 1.0
_LISTED: Final = 0.0
_NOT_KNOWN: Final = -1.0

Pair = tuple[Domain, IP]


def loop(ctx: Context) -> None:
    """Watch for as long as the keeper runs."""
    monitor = BlocklistMonitor(
        ctx.resolver,
        interfaces=interface_addresses,
        connections=lambda: metrics.total(_OUTGOING),
        pause=gevent.sleep,
    )
    while True:
        guarded(lambda: monitor.turn(ctx.config))
        gevent.sleep(TURN_S)


def watched_zones(config: Config) -> tuple[Domain, ...]:
    """Return the zones that the public listener uses, and those to be watched, each once."""
    public = config.static.listeners.get(_PUBLIC)
    used = public.smtp.dnsbls if public is not None and public.smtp is not None else ()
    return tuple(dict.fromkeys(map(parse_domain, (*used, *config.dynamic.monitor_dnsbls))))


class BlocklistMonitor:
    """Looks our addresses up when it is time."""

    def __init__(
        self,
        resolver: Resolver,
        *,
        interfaces: Callable[[], Iterable[IP]],
        connections: Callable[[], float],
        pause: Callable[[float], None],
        clock: Callable[[], float] = time.monotonic,
    ) -> None:
        """`connections`: how many there were for outgoing mail since the server's start."""
        self._resolver = resolver
        self._interfaces = interfaces
        self._count = connections
        self._pause = pause
        self._clock = clock
        self._zones = ZonesInUse(resolver, clock)
        self._looked = -math.inf
        self._connections = 0.0
        self._known: dict[Pair, float] = {}

    def turn(self, config: Config) -> None:
        """Look all addresses up in all zones, if it is time or other ones are configured."""
        zones = watched_zones(config)
        addresses = public_addresses(config, self._interfaces) if zones else ()
        pairs = [(zone, ip) for zone in zones for ip in addresses]
        self._forget(pairs)
        if not pairs:
            return
        connections = self._count()
        if not self._is_due(pairs, connections):
            return
        self._looked, self._connections = self._clock(), connections
        for number, pair in enumerate(pairs):
            if number:
                self._pause(PAUSE_S)
            value = self._look(*pair)
            self._known[pair] = value
            _SUCCESS.labels(*_labels(pair)).set(value)

    def _is_due(self, pairs: list[Pair], connections: float) -> bool:
        if any(pair not in self._known for pair in pairs):
            return True
        if connections - self._connections >= CONNECTIONS:
            return True
        return self._clock() - self._looked >= LONGEST_S

    def _forget(self, pairs: list[Pair]) -> None:
        for pair in self._known.keys() - set(pairs):
            del self._known[pair]
            _SUCCESS.labels(*_labels(pair)).set(math.nan)

    def _look(self, zone: Domain, ip: IP) -> float:
        health = self._zones.health(zone)
        if not health.is_healthy:
            log.warn("block list does not work, not used", zone=zone, err=health.problem)
            return _NOT_KNOWN
        result = lookup(self._resolver, zone, ip)
        if result.status is DNSBLStatus.TEMPERROR:
            log.warn("looking for own address in block list", zone=zone, ip=ip, err=result.problem)
            return _NOT_KNOWN
        if result.status is DNSBLStatus.LISTED:
            codes = ",".join(map(str, result.codes))
            log.error(
                "own address is on a block list: others may refuse our mail",
                zone=zone,
                ip=ip,
                codes=codes,
                explanation=result.explanation,
            )
            return _LISTED
        if self._known.get((zone, ip)) == _LISTED:
            log.info("own address is not on the block list any more", zone=zone, ip=ip)
        return _NOT_LISTED


def _labels(pair: Pair) -> tuple[str, str]:
    zone, ip = pair
    return zone.ascii, str(ip)
