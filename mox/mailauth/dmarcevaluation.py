"""What is kept of one DMARC evaluation, so that a report to the domain's owner can be made later.

RFC 9990 §2.1, RFC 7489 §7.2 and Appendix C. Values only: who keeps them, and when a report is sent,
is decided elsewhere.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from ipaddress import IPv4Address, IPv6Address
from typing import Final, Literal

from mox.address import Domain
from mox.mailauth.authres import Override
from mox.mailauth.dmarc import Rule
from mox.mailauth.results import (
    Authentication,
    DKIMResult,
    DKIMStatus,
    DMARCPolicy,
    SPFStatus,
)
from mox.mailauth.suffixes import organizational_domain

# Hours that divide a day, so that all reports of a domain begin and end at the same times.
INTERVALS_HOURS: Final = (24, 12, 8, 6, 4, 3, 2, 1)
MAX_SIGNATURES: Final = 16
_HOUR_S: Final = 3600


@dataclass(frozen=True, slots=True, kw_only=True)
class PublishedPolicy:
    """The record as reports show it. `sp` and `np` are those in force, given or not."""

    p: DMARCPolicy
    sp: DMARCPolicy
    np: DMARCPolicy
    adkim: Literal["r", "s"]
    aspf: Literal["r", "s"]
    pct: int
    testing: bool
    fo: str
    discovery_method: Literal["treewalk", "psl"]


@dataclass(frozen=True, slots=True, kw_only=True)
class Signature:
    """One DKIM result. `result` is a word of RFC 8601."""

    domain: str
    selector: str
    result: str
    human_result: str = ""


@dataclass(frozen=True, slots=True, kw_only=True)
class DMARCEvaluation:
    """One row of a report, for one recipient. All domains are in Unicode.

    optional: it goes into a report, but is no reason to send one.
    aligned_dkim, aligned_spf: the results that count for DMARC.
    envelope_to, envelope_from: domains only; envelope_from is "" for the null reverse-path.
    spf_scope: which identity was checked; spf_domain is "" when there was none.
    """

    policy_domain: str
    when: int
    optional: bool
    interval_hours: int
    addresses: tuple[tuple[str, int], ...]  # (uri, largest size in octets, 0: any)
    policy: PublishedPolicy
    source_ip: str
    disposition: Literal["none", "reject"]
    aligned_dkim: bool
    aligned_spf: bool
    overrides: tuple[Override, ...]
    envelope_to: str
    envelope_from: str
    header_from: str
    signatures: tuple[Signature, ...]
    spf_domain: str
    spf_scope: Literal["mfrom", "helo"]
    spf_result: str


def report_evaluation(
    found: Authentication,
    *,
    remote_ip: IPv4Address | IPv6Address,
    envelope_to: Domain,
    envelope_from: Domain | None,
    rejected: bool,
    overrides: Sequence[Override] = (),
    optional: bool = False,
    rule: Rule = "rfc9989",
    when: int,
) -> DMARCEvaluation | None:
    """Make the values for one recipient; None when the domain has no record or wants no reports.

    To be called for what was accepted, and for what was `rejected` because of the DMARC policy;
    other refusals are nobody's business.
    """
    dmarc = found.dmarc
    record = dmarc.record
    if record is None or dmarc.record_domain is None or dmarc.header_from is None:
        return None
    if not record.aggregate_reports:
        return None
    subdomain_policy = record.subdomain_policy or record.policy
    return DMARCEvaluation(
        policy_domain=dmarc.record_domain.unicode,
        when=when,
        optional=optional,
        interval_hours=interval_hours(record.interval_s),
        addresses=record.aggregate_reports,
        policy=PublishedPolicy(
            p=record.policy,
            sp=subdomain_policy,
            np=record.nonexistent_policy or subdomain_policy,
            adkim="s" if record.dkim_strict else "r",
            aspf="s" if record.spf_strict else "r",
            pct=record.percent,
            testing=record.testing,
            fo=record.failure_options,
            discovery_method="treewalk" if rule == "rfc9989" else "psl",
        ),
        source_ip=str(remote_ip),
        # Nothing is quarantined here.
        disposition="reject" if rejected else "none",
        aligned_dkim=dmarc.aligned_dkim,
        aligned_spf=dmarc.aligned_spf,
        overrides=(*overrides, "policy_test_mode") if dmarc.policy_test_mode else tuple(overrides),
        envelope_to=envelope_to.unicode,
        envelope_from=envelope_from.unicode if envelope_from else "",
        header_from=dmarc.header_from.unicode,
        signatures=_signatures(dmarc.header_from, found.dkim),
        spf_domain=found.spf.domain.unicode if found.spf.domain else "",
        spf_scope="helo" if found.spf.identity == "helo" else "mfrom",
        spf_result=(found.spf.status if found.spf.domain else SPFStatus.NONE).value,
    )


def interval_hours(interval_s: int) -> int:
    """Return the hours between two reports: what is asked for, or the next shorter one we do."""
    hours = -(-interval_s // _HOUR_S)
    return next((each for each in INTERVALS_HOURS if each <= hours), 1)


def _signatures(header_from: Domain, dkim: Sequence[DKIMResult]) -> tuple[Signature, ...]:
    """RFC 9990 §2.1.3: all, the most telling ones first: those that pass, nearest to From."""
    organizational = organizational_domain(header_from)

    def rank(result: DKIMResult) -> tuple[bool, bool, bool]:
        is_own = result.sdid is not None and organizational_domain(result.sdid) == organizational
        return result.status is not DKIMStatus.PASS, result.sdid != header_from, not is_own

    return tuple(
        Signature(
            domain=result.sdid.unicode,
            selector=result.selector,
            result=result.status.value,
            human_result=result.problem,
        )
        for result in sorted(dkim, key=rank)[:MAX_SIGNATURES]
        if result.sdid is not None
    )
