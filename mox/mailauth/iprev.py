"""The name of a client: reverse look-up of its address, confirmed by forward look-ups.

RFC 8601 §3 (the "iprev" method) and §2.7.3.
"""

from __future__ import annotations

import re
import time
from collections.abc import Callable
from ipaddress import IPv4Address, IPv6Address
from typing import Final

from mox.dns import Resolver, Status
from mox.mailauth.results import IPRevResult, IPRevStatus

TIMEOUT_S: Final = 20.0
# RFC 8601 §7.4 leaves the number of names open; RFC 7208 §4.6.4 has 10 for the same look-up.
MAX_NAMES: Final = 10

# What may stand in a header field as the name of a host; PTR records can hold any octets.
_HOSTNAME: Final = re.compile(r"[a-z0-9_-]{1,63}(?:\.[a-z0-9_-]{1,63})*+")


def check(
    resolver: Resolver,
    ip: IPv4Address | IPv6Address,
    *,
    timeout_s: float = TIMEOUT_S,
    clock: Callable[[], float] = time.monotonic,
) -> IPRevResult:
    """Find a name of `ip` that leads back to it. Never raises; takes `timeout_s` at most."""
    end = clock() + timeout_s
    ip = unmapped(ip)
    reverse = resolver.query(ip.reverse_pointer, "PTR", timeout_s)
    if reverse.status is Status.TEMPORARY:
        return IPRevResult(IPRevStatus.TEMPERROR, problem=reverse.error)
    # RFC 8601 §2.7.3: permerror is "no such record".
    names = [record.host.lower() for record in reverse.records]
    hostnames = tuple(name for name in names if _HOSTNAME.fullmatch(name))
    if not hostnames:
        problem = "no usable name in PTR records" if names else "no PTR records"
        return IPRevResult(IPRevStatus.PERMERROR, problem=problem, authentic=reverse.authentic)
    status, problem = IPRevStatus.FAIL, "no name of the address leads back to it"
    is_authentic = reverse.authentic
    for hostname in hostnames[:MAX_NAMES]:
        left_s = end - clock()
        if left_s <= 0:
            status, problem = IPRevStatus.TEMPERROR, "looking up the names took too long"
            break
        forward = resolver.query(hostname, address_type(ip), left_s)
        if forward.status is Status.TEMPORARY:
            status, problem = IPRevStatus.TEMPERROR, forward.error
        elif any(record.address == ip for record in forward.records):
            both = reverse.authentic and forward.authentic
            return IPRevResult(IPRevStatus.PASS, hostname, hostnames, authentic=both)
        is_authentic &= forward.authentic
    return IPRevResult(status, "", hostnames, problem, is_authentic)


def unmapped(ip: IPv4Address | IPv6Address) -> IPv4Address | IPv6Address:
    """Return the IPv4 address inside an IPv4-mapped one."""
    return (ip.ipv4_mapped or ip) if isinstance(ip, IPv6Address) else ip


def address_type(ip: IPv4Address | IPv6Address) -> str:
    return "A" if ip.version == 4 else "AAAA"
