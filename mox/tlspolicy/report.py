"""What TLS reports say about sessions: the words of RFC 8460 §4, as records that can be merged.

The records are msgspec Structs because they are kept until a report is due; new fields go to the
end and have defaults.
"""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass
from enum import StrEnum
from typing import Final

import msgspec
from msgspec import structs

# Different failures of one policy that are kept apart; more are counted without their details.
MAX_DETAILS: Final = 100
_MAX_TEXT: Final = 256


class ResultType(StrEnum):
    """RFC 8460 §4.3."""

    STARTTLS_NOT_SUPPORTED = "starttls-not-supported"
    CERTIFICATE_HOST_MISMATCH = "certificate-host-mismatch"
    CERTIFICATE_NOT_TRUSTED = "certificate-not-trusted"
    CERTIFICATE_EXPIRED = "certificate-expired"
    VALIDATION_FAILURE = "validation-failure"
    TLSA_INVALID = "tlsa-invalid"
    DNSSEC_INVALID = "dnssec-invalid"
    DANE_REQUIRED = "dane-required"
    STS_POLICY_FETCH_ERROR = "sts-policy-fetch-error"
    STS_POLICY_INVALID = "sts-policy-invalid"
    STS_WEBPKI_INVALID = "sts-webpki-invalid"


class PolicyType(StrEnum):
    """RFC 8460 §4.4."""

    TLSA = "tlsa"
    STS = "sts"
    NO_POLICY_FOUND = "no-policy-found"


@dataclass(frozen=True, slots=True)
class Problem:
    """Something wrong with a policy or a session. `reason` is the failure-reason-code."""

    result_type: ResultType
    reason: str = ""


class FailureDetail(msgspec.Struct, frozen=True, array_like=True):
    """One entry of failure-details (RFC 8460 §4.4)."""

    result_type: str
    reason: str = ""
    sending_ip: str = ""
    mx_hostname: str = ""
    mx_helo: str = ""
    receiving_ip: str = ""
    sessions: int = 1


class TLSResult(msgspec.Struct, frozen=True, array_like=True):
    """What happened under one policy. `success` and `failure` count sessions."""

    policy_type: str
    policy_string: tuple[str, ...] = ()
    policy_domain: str = ""  # A-labels
    mx_hosts: tuple[str, ...] = ()
    success: int = 0
    failure: int = 0
    details: tuple[FailureDetail, ...] = ()

    @property
    def has_failure(self) -> bool:
        return bool(self.failure or self.details)

    @property
    def policy(self) -> tuple[str, tuple[str, ...], str, tuple[str, ...]]:
        """What makes results mergeable when it is equal."""
        return (self.policy_type, self.policy_string, self.policy_domain, self.mx_hosts)


def merged(results: Iterable[TLSResult]) -> tuple[TLSResult, ...]:
    """Add up results of equal policies, and in these equal details, in order of appearance."""
    found: dict[object, TLSResult] = {}
    for result in results:
        earlier = found.get(result.policy)
        found[result.policy] = result if earlier is None else _sum(earlier, result)
    return tuple(found.values())


def _sum(a: TLSResult, b: TLSResult) -> TLSResult:
    counts: dict[FailureDetail, int] = {}
    for detail in (*a.details, *b.details):
        key = structs.replace(detail, sessions=0)
        if key in counts or len(counts) < MAX_DETAILS:
            counts[key] = counts.get(key, 0) + detail.sessions
    return structs.replace(
        a,
        success=a.success + b.success,
        failure=a.failure + b.failure,
        details=tuple(structs.replace(key, sessions=n) for key, n in counts.items()),
    )


def reason_text(text: str) -> str:
    """Return a text as part of a failure-reason-code: printable, without spaces, bounded."""
    words = "".join(c if "!" <= c <= "~" else " " for c in text).split()
    return "-".join(words)[:_MAX_TEXT].lower()
