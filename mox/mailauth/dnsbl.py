"""DNS block lists: is an address listed in a zone, and does the zone work at all. RFC 5782."""

from __future__ import annotations

import time
from collections.abc import Callable
from dataclasses import dataclass
from enum import StrEnum
from ipaddress import IPv4Address, IPv4Network, IPv6Address
from typing import Final

from mox.address import Domain
from mox.dns import Answer, Resolver, Status
from mox.mailauth.iprev import unmapped

TIMEOUT_S: Final = 30.0
HEALTH_TTL_S: Final = 4 * 3600.0

_MAX_EXPLANATION: Final = 500
_MAX_ZONES: Final = 1000
# RFC 5782 §2.1: the values of A records are in 127.0.0.0/8. Anything else comes from a zone that
# was given up and is now answered by somebody who sells domains.
_VALUES: Final = IPv4Network("127.0.0.0/8")
# By convention of the large lists: not a listing, but what is wrong with the question
# (unknown zone, public resolver, too many questions).
_ERRORS: Final = IPv4Network("127.255.255.0/24")
# RFC 5782 §5: entries that every list has, and must not have.
_NEVER_LISTED: Final = IPv4Address("127.0.0.1")
_ALWAYS_LISTED: Final = IPv4Address("127.0.0.2")


class DNSBLStatus(StrEnum):
    """How a look-up ended."""

    PASS = "pass"
    LISTED = "fail"
    TEMPERROR = "temperror"  # treat like PASS


@dataclass(frozen=True, slots=True)
class DNSBLResult:
    """`codes`: the addresses that the zone answered with; what they mean is the list's affair.

    explanation: the list's text, for logs: printable ASCII, bounded, untrusted.
    """

    status: DNSBLStatus
    zone: Domain
    codes: tuple[IPv4Address, ...] = ()
    explanation: str = ""
    problem: str = ""


@dataclass(frozen=True, slots=True)
class ZoneHealth:
    """Whether the answers of a zone mean anything. With trouble in DNS it counts as healthy."""

    is_healthy: bool
    problem: str = ""


def lookup(
    resolver: Resolver,
    zone: Domain,
    ip: IPv4Address | IPv6Address,
    *,
    timeout_s: float = TIMEOUT_S,
    clock: Callable[[], float] = time.monotonic,
) -> DNSBLResult:
    """Look up an address in a zone. Never raises; takes `timeout_s` at most."""
    end = clock() + timeout_s
    name = f"{_reversed(ip)}.{zone.ascii}"
    answer = resolver.query(name, "A", timeout_s)
    if answer.status is Status.TEMPORARY:
        return DNSBLResult(DNSBLStatus.TEMPERROR, zone, problem=answer.error)
    if answer.status is not Status.OK:
        return DNSBLResult(DNSBLStatus.PASS, zone)
    codes = tuple(IPv4Address(record.wire) for record in answer.records)
    if not any(code in _VALUES and code not in _ERRORS for code in codes):
        problem = f"{name}: {', '.join(map(str, codes))} is an error, not a listing"
        return DNSBLResult(DNSBLStatus.TEMPERROR, zone, codes, problem=problem)
    left_s = end - clock()
    explanation = _text(resolver.query(name, "TXT", left_s)) if left_s > 0 else ""
    return DNSBLResult(DNSBLStatus.LISTED, zone, codes, explanation)


def check_health(resolver: Resolver, zone: Domain, *, timeout_s: float = TIMEOUT_S) -> ZoneHealth:
    """See whether a zone has the entry that all have, and not the one that none has.

    RFC 5782 §5. Never raises; takes twice `timeout_s` at most.
    """
    never = lookup(resolver, zone, _NEVER_LISTED, timeout_s=timeout_s)
    if never.status is DNSBLStatus.LISTED:
        return ZoneHealth(False, f"{_NEVER_LISTED} is listed: the zone lists everything")
    always = lookup(resolver, zone, _ALWAYS_LISTED, timeout_s=timeout_s)
    if always.status is DNSBLStatus.PASS:
        return ZoneHealth(False, f"{_ALWAYS_LISTED} is not listed: the zone is not in use")
    # Codes with a problem: the zone answers, but not with listings.
    wrong = [each.problem for each in (never, always) if each.problem and each.codes]
    return ZoneHealth(not wrong, wrong[0] if wrong else never.problem or always.problem)


class ZonesInUse:
    """The health of zones, looked up again after four hours."""

    def __init__(self, resolver: Resolver, clock: Callable[[], float] = time.monotonic) -> None:
        self._resolver = resolver
        self._clock = clock
        self._known: dict[Domain, tuple[float, ZoneHealth]] = {}

    def health(self, zone: Domain) -> ZoneHealth:
        """Return the health of a zone, from memory or by `check_health`."""
        known = self._known.get(zone)
        now = self._clock()
        if known is not None and known[0] > now:
            return known[1]
        health = check_health(self._resolver, zone)
        if len(self._known) >= _MAX_ZONES:
            self._known.clear()
        # Trouble in DNS says nothing about the next four hours.
        if not (health.is_healthy and health.problem):
            self._known[zone] = (now + HEALTH_TTL_S, health)
        return health


def _reversed(ip: IPv4Address | IPv6Address) -> str:
    """RFC 5782 §2.1, §2.4: the octets or nibbles in reverse, as below in-addr.arpa."""
    pointer = unmapped(ip).reverse_pointer
    return pointer.removesuffix(".in-addr.arpa").removesuffix(".ip6.arpa")


def _text(answer: Answer) -> str:
    for record in answer.records:
        text = record.text.decode("ascii", "replace")
        return "".join(c if " " <= c <= "~" else "?" for c in text)[:_MAX_EXPLANATION]
    return ""
