"""DMARC: whether the domain in From is one that SPF or DKIM vouch for, and what it asks otherwise.

RFC 9989, with RFC 7489 as the other rule: `rule="rfc7489"` finds organizational domains by the
public suffix list instead of the DNS tree walk, and knows `pct` but not `np`, `psd` and `t`.

Pure but for the resolver. The caller draws the lots for `percent`.
"""

from __future__ import annotations

import time
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass, replace
from typing import Final, Literal

from mox.address import Domain
from mox.dns import Resolver, Status
from mox.mailauth.dmarclookup import (
    TIMEOUT_S,
    Discovery,
    Found,
    Queries,
    TreeWalker,
    lookup_by_suffix_list,
)
from mox.mailauth.results import (
    DKIMResult,
    DKIMStatus,
    DMARCPolicy,
    DMARCRecord,
    DMARCResult,
    DMARCStatus,
    SPFResult,
    SPFStatus,
)
from mox.mailauth.suffixes import organizational_domain

Rule = Literal["rfc9989", "rfc7489"]

# Different domains for which alignment is looked at: each may need a walk of its own.
MAX_IDENTIFIERS: Final = 12
_STRENGTH: Final[dict[DMARCPolicy, int]] = {"none": 0, "quarantine": 1, "reject": 2}


@dataclass(frozen=True, slots=True)
class _Identifier:
    """A domain that SPF or DKIM speak of; `certain` unless the check ended with temperror."""

    domain: Domain
    method: Literal["spf", "dkim"]
    certain: bool


def evaluate(
    resolver: Resolver,
    header_from: Domain | None,
    spf: SPFResult,
    dkim: Sequence[DKIMResult],
    *,
    rule: Rule = "rfc9989",
    timeout_s: float = TIMEOUT_S,
    clock: Callable[[], float] = time.monotonic,
) -> DMARCResult:
    """Evaluate the one domain of the From field; None when there is none, or more than one.

    At most eight queries for the policy, and as many for each identifier that is below the same
    organizational domain. Never raises; takes `timeout_s` at most.
    """
    # RFC 9989 §5.3.1: without exactly one Author Domain there is nothing to evaluate.
    if header_from is None:
        return DMARCResult(DMARCStatus.NONE, problem="no single domain in From")
    queries = Queries(resolver, timeout_s, clock)
    walker = TreeWalker(queries)
    if rule == "rfc9989":
        discovery = walker.discover(header_from)
    else:
        discovery = lookup_by_suffix_list(queries, header_from)
    result = _without_policy(header_from, discovery)
    record = discovery.lookup.record
    if record is None:
        return result
    aligner = _SuffixListAligner(header_from) if rule == "rfc7489" else None
    alignment = _align(aligner or _WalkAligner(header_from, discovery, walker), record, spf, dkim)
    policy, problem = _policy(queries, result, record, rule)
    is_tested = rule == "rfc9989" and record.testing
    status = alignment.status
    asks_to_reject = status is DMARCStatus.FAIL and policy != "none"
    return replace(
        result,
        status=status,
        record=record,
        organizational_domain=alignment.organizational_domain,
        policy=_lowered(policy) if is_tested else policy,
        aligned_spf=alignment.spf,
        aligned_dkim=alignment.dkim,
        # RFC 9989 §5.3.6: an unfinished check is no reason to refuse a message.
        # There is no quarantine here: it counts as reject. For the same reason a policy under
        # test is not applied at all, where RFC 9989 §4.7 has it one level lower: its owner asked
        # for tests, and "reject" under test must not have mail refused.
        rejects=asks_to_reject and not is_tested,
        policy_test_mode=asks_to_reject and is_tested,
        percent=record.percent if rule == "rfc7489" else 100,
        problem=alignment.problem or problem,
    )


def _without_policy(header_from: Domain, discovery: Discovery) -> DMARCResult:
    """What the discovery alone says."""
    lookup = discovery.lookup
    status = DMARCStatus.NONE
    if lookup.found is Found.TEMPORARY:
        status = DMARCStatus.TEMPERROR
    elif lookup.found is Found.UNUSABLE:
        status = DMARCStatus.PERMERROR
    return DMARCResult(
        status,
        header_from=header_from,
        record_domain=lookup.domain if lookup.takes_part else None,
        organizational_domain=discovery.organizational_domain,
        problem=lookup.problem,
        authentic=discovery.authentic,
    )


# Alignment


@dataclass(slots=True)
class _Alignment:
    spf: bool = False
    dkim: bool = False
    problem: str = ""  # a check that might have aligned has not been finished
    organizational_domain: Domain | None = None

    @property
    def status(self) -> DMARCStatus:
        if self.spf or self.dkim:
            return DMARCStatus.PASS
        return DMARCStatus.TEMPERROR if self.problem else DMARCStatus.FAIL


class _Unknown(Exception):
    """DNS did not answer, so an organizational domain is not known."""


class _SuffixListAligner:
    """RFC 7489 §3.1: relaxed alignment by the public suffix list."""

    def __init__(self, author: Domain) -> None:
        self.author = author
        self.organizational_domain: Domain | None = organizational_domain(author)

    def is_related(self, domain: Domain) -> bool:
        return organizational_domain(domain) == self.organizational_domain


class _WalkAligner:
    """RFC 9989 §4.10.2: relaxed alignment by tree walks, made only when they decide something."""

    def __init__(self, author: Domain, discovery: Discovery, walker: TreeWalker) -> None:
        self.author = author
        self.organizational_domain = discovery.organizational_domain
        self._walker = walker

    def is_related(self, domain: Domain) -> bool:
        """Whether both are of one organizational domain. Raises _Unknown."""
        if self.organizational_domain is None:
            self.organizational_domain = self._walked(self.author)
        # Somewhere else in DNS: no need to ask names that the sender chose.
        if not f".{domain.ascii}".endswith(f".{self.organizational_domain.ascii}"):
            return False
        return self._walked(domain) == self.organizational_domain

    def _walked(self, domain: Domain) -> Domain:
        walk = self._walker.walk(domain)
        if walk.failed is not None:
            raise _Unknown(walk.failed.problem)
        return walk.organizational_domain


def _align(
    aligner: _SuffixListAligner | _WalkAligner,
    record: DMARCRecord,
    spf: SPFResult,
    dkim: Sequence[DKIMResult],
) -> _Alignment:
    alignment = _Alignment()
    strict = {"spf": record.spf_strict, "dkim": record.dkim_strict}
    for identifier in _identifiers(aligner.author, spf, dkim):
        if identifier.method == "dkim" and alignment.dkim:
            break
        try:
            aligned = identifier.domain == aligner.author or (
                not strict[identifier.method] and aligner.is_related(identifier.domain)
            )
        except _Unknown as e:
            alignment.problem = str(e)
            continue
        if aligned and not identifier.certain:
            # Only a check that could have counted leaves the outcome open. Anybody can add a
            # signature whose key nobody can look up; that must not turn a fail into a temperror.
            alignment.problem = f"{identifier.method} check was not finished"
        elif aligned and identifier.method == "spf":
            alignment.spf = True
        elif aligned:
            alignment.dkim = True
    if alignment.spf or alignment.dkim:
        alignment.problem = ""
    alignment.organizational_domain = aligner.organizational_domain
    return alignment


def _identifiers(
    author: Domain, spf: SPFResult, dkim: Sequence[DKIMResult]
) -> Iterator[_Identifier]:
    """What could align, each once: SPF, then signatures, with those of the Author Domain first."""
    found: dict[_Identifier, None] = {}
    # RFC 9989 §3.2.4, RFC 7208 §2.4: with the null reverse-path the HELO identity counts.
    if spf.domain is not None and spf.status in (SPFStatus.PASS, SPFStatus.TEMPERROR):
        found[_Identifier(spf.domain, "spf", spf.status is SPFStatus.PASS)] = None
    counting = (DKIMStatus.PASS, DKIMStatus.TEMPERROR)
    for signature in sorted(dkim, key=lambda signature: signature.sdid != author):
        if signature.sdid is not None and signature.status in counting:
            certain = signature.status is DKIMStatus.PASS
            found[_Identifier(signature.sdid, "dkim", certain)] = None
    return iter(list(found)[:MAX_IDENTIFIERS])


# Policy


def _policy(
    queries: Queries, result: DMARCResult, record: DMARCRecord, rule: Rule
) -> tuple[DMARCPolicy, str]:
    """The policy for the Author Domain, before testing mode, and a problem in finding it out."""
    author = result.header_from
    # RFC 9989 §4.10.1, RFC 7489 §6.6.3: sp and np are for names below the record's.
    if author is None or author == result.record_domain:
        return record.policy, ""
    subdomain = record.subdomain_policy or record.policy
    nonexistent = record.nonexistent_policy
    if rule == "rfc7489" or nonexistent is None or nonexistent == subdomain:
        return subdomain, ""
    # RFC 9989 §3.2.13: what does not exist is told by NXDOMAIN, for whatever type.
    answer = queries.ask(author.ascii, "MX")
    if answer.status is Status.NXDOMAIN:
        return nonexistent, ""
    if answer.status is Status.TEMPORARY:
        # Not knowing which applies must not refuse more than either would.
        return min(subdomain, nonexistent, key=_STRENGTH.__getitem__), answer.error
    return subdomain, ""


def _lowered(policy: DMARCPolicy) -> DMARCPolicy:
    """RFC 9989 §4.7: what t=y leaves of a policy."""
    return "quarantine" if policy == "reject" else "none"
