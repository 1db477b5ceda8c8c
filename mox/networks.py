"""Addresses of peers, and the three widths of network that limits and reputation count by."""

from __future__ import annotations

from functools import lru_cache
from ipaddress import IPv4Address, IPv6Address, ip_address

IP = IPv4Address | IPv6Address

# The addresses of sockets that are kept: our own come with each connection, a peer's often again.
_RECENT_ADDRESSES = 256
_WIDTHS_V4 = (32, 26, 21)
_WIDTHS_V6 = (64, 48, 32)
_LOCAL = frozenset({IPv4Address("127.0.0.1"), IPv6Address("::1")})


def network_keys(ip: IP) -> tuple[bytes, bytes, bytes]:
    """Return the networks around an address, narrowest first, as 17 octets each.

    IPv4 is /32, /26, /21 and written as IPv4-mapped IPv6; IPv6 is /64, /48, /32. The last
    octet is the prefix length, so that a network and its first address differ.
    """
    if isinstance(ip, IPv4Address):
        offset, widths, number = 96, _WIDTHS_V4, int(ip) | 0xFFFF << 32
    else:
        offset, widths, number = 0, _WIDTHS_V6, int(ip)
    first, second, third = (_network(number, offset + width) for width in widths)
    return first, second, third


def _network(number: int, prefix: int) -> bytes:
    host_bits = 128 - prefix
    return (number >> host_bits << host_bits).to_bytes(16, "big") + bytes((prefix,))


def is_this_host(ip: IP) -> bool:
    """Say whether a local process is at the other end: 127.0.0.1 and ::1, nothing else."""
    return ip in _LOCAL


def endpoint(address: tuple[str, int] | tuple[str, int, int, int]) -> tuple[IP, int]:
    """Turn a socket address into values; IPv4 in IPv6 becomes IPv4, scopes are dropped."""
    return _endpoint_ip(address[0]), address[1]


@lru_cache(_RECENT_ADDRESSES)
def _endpoint_ip(text: str) -> IP:
    return plain_ip(ip_address(text.partition("%")[0]))


def plain_ip(ip: IP) -> IP:
    """Return the IPv4 address that an IPv4-mapped IPv6 address stands for, others as they are."""
    if isinstance(ip, IPv6Address) and ip.ipv4_mapped is not None:
        return ip.ipv4_mapped
    return ip
