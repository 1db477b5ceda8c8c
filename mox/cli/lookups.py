"""What the commands share that look things up: arguments, and text from the network."""

from __future__ import annotations

from ipaddress import IPv4Address, IPv6Address, ip_address

from mox.errors import UserError


def parse_ip(text: str) -> IPv4Address | IPv6Address:
    """Read an address argument. Raises UserError."""
    try:
        return ip_address(text)
    except ValueError as e:
        raise UserError(f"not an IP address: {text}") from e


def dnssec(authentic: bool) -> str:
    return "with dnssec" if authentic else "without dnssec"


def shown(text: str) -> str:
    """Make text from the network fit for a terminal."""
    return "".join([c if c.isprintable() else "?" for c in text])
