"""Which name servers to ask, and whether their word on DNSSEC counts: resolv.conf(5)."""

from __future__ import annotations

import ipaddress
import os
from dataclasses import dataclass
from functools import cache
from typing import Final

RESOLV_CONF: Final = "/etc/resolv.conf"
# For tests and unusual installations: `address:port` of the one name server to ask.
ENVIRONMENT: Final = "MOX_DNS_SERVER"

_PORT: Final = 53
_MAX_SERVERS: Final = 8


@dataclass(frozen=True, slots=True)
class Servers:
    """Addresses with ports, in the order to be asked.

    trusts_ad: all are on this machine, or the administrator says that the way to them is safe.
    problem: why there is none, with what to do.
    """

    addresses: tuple[tuple[str, int], ...] = ()
    trusts_ad: bool = False
    problem: str = ""


def one_server(server: str) -> Servers:
    """Return the server of "address:port" (IPv6 in brackets)."""
    address, _, port = server.rpartition(":")
    address = address.strip("[]")
    if not _is_address(address) or not (port.isdecimal() and port.isascii()):
        return _useless(server)
    return Servers(((address, int(port)),), is_loopback(address))


def read_servers(path: str) -> Servers:
    """Read resolv.conf."""
    try:
        with open(path, encoding="utf-8", errors="replace") as file:
            lines = [line.split() for line in file]
    except OSError as e:
        return _useless(f"{path}: {e}")
    found = [words[1] for words in lines if len(words) > 1 and words[0] == "nameserver"]
    addresses = [address for address in found if _is_address(address)][:_MAX_SERVERS]
    if not addresses:
        return _useless(path)
    options = {word for words in lines if words[:1] == ["options"] for word in words[1:]}
    # resolv.conf(5): trust-ad says that the servers and the way to them are trusted.
    trusts_ad = "trust-ad" in options or all(map(is_loopback, addresses))
    return Servers(tuple((address, _PORT) for address in addresses), trusts_ad)


def configured_servers(resolv_conf: str) -> Servers:
    """Return the server of the environment, else those of resolv.conf."""
    server = os.environ.get(ENVIRONMENT, "")
    return one_server(server) if server else read_servers(resolv_conf)


def _useless(what: str) -> Servers:
    return Servers(problem=f"cannot use {what}: name a name server")


def _is_address(text: str) -> bool:
    try:
        ipaddress.ip_address(text)
    except ValueError:
        return False
    return True


@cache
def is_loopback(address: str) -> bool:
    """Tell whether the address of a server, perhaps with a scope, is on this machine."""
    return ipaddress.ip_address(address.partition("%")[0]).is_loopback
