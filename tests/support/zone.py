"""A resolver without network: answers from a table, for tests of what is above DNS."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass, field

from mox.dns import Answer, Status
from mox.dns.record import Record
from tests.support.dnsrecords import record_of

_MAX_CNAMES = 10


@dataclass
class ZoneResolver:
    """Answers like `mox.dns.Resolver`: {("name", "TYPE"): ["rdata", …]}, names in lower case.

    A name in no key does not exist. Rdata "TIMEOUT" is trouble, also as (name, "TIMEOUT") for all
    types without records. `before` is called with each question, to move a clock or to fail.
    """

    zone: Mapping[tuple[str, str], list[str] | list[Record]]
    is_authentic: bool = False
    before: Callable[[str, str], None] = lambda name, rdtype: None
    queries: list[tuple[str, str]] = field(default_factory=list)

    def query(self, name: str, rdtype: str, timeout_s: float | None = None) -> Answer:
        name = name.rstrip(".").lower()
        self.queries.append((name, rdtype))
        self.before(name, rdtype)
        for _ in range(_MAX_CNAMES):
            records = self.zone.get((name, rdtype))
            alias = self.zone.get((name, "CNAME"))
            if records or not alias:
                break
            name = str(alias[0]).rstrip(".").lower()
        exists = any(known == name for known, _ in self.zone)
        if records == ["TIMEOUT"] or (not records and (name, "TIMEOUT") in self.zone):
            return Answer(Status.TEMPORARY, error=f"{name} {rdtype}: timed out")
        if not records:
            status = Status.NODATA if exists else Status.NXDOMAIN
            return Answer(status, authentic=self.is_authentic, canonical=name)
        found = tuple(
            each if isinstance(each, Record) else record_of(rdtype, each) for each in records
        )
        return Answer(Status.OK, found, self.is_authentic, 60, name)
