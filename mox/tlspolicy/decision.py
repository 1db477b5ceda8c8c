"""What DANE, MTA-STS and the message's own wish make of one MX host.

RFC 7672, RFC 8461, RFC 8689; RFC 8461 §2 for the two together. A pure table: what was found goes
in, the policy for the connection or the reason for none comes out.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from enum import StrEnum
from typing import Final

from mox.tlspolicy.mtasts import Mode, Policy
from mox.tlspolicy.policy import TLSMode, TLSPolicy
from mox.tlspolicy.report import Problem, ResultType
from mox.tlspolicy.tlsa import TLSALookup

MX_MISMATCH: Final = Problem(ResultType.VALIDATION_FAILURE, "mtasts-policy-mx-mismatch")
ALL_UNUSABLE: Final = Problem(ResultType.TLSA_INVALID, "all-unusable-records+ignored")


class Refusal(StrEnum):
    """Why no connection is made to a host; another one may do."""

    MX_MISMATCH = "MX host is not one of the domain's MTA-STS policy"
    TLSA_UNKNOWN = "looking up TLSA records failed"
    NOT_AUTHENTICATED = "REQUIRETLS: neither DANE nor MTA-STS would tell whether it is genuine"


class Ignored(StrEnum):
    """What "TLS-Required: No" made us pass over; the values are labels of metrics."""

    STS_POLICY = "mtastspolicy"
    STS_MX = "mtastsmx"
    TLSA = "badtlsa"
    TLS = "badtls"
    DANE = "daneverification"
    PKIX = "pkixverification"


@dataclass(frozen=True, slots=True)
class Decision:
    """Either `policy` or `refusal` is set.

    domain_problems, host_problems: what to report about the recipient's domain and the host,
    whether mail goes there or not.
    """

    policy: TLSPolicy | None = None
    refusal: Refusal | None = None
    ignored: tuple[Ignored, ...] = ()
    domain_problems: tuple[Problem, ...] = ()
    host_problems: tuple[Problem, ...] = ()


def decide(
    host: str,
    sts: Policy | None,
    tlsa: TLSALookup,
    names: Sequence[str],
    require_tls: bool | None,
) -> Decision:
    """Decide about an MX host (A-labels).

    `names` as from reference_names. `require_tls` True: REQUIRETLS; False: "TLS-Required: No".
    """
    # RFC 8689 §3: the wish to be delivered beats the policies of the recipient.
    is_lenient = require_tls is False
    is_enforced = sts is not None and sts.mode is Mode.ENFORCE
    covered = sts is None or sts.covers(host)
    domain_problems = () if covered else (MX_MISMATCH,)
    usable = tlsa.usable
    host_problems = (ALL_UNUSABLE,) if tlsa.records and not usable else ()
    if tlsa.error:
        host_problems = (_lookup_problem(tlsa),)
    refusal = None
    if not is_lenient:
        refusal = _refusal(is_enforced, covered, tlsa, bool(usable), require_tls)
    if refusal is not None:
        return Decision(None, refusal, (), domain_problems, host_problems)
    ignored = []
    if is_enforced and not covered:
        ignored.append(Ignored.STS_MX)
    if tlsa.error:
        ignored.append(Ignored.TLSA)
    # RFC 7672 §2.2: records that cannot be used still say that there is TLS.
    is_required = is_enforced or bool(tlsa.records)
    policy = TLSPolicy(
        TLSMode.REQUIRED if is_required else TLSMode.OPPORTUNISTIC,
        verify=is_enforced,
        tlsa=usable,
        names=tuple(names) if usable else (),
        lenient=is_lenient,
    )
    return Decision(policy, None, tuple(ignored), domain_problems, host_problems)


def _lookup_problem(tlsa: TLSALookup) -> Problem:
    extended = tlsa.extended_error
    if extended is None:
        return Problem(ResultType.TLSA_INVALID, "dns-lookup")
    is_dnssec = extended.is_dnssec_failure
    return Problem(
        ResultType.DNSSEC_INVALID if is_dnssec else ResultType.TLSA_INVALID, extended.reason
    )


def _refusal(
    is_enforced: bool, covered: bool, tlsa: TLSALookup, is_usable: bool, require_tls: bool | None
) -> Refusal | None:
    # RFC 8461 §5: in mode enforce only hosts of the policy get mail.
    if is_enforced and not covered:
        return Refusal.MX_MISMATCH
    # RFC 7672 §2.1.2: delivery is put off until it is clear whether there are records.
    if tlsa.error:
        return Refusal.TLSA_UNKNOWN
    # RFC 8689 §4.2.1: the host must be authenticated by one of the two.
    if require_tls is True and not (is_usable or is_enforced):
        return Refusal.NOT_AUTHENTICATED
    return None
