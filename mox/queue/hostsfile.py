"""Names that the administrator has given addresses on this machine, before DNS is asked."""

from __future__ import annotations

import os
from collections.abc import Sequence
from ipaddress import IPv4Address, IPv6Address, ip_address
from typing import Final

IP = IPv4Address | IPv6Address

HOSTS: Final = "/etc/hosts"
# RFC 6761 §6.3: never asked of DNS.
LOCALHOST: Final = (IPv4Address("127.0.0.1"), IPv6Address("::1"))
# Of the file that are read.
_MAX_OCTETS: Final = 1 << 20


class HostsFile:
    """The file as it stands: it is read again when it has changed."""

    def __init__(self, path: str = HOSTS) -> None:
        self._path = path
        self._signature: tuple[int, int] | None = None
        self._names: dict[str, tuple[IP, ...]] = {}

    def addresses(self, name: str) -> Sequence[IP]:
        """Return the addresses of a name (A-labels) in the file's order, none if it is not there.

        A file that cannot be read has no names.
        """
        name = name.rstrip(".").lower()
        self._refresh()
        is_localhost = name == "localhost" or name.endswith(".localhost")
        return self._names.get(name) or (LOCALHOST if is_localhost else ())

    def _refresh(self) -> None:
        try:
            status = os.stat(self._path)
            signature = (status.st_mtime_ns, status.st_size)
            if signature == self._signature:
                return
            with open(self._path, "rb") as file:
                self._names = parse(file.read(_MAX_OCTETS))
            self._signature = signature
        except OSError:
            # There need not be one; what was read before may be out of date.
            self._names, self._signature = {}, None


def parse(data: bytes) -> dict[str, tuple[IP, ...]]:
    """Read a hosts file; lines that make no sense are passed over."""
    names: dict[str, tuple[IP, ...]] = {}
    for line in data.decode("utf-8", "replace").splitlines():
        address, *aliases = line.partition("#")[0].split() or [""]
        try:
            ip = ip_address(address)
        except ValueError:
            continue
        for alias in aliases:
            key = alias.rstrip(".").lower()
            if ip not in names.get(key, ()):
                names[key] = (*names.get(key, ()), ip)
    return names
