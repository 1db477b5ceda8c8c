"""The PROXY protocol, versions 1 and 2: a load balancer tells whom it connects for.

By the specification of its authors (haproxy.org, "The PROXY protocol", 2020-03-05). Pure: bytes
in, header out. Only for peers that the configuration names: the header is believed.
"""

from __future__ import annotations

import re
import struct
from dataclasses import dataclass
from ipaddress import AddressValueError, IPv4Address, IPv6Address

from mox.errors import MoxError
from mox.networks import IP, plain_ip

_V1_START = b"PROXY "
_V1_MAX_BYTES = 107
_V1 = re.compile(
    rb"PROXY (TCP4|TCP6) ([0-9A-Fa-f.:]{2,45}) ([0-9A-Fa-f.:]{2,45}) (\d{1,5}) (\d{1,5})\r\n"
)
_V2_START = b"\r\n\r\n\x00\r\nQUIT\n"
_V2_FIXED = struct.Struct("!12sBBH")
# Addresses and a few type-length-values; one with a certificate in it may have some hundred octets.
_V2_MAX_PAYLOAD_BYTES = 4096
_V2_LOCAL, _V2_PROXY = 0x20, 0x21
_V2_TCP4, _V2_TCP6 = 0x11, 0x21
MAX_HEADER_BYTES = _V2_FIXED.size + _V2_MAX_PAYLOAD_BYTES


class ProxyError(MoxError):
    """What a trusted proxy sent is no PROXY header, or one that cannot be used."""


@dataclass(frozen=True, slots=True)
class ProxyHeader:
    """Who is connected to whom; None: the proxy speaks for itself (health checks).

    `length` is how many octets the header takes; what follows is the connection's.
    """

    source: tuple[IP, int] | None
    destination: tuple[IP, int] | None
    length: int


def parse_proxy_header(data: bytes) -> ProxyHeader | None:
    """Read the header at the beginning of `data`; None: more octets are needed.

    Raises ProxyError. Never needs more than MAX_HEADER_BYTES.
    """
    if data.startswith(_V2_START[: len(data)]):
        return _parse_v2(data)
    if data.startswith(_V1_START[: len(data)]):
        return _parse_v1(data)
    raise ProxyError("no PROXY header")


def _parse_v1(data: bytes) -> ProxyHeader | None:
    end = data.find(b"\r\n", 0, _V1_MAX_BYTES)
    if end < 0:
        if len(data) >= _V1_MAX_BYTES:
            raise ProxyError("PROXY line is too long")
        return None
    line = data[: end + 2]
    if line == b"PROXY UNKNOWN\r\n" or line.startswith(b"PROXY UNKNOWN "):
        return ProxyHeader(None, None, len(line))
    match = _V1.fullmatch(line)
    if match is None:
        raise ProxyError("PROXY line is malformed")
    family, source, destination, source_port, destination_port = match.groups()
    kind = IPv4Address if family == b"TCP4" else IPv6Address
    return ProxyHeader(
        (_address(kind, source), _port(source_port)),
        (_address(kind, destination), _port(destination_port)),
        len(line),
    )


def _address(kind: type[IPv4Address] | type[IPv6Address], text: bytes) -> IP:
    try:
        return plain_ip(kind(text.decode("ascii")))
    except AddressValueError as e:
        raise ProxyError("PROXY line has a bad address") from e


def _port(text: bytes) -> int:
    port = int(text)
    if port > 65535:
        raise ProxyError("PROXY line has a bad port")
    return port


def _parse_v2(data: bytes) -> ProxyHeader | None:
    if len(data) < _V2_FIXED.size:
        return None
    _, command, family, size = _V2_FIXED.unpack_from(data)
    if size > _V2_MAX_PAYLOAD_BYTES:
        raise ProxyError("PROXY header is too long")
    if command not in (_V2_LOCAL, _V2_PROXY):
        raise ProxyError("PROXY header has an unknown version or command")
    length = _V2_FIXED.size + size
    if len(data) < length:
        return None
    if command == _V2_LOCAL:
        return ProxyHeader(None, None, length)
    payload = data[_V2_FIXED.size : length]
    if family == _V2_TCP4:
        return _endpoints(payload, "!4s4sHH", length)
    if family == _V2_TCP6:
        return _endpoints(payload, "!16s16sHH", length)
    # Whom the proxy connects for is not on TCP: as version 1's UNKNOWN.
    return ProxyHeader(None, None, length)


def _endpoints(payload: bytes, layout: str, length: int) -> ProxyHeader:
    """Read the addresses; what follows them (type-length-values) is skipped."""
    try:
        source, destination, source_port, destination_port = struct.unpack_from(layout, payload)
    except struct.error as e:
        raise ProxyError("PROXY header is too short for its addresses") from e
    kind = IPv4Address if len(source) == 4 else IPv6Address
    return ProxyHeader(
        (plain_ip(kind(source)), source_port),
        (plain_ip(kind(destination)), destination_port),
        length,
    )
