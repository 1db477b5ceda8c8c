"""The addresses that others know us by: of listeners, and of the machine where those say "all"."""

from __future__ import annotations

import ctypes
import fcntl
import socket
import struct
from collections.abc import Callable, Iterable, Iterator
from ipaddress import IPv4Address, IPv6Address, ip_address
from pathlib import Path
from typing import Final

from mox.config import Config
from mox.networks import IP

# <linux/sockios.h>, and what it fills in: a name of 16 octets and a socket address of 24.
_SIOCGIFCONF: Final = 0x8912
_IFREQ: Final = struct.Struct("16s24s")
_IFCONF: Final = struct.Struct("iL")
_MAX_INTERFACES: Final = 256
_IF_INET6: Final = Path("/proc/net/if_inet6")


def public_addresses(config: Config, interfaces: Callable[[], Iterable[IP]]) -> tuple[IP, ...]:
    """Return the public addresses of all listeners, each once, in the order of the configuration.

    NATIPs count instead of IPs where they are given. `interfaces` is asked for the machine's
    addresses when a listener has 0.0.0.0 or ::.
    """
    found: dict[IP, None] = {}
    for listener in config.static.listeners.values():
        for text in listener.nat_ips or listener.ips:
            ip = ip_address(text)
            if not ip.is_unspecified:
                found[ip] = None
                continue
            found.update({own: None for own in interfaces() if own.version == ip.version})
    return tuple(ip for ip in found if ip.is_global and not ip.is_multicast)


def interface_addresses() -> list[IP]:
    """Return the addresses of the machine's interfaces (Linux)."""
    return [*_ipv4(), *_ipv6()]


def _ipv4() -> Iterator[IPv4Address]:
    buffer = bytearray(_IFREQ.size * _MAX_INTERFACES)
    # The kernel writes to the address of the buffer, so it has to be a C array that stays there.
    array = (ctypes.c_char * len(buffer)).from_buffer(buffer)
    request = bytearray(_IFCONF.pack(len(buffer), ctypes.addressof(array)))
    with socket.socket(socket.AF_INET, socket.SOCK_DGRAM) as sock:
        fcntl.ioctl(sock.fileno(), _SIOCGIFCONF, request)
    length, _ = _IFCONF.unpack(request)
    for _, address in _IFREQ.iter_unpack(bytes(buffer[:length])):
        yield IPv4Address(address[4:8])


def _ipv6(table: Path = _IF_INET6) -> Iterator[IPv6Address]:
    try:
        text = table.read_text()
    except FileNotFoundError:
        return  # a kernel without IPv6
    for line in text.splitlines():
        yield IPv6Address(bytes.fromhex(line.split(maxsplit=1)[0]))
