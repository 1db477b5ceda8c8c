"""In which order the addresses of a host are tried, given those tried for a message before."""

from __future__ import annotations

from collections.abc import Sequence
from ipaddress import IPv4Address, IPv6Address

IP = IPv4Address | IPv6Address


def dial_order(addresses: Sequence[IP], dialed: Sequence[IP]) -> list[IP]:
    """Return `addresses` with the best first; `dialed` are earlier ones, the last at the end.

    The family that was not used last comes first: a problem may be one of IPv4 or IPv6. Within
    a family an address that was used once is used again: a greylisting server knows it.
    """
    if not dialed:
        return list(addresses)
    last_version = dialed[-1].version
    return sorted(
        addresses,
        key=lambda ip: (ip.version == last_version, not _is_known(ip, dialed)),
    )


def _is_known(ip: IP, dialed: Sequence[IP]) -> bool:
    return [used for used in dialed if used.version == ip.version] == [ip]
