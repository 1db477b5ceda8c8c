"""Records for answers that tests make themselves."""

from __future__ import annotations

from collections.abc import Iterable

import dns.rdata

from mox.dns.record import TXT, Record


def record_of(rdtype: str, text: str) -> Record:
    """Read the data of a record as it is written in zone files."""
    rdata = dns.rdata.from_text("IN", rdtype, text)
    wire = rdata.to_wire()
    assert wire is not None
    return Record(int(rdata.rdtype), wire)


def txt_of(strings: Iterable[bytes]) -> Record:
    """Make a TXT record of strings with any octets."""
    return Record(TXT, b"".join(bytes((len(string),)) + string for string in strings))
