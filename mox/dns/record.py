"""One record of an answer: its type and its data, read when somebody asks.

RFC 1035 §3.3, RFC 3596 §2.2. The data is in wire form, names in it whole, so that it costs nothing
to keep it and to hand it to other processes. Only `mox.dns.response` makes records of what comes
over the network, after it has looked at them: here they are known to be well-formed.
"""

from __future__ import annotations

from ipaddress import IPv4Address, IPv6Address
from typing import Final, NamedTuple

import dns.exception
import dns.rdata
import dns.rdataclass
import dns.rdatatype

from mox.dns.names import name_text

A: Final = 1
CNAME: Final = 5
PTR: Final = 12
MX: Final = 15
TXT: Final = 16
AAAA: Final = 28

_PREFERENCE_OCTETS: Final = 2


class Record(NamedTuple):
    """A record of a type that has such data; asking it for other data is a mistake.

    >>> Record(MX, b"\\0\\x0a\\x02mx\\x07example\\0").host
    'mx.example'
    """

    rdtype: int
    wire: bytes

    @property
    def strings(self) -> tuple[bytes, ...]:
        """The strings of a TXT record."""
        found, at, wire = [], 0, self.wire
        while at < len(wire):
            end = at + 1 + wire[at]
            found.append(wire[at + 1 : end])
            at = end
        return tuple(found)

    @property
    def text(self) -> bytes:
        """The same in one piece, as all uses in mail want it."""
        wire = self.wire
        if len(wire) == 1 + wire[0]:
            return wire[1:]
        return b"".join(self.strings)

    @property
    def address(self) -> IPv4Address | IPv6Address:
        """The address of an A or AAAA record."""
        return IPv4Address(self.wire) if self.rdtype == A else IPv6Address(self.wire)

    @property
    def preference(self) -> int:
        """Of an MX record: lower comes first."""
        return int.from_bytes(self.wire[:_PREFERENCE_OCTETS], "big")

    @property
    def host(self) -> str:
        """The name in a CNAME, NS, PTR or MX record: without last dot, the root as "."."""
        return name_text(self.wire[_PREFERENCE_OCTETS:] if self.rdtype == MX else self.wire)

    def to_text(self) -> str:
        """Return the data as it is written in zone files."""
        kind, wire = dns.rdatatype.RdataType.make(self.rdtype), self.wire
        try:
            return dns.rdata.from_wire(dns.rdataclass.IN, kind, wire, 0, len(wire)).to_text()
        except dns.exception.DNSException:
            # RFC 3597 §5: for data that makes no sense to dnspython, such as a hash too short.
            return f"\\# {len(wire)} {wire.hex()}"
