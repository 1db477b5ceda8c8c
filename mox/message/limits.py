"""How much of a hostile message is looked at. Beyond a limit the reader stops, it never raises."""

from __future__ import annotations

from dataclasses import dataclass


@dataclass(frozen=True, slots=True, kw_only=True)
class Limits:
    """Bounds for reading one message. What lies beyond is kept as octets, not understood."""

    depth: int = 50  # multiparts and embedded messages within each other
    parts: int = 1000  # of all levels together
    header_octets: int = 1 << 20  # of one header section
    fields: int = 10_000  # of one header section
    field_octets: int = 1 << 16  # of one field whose value is interpreted
    params: int = 100  # of one field, RFC 2231 segments included
    addresses: int = 1000  # of one field
    references: int = 200  # the last ones are kept
    boundary_octets: int = 200  # RFC 2046 §5.1.1 says 70
    # Octets that may be searched for boundaries, as a multiple of the message's size: each level
    # of nested multiparts costs one search through what it contains.
    scans: int = 20
    near_boundaries: int = 50_000  # lines that only begin like a boundary, of all parts
    text_octets: int = 1 << 25  # of one part's text given to a search


LIMITS = Limits()
