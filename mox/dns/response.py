"""Reading what a name server sends: one pass over the octets, down to the records asked for.

RFC 1035 §4.1, RFC 2308, RFC 6891, RFC 8914. dnspython makes an object of everything in a message,
which takes ten times as long; of the records nobody asked for only names and lengths are looked at.
"""

from __future__ import annotations

import struct
from collections.abc import Callable
from dataclasses import dataclass
from typing import Final

import dns.exception
import dns.rdata
import dns.rdataclass
import dns.rdatatype

from mox.dns.answer import ExtendedError, extended_error
from mox.dns.names import name_text
from mox.dns.record import AAAA, CNAME, MX, PTR, TXT, A, Record

HEADER: Final = struct.Struct(">HHHHHH")
NXDOMAIN: Final = 3
AD: Final = 0x0020
RCODE: Final = 0x000F

_RECORD: Final = struct.Struct(">HHIH")
_IN: Final = 1
_NS: Final = 2
_SOA: Final = 6
_OPT: Final = 41
_TLSA: Final = 52
_EXTENDED_ERROR: Final = 15
_OPTION: Final = struct.Struct(">HH")
_POINTER: Final = 0xC0
_MAX_LABEL: Final = 63
_MAX_NAME: Final = 255
# RFC 2181 §8: TTLs have 31 bits, and one with the highest bit set is zero.
_MAX_TTL: Final = 0x7FFFFFFF
# Names that stand for others, one after the other.
_MAX_CHAIN: Final = 16
# RFC 2308 §5: without SOA record a negative answer is not to be kept long.
_TTL_WITHOUT_SOA: Final = 300
_SOA_NUMBERS: Final = 20


class BadResponse(Exception):
    """A message that makes no sense; the text says why."""


@dataclass(frozen=True, slots=True)
class Response:
    """What a message says to its question.

    records: None where there are none of the type asked for. ttl: the least of all that led here.
    canonical: the name at the end of the CNAMEs, without last dot.
    """

    rcode: int
    authentic: bool = False
    ttl: int = 0
    canonical: str = ""
    records: tuple[Record, ...] | None = None
    extended_error: ExtendedError | None = None


@dataclass(frozen=True, slots=True)
class _Resource:
    """A record where it stands: its data is `wire[start:end]` of the message."""

    name: bytes  # whole and in lower case
    rdtype: int
    ttl: int
    start: int
    end: int


def read_response(wire: bytes) -> Response:
    """Read a message with one question, or with none when it tells of a failure.

    Raises BadResponse. The octets after the last record do not matter.
    """
    try:
        return _Message(wire).read()
    except (IndexError, struct.error) as e:
        raise BadResponse("message is cut off") from e
    except dns.exception.DNSException as e:
        raise BadResponse(str(e) or type(e).__name__) from e


class _Message:
    __slots__ = ("_at", "_counts", "_extended", "_flags", "_rcode", "_wire")

    def __init__(self, wire: bytes) -> None:
        _, self._flags, *self._counts = HEADER.unpack_from(wire)
        self._wire = wire
        self._at = HEADER.size
        self._rcode: int = self._flags & RCODE
        self._extended: list[ExtendedError] = []

    def read(self) -> Response:
        questions, answers, authorities, additional = self._counts
        if questions > 1:
            raise BadResponse("several questions")
        name, asked = b"", 0
        if questions:
            name, self._at = self._name(self._at)
            asked = int.from_bytes(self._wire[self._at : self._at + 2], "big")
            self._at += 4
        found = self._section(answers)
        above = self._section(authorities)
        self._section(additional)
        if not questions:
            return Response(self._rcode, extended_error=self._error())
        return self._chained(name, asked, found, above)

    def _section(self, count: int) -> list[_Resource]:
        """Read the records of class IN; what EDNS has to say is noted."""
        found = []
        for _ in range(count):
            name, at = self._name(self._at)
            rdtype, rdclass, ttl, length = _RECORD.unpack_from(self._wire, at)
            start = at + _RECORD.size
            self._at = end = start + length
            if end > len(self._wire):
                raise BadResponse("record is cut off")
            if rdtype == _OPT:
                self._edns(ttl, start, end)
            elif rdclass == _IN:
                found.append(
                    _Resource(name.lower(), rdtype, ttl if ttl <= _MAX_TTL else 0, start, end)
                )
        return found

    def _edns(self, ttl: int, at: int, end: int) -> None:
        # RFC 6891 §6.1.3: the upper eight bits of the response code are there.
        self._rcode |= ttl >> 24 << 4
        while at < end:
            code, length = _OPTION.unpack_from(self._wire, at)
            at += _OPTION.size
            if at + length > end:
                raise BadResponse("EDNS option is cut off")
            if code == _EXTENDED_ERROR and length >= 2:
                text = self._wire[at + 2 : at + length].removesuffix(b"\0")
                number = int.from_bytes(self._wire[at : at + 2], "big")
                self._extended.append(extended_error(number, text.decode("utf-8", "replace")))
            at += length

    def _error(self) -> ExtendedError | None:
        # RFC 8914 §3: there may be several; those about DNSSEC say most.
        found = self._extended
        return next((e for e in found if e.is_dnssec_failure), found[0] if found else None)

    def _chained(
        self, name: bytes, asked: int, found: list[_Resource], above: list[_Resource]
    ) -> Response:
        """Follow the CNAMEs from the question to its records, or to where there are none."""
        ttl, canonical, links = _MAX_TTL, name, 0
        while True:
            here = [each for each in found if each.name == canonical.lower()]
            records = [each for each in here if each.rdtype == asked]
            alias = next((each for each in here if each.rdtype == CNAME), None)
            if records or alias is None:
                break
            links += 1
            if links >= _MAX_CHAIN:
                raise BadResponse("too many CNAMEs")
            canonical = self._data(alias).wire
            ttl = min(ttl, alias.ttl)
        if records and self._rcode == NXDOMAIN:
            raise BadResponse("records of a name that does not exist")
        if not records:
            # RFC 2308 §5: the lesser of the SOA's TTL and its minimum field.
            ttl = min(ttl, self._negative_ttl(canonical.lower(), above))
        return Response(
            self._rcode,
            bool(self._flags & AD),
            min([ttl, *(each.ttl for each in records)]),
            name_text(canonical),
            tuple(dict.fromkeys(map(self._data, records))) or None,
            self._error(),
        )

    def _negative_ttl(self, name: bytes, above: list[_Resource]) -> int:
        """Return what the SOA record nearest above a name says."""
        zones = {each.name: each for each in reversed(above) if each.rdtype == _SOA}
        while zones:
            zone = zones.get(name)
            if zone is not None:
                return min(zone.ttl, self._minimum(zone))
            if name == b"\0":
                break
            name = name[1 + name[0] :]
        return _TTL_WITHOUT_SOA

    def _minimum(self, soa: _Resource) -> int:
        _, at = self._name(self._name(soa.start)[1])
        if at + _SOA_NUMBERS != soa.end:
            raise BadResponse("malformed SOA record")
        return int.from_bytes(self._wire[soa.end - 4 : soa.end], "big")

    # ---- data of records

    def _data(self, resource: _Resource) -> Record:
        """Return a record whose data is known to be well-formed. Raises BadResponse."""
        start, end, rdtype = resource.start, resource.end, resource.rdtype
        if rdtype in _NAME_AT:
            start += _NAME_AT[rdtype]
            name, after = self._name(start)
            if after != end:
                raise BadResponse("malformed name in a record")
            return Record(rdtype, self._wire[resource.start : start] + name)
        data = self._wire[start:end]
        check = _CHECKS.get(rdtype)
        if check is None:
            # Any other type may have names in its data that are cut short.
            kind = dns.rdatatype.RdataType.make(rdtype)
            rdata = dns.rdata.from_wire(dns.rdataclass.IN, kind, self._wire, start, end - start)
            data = rdata.to_wire() or b""
        elif not check(data):
            raise BadResponse("malformed data of a record")
        return Record(rdtype, data)

    def _name(self, at: int) -> tuple[bytes, int]:
        """Read a name; returns it whole, in wire form, and where its end is."""
        wire = self._wire
        pieces, octets, end, lowest = [], 0, 0, at
        while length := wire[at]:
            if length >= _POINTER:
                end = end or at + 2
                at = (length - _POINTER) << 8 | wire[at + 1]
                # RFC 1035 §4.1.4: to a prior occurrence, so that there can be no loop.
                if at >= lowest:
                    raise BadResponse("name points forward")
                lowest = at
                continue
            if length > _MAX_LABEL:
                raise BadResponse("unknown kind of label")
            label = wire[at : at + 1 + length]
            octets += len(label)
            if len(label) <= length or octets >= _MAX_NAME:
                raise BadResponse("name is too long")
            pieces.append(label)
            at += 1 + length
        return b"".join(pieces) + b"\0", end or at + 1


def _is_txt(data: bytes) -> bool:
    at = 0
    while at < len(data):
        at += 1 + data[at]
    return 0 < at == len(data)


# Where the name in the data begins.
_NAME_AT: Final = {CNAME: 0, _NS: 0, PTR: 0, MX: 2}
_CHECKS: Final[dict[int, Callable[[bytes], bool]]] = {
    A: lambda data: len(data) == 4,
    AAAA: lambda data: len(data) == 16,
    TXT: _is_txt,
    _TLSA: lambda data: len(data) > 3,
}
