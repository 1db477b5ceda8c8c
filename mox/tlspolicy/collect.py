"""The results of one delivery attempt for reports: of the recipient's domain and of each host.

RFC 8460 §4. Every session counts for both; what is wrong with certificates by the public
authorities concerns the domain (MTA-STS), what is wrong with TLSA records the host (DANE).
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

from mox.tlspolicy.mtasts import Policy
from mox.tlspolicy.report import FailureDetail, PolicyType, Problem, TLSResult, merged
from mox.tlspolicy.tlsa import TLSALookup


@dataclass(frozen=True, slots=True, kw_only=True)
class TLSSession:
    """One attempt to talk to one host, or to none of its addresses.

    success: TLS was agreed and used; None: neither success nor failure (not asked for).
    problems: of the session itself, for both.
    """

    host: str
    tlsa: TLSALookup
    success: bool | None
    problems: Sequence[Problem] = ()
    domain_problems: Sequence[Problem] = ()
    host_problems: Sequence[Problem] = ()
    sending_ip: str = ""
    receiving_ip: str = ""
    helo: str = ""


@dataclass(frozen=True, slots=True)
class PolicyResults:
    """Results that belong to one policy domain (A-labels)."""

    policy_domain: str
    is_host: bool
    results: tuple[TLSResult, ...]


def results_of(
    domain: str,
    policy: Policy | None,
    domain_problems: Sequence[Problem],
    sessions: Sequence[TLSSession],
) -> tuple[PolicyResults, ...]:
    """Return what is to be kept of an attempt for `domain` (A-labels).

    `domain_problems`: with finding out the domain's MTA-STS policy.
    """
    # RFC 8460 §4.4: for DANE the policy domain is the TLSA base domain.
    bases = dict.fromkeys(_base(session) for session in sessions)
    by_host = [
        PolicyResults(name, True, merged(_of_host(s) for s in sessions if _base(s) == name))
        for name in bases
    ]
    base = _of_domain(domain, policy)
    details = tuple(FailureDetail(p.result_type.value, p.reason) for p in domain_problems)
    found = merged([TLSResult(*base.policy, details=details), *_domain_results(base, sessions)])
    own = [session for session in sessions if _base(session) == domain]
    if any(session.tlsa.base for session in own):
        # The domain is its own host, and its TLSA records are the policy.
        if policy is None:
            return tuple(by_host)
    elif own:
        # Nothing is known of that host that is not said of the domain.
        by_host = [one for one in by_host if one.policy_domain != domain]
    return (PolicyResults(domain, False, found), *by_host)


def _base(session: TLSSession) -> str:
    return session.tlsa.base or session.host


def _of_domain(domain: str, policy: Policy | None) -> TLSResult:
    if policy is None:
        return TLSResult(PolicyType.NO_POLICY_FOUND.value, (), domain)
    return TLSResult(PolicyType.STS.value, policy.lines, domain, policy.mx)


def _domain_results(base: TLSResult, sessions: Sequence[TLSSession]) -> list[TLSResult]:
    return [_counted(base, s, [*s.problems, *s.domain_problems]) for s in sessions]


def _of_host(session: TLSSession) -> TLSResult:
    tlsa = session.tlsa
    if tlsa.base:
        lines = tuple(str(record) for record in tlsa.records)
        base = TLSResult(PolicyType.TLSA.value, lines, tlsa.base, ())
    else:
        base = TLSResult(PolicyType.NO_POLICY_FOUND.value, (), session.host, ())
    return _counted(base, session, [*session.problems, *session.host_problems])


def _counted(base: TLSResult, session: TLSSession, problems: Sequence[Problem]) -> TLSResult:
    details = tuple(
        FailureDetail(
            problem.result_type.value,
            problem.reason,
            session.sending_ip,
            session.host,
            session.helo,
            session.receiving_ip,
        )
        for problem in problems
    )
    return TLSResult(
        *base.policy,
        success=1 if session.success else 0,
        failure=1 if session.success is False else 0,
        details=details,
    )
