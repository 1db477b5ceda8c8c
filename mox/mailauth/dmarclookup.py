"""Finding DMARC records in DNS: at one name, and up the tree.

RFC 9989 §4.10; RFC 7489 §6.6.3 with the public suffix list, as `lookup_by_suffix_list`. Walks of
one evaluation share a `TreeWalker`, so that no name is asked twice.
"""

from __future__ import annotations

import time
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from enum import Enum
from typing import Final, Literal

from mox.address import Domain
from mox.dns import Answer, Resolver, Status
from mox.dns.record import Record
from mox.mailauth.dmarcrecord import RecordError, is_record, parse_record
from mox.mailauth.results import DMARCRecord
from mox.mailauth.suffixes import organizational_domain, parent

# RFC 9989 §4.10: eight queries, however long the name.
MAX_WALK_QUERIES: Final = 8
# For all queries of one evaluation.
TIMEOUT_S: Final = 30.0


def record_name(domain: Domain) -> str:
    """The name that has the TXT record of a domain."""
    return f"_dmarc.{domain.ascii}"


class Found(Enum):
    """What is at a name."""

    RECORD = "record"
    UNUSABLE = "one record, which gives no policy"
    SEVERAL = "several records, which count as none"
    NONE = "no record"
    TEMPORARY = "DNS does not answer"


@dataclass(frozen=True, slots=True)
class Lookup:
    """The answer for `_dmarc.<domain>`. `text` is that of the record, also of an unusable one."""

    domain: Domain
    found: Found
    record: DMARCRecord | None = None  # only for RECORD
    public_suffix: Literal["y", "n", "u"] = "u"
    text: str = ""
    problem: str = ""
    authentic: bool = False

    @property
    def takes_part(self) -> bool:
        """There is exactly one record, of whatever use it is."""
        return self.found in (Found.RECORD, Found.UNUSABLE)


@dataclass(frozen=True, slots=True)
class Discovery:
    """Where the policy for an Author Domain comes from.

    lookup: of the record to apply; `found` says NONE, SEVERAL or TEMPORARY when there is none.
    organizational_domain: as far as it had to be found out.
    authentic: all answers that led here were validated.
    """

    lookup: Lookup
    organizational_domain: Domain | None = None
    authentic: bool = False


@dataclass(frozen=True, slots=True)
class Walk:
    """The names with records from a domain upwards, longest first, and what follows from them."""

    start: Domain
    lookups: tuple[Lookup, ...]  # all that were made
    failed: Lookup | None = None  # DNS did not answer: nothing else can be said

    @property
    def records(self) -> tuple[Lookup, ...]:
        return tuple(lookup for lookup in self.lookups if lookup.takes_part)

    @property
    def organizational_domain(self) -> Domain:
        """RFC 9989 §4.10.2. Not to be asked when the walk failed."""
        records = self.records
        for lookup in records:
            if lookup.public_suffix == "n":
                return lookup.domain
            if lookup.public_suffix == "y" and lookup.domain != self.start:
                return parent(self.start, lookup.domain.ascii.count(".") + 2)
        return records[-1].domain if records else self.start


class Queries:
    """Queries that share one time limit: when it has passed, DNS does not answer any more."""

    __slots__ = ("_clock", "_end", "_resolver")

    def __init__(
        self,
        resolver: Resolver,
        timeout_s: float = TIMEOUT_S,
        clock: Callable[[], float] = time.monotonic,
    ) -> None:
        self._resolver = resolver
        self._clock = clock
        self._end = clock() + timeout_s

    def ask(self, name: str, rdtype: str) -> Answer:
        left_s = self._end - self._clock()
        if left_s <= 0:
            return Answer(Status.TEMPORARY, error=f"{name} {rdtype}: no time left")
        return self._resolver.query(name, rdtype, left_s)


def find_record(queries: Queries, domain: Domain) -> Lookup:
    """Look up the record published for exactly this domain. Never raises."""
    answer = queries.ask(record_name(domain), "TXT")
    if answer.status is Status.TEMPORARY:
        return Lookup(domain, Found.TEMPORARY, problem=answer.error)
    texts = [text for text in map(txt_record, answer.records) if is_record(text)]
    if len(texts) != 1:
        # RFC 9989 §4.10 step 2, RFC 7489 §6.6.3: with several records all are discarded.
        found = Found.SEVERAL if texts else Found.NONE
        problem = f"{len(texts)} DMARC records at _dmarc.{domain.ascii}" if texts else ""
        return Lookup(domain, found, problem=problem, authentic=answer.authentic)
    text = texts[0]
    try:
        record = parse_record(text)
    except RecordError as e:
        return Lookup(
            domain,
            Found.UNUSABLE,
            public_suffix=e.public_suffix,
            text=text,
            problem=f"_dmarc.{domain.ascii}: {e}",
            authentic=answer.authentic,
        )
    return Lookup(domain, Found.RECORD, record, record.public_suffix, text, "", answer.authentic)


def txt_record(record: Record) -> str:
    """Return a TXT record as one string (RFC 9989 §4.5); what is not ASCII comes escaped."""
    return record.text.decode("ascii", "backslashreplace")


class TreeWalker:
    """Walks of one evaluation; each name is looked up once."""

    __slots__ = ("_lookups", "_queries")

    def __init__(self, queries: Queries) -> None:
        self._queries = queries
        self._lookups: dict[Domain, Lookup] = {}

    def find(self, domain: Domain) -> Lookup:
        lookup = self._lookups.get(domain)
        if lookup is None:
            lookup = self._lookups[domain] = find_record(self._queries, domain)
        return lookup

    def walk(self, start: Domain) -> Walk:
        """Look for records from the domain upwards (RFC 9989 §4.10)."""
        made: list[Lookup] = []
        for domain in walk_names(start):
            lookup = self.find(domain)
            made.append(lookup)
            if lookup.found is Found.TEMPORARY:
                return Walk(start, tuple(made), lookup)
            # RFC 9989 §4.10 steps 2 and 6: psd=n or psd=y ends the walk.
            if lookup.public_suffix != "u":
                break
        return Walk(start, tuple(made))

    def discover(self, author: Domain) -> Discovery:
        """Find the policy for an Author Domain (RFC 9989 §4.10.1)."""
        own = self.find(author)
        if own.takes_part or own.found is Found.TEMPORARY:
            return Discovery(own, None, own.authentic)
        walk = self.walk(author)
        if walk.failed is not None:
            return Discovery(walk.failed)
        authentic = all(lookup.authentic for lookup in walk.lookups)
        organizational = walk.organizational_domain
        records = walk.records
        # RFC 9989 §4.10.1: the Organizational Domain's record before the public suffix's.
        wanted = [r for r in records if r.domain == organizational]
        wanted += [r for r in records if r.public_suffix == "y"]
        return Discovery(wanted[0] if wanted else own, organizational, authentic)


def walk_names(start: Domain) -> Sequence[Domain]:
    """The domain, then its last seven labels or what is left of them, down to one label."""
    count = start.ascii.count(".") + 1
    # RFC 9989 §4.10 step 4.
    shorter = range(min(count - 1, MAX_WALK_QUERIES - 1), 0, -1)
    return [start, *(parent(start, labels) for labels in shorter)]


def lookup_by_suffix_list(queries: Queries, author: Domain) -> Discovery:
    """Find the policy for an Author Domain by RFC 7489 §6.6.3."""
    organizational = organizational_domain(author)
    lookup = find_record(queries, author)
    authentic = lookup.authentic
    # Step 3: only when there is no record; several end the discovery (step 5).
    if lookup.found is Found.NONE and organizational != author:
        lookup = find_record(queries, organizational)
        authentic = authentic and lookup.authentic
    return Discovery(lookup, organizational, authentic)
