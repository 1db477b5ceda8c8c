"""The Host field of a request (RFC 9110 §7.2), and names that always mean this host. Pure."""

from __future__ import annotations

import re
from functools import lru_cache
from ipaddress import AddressValueError, IPv4Address, IPv6Address

from mox.address import AddressError, parse_domain

# RFC 9110 §7.2: Host = uri-host [ ":" port ]
_HOST = re.compile(r"(\[[0-9A-Fa-f:.]{2,45}\]|[^\[\]:/?#@ ]{1,255})(?::[0-9]{0,5})?")


@lru_cache(maxsize=1000)
def parse_host(field: str) -> str | None:
    """Return the host, lower-case and in ASCII form, IPv6 in brackets; None: not a host.

    `field` is as WSGI has it: octets as Latin-1.
    """
    match = _HOST.fullmatch(field)
    if match is None:
        return None
    host = match[1]
    if host.startswith("["):
        return host.lower()
    try:
        return parse_domain(host.encode("latin-1").decode().removesuffix(".")).ascii
    except (AddressError, UnicodeDecodeError):
        return host.lower() if _is_ipv4(host) else None


@lru_cache(maxsize=1000)
def names_this_host(host: str) -> bool:
    """Whether a parsed host is an IP address or localhost, by which nobody else can be meant."""
    if host.startswith("["):
        try:
            IPv6Address(host[1:-1])
        except AddressValueError:
            return False
        return True
    return host == "localhost" or _is_ipv4(host)


def _is_ipv4(host: str) -> bool:
    try:
        IPv4Address(host)
    except AddressValueError:
        return False
    return True
