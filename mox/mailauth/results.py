"""What message authentication finds: one value per method, with the result words of RFC 8601.

The values are kept apart from the code that makes them, so that the decision about a message, the
Authentication-Results field, the reputation of senders and reports need nothing else.
"""

from __future__ import annotations

from dataclasses import dataclass
from enum import StrEnum
from typing import Literal

from mox.address import Domain


class SPFStatus(StrEnum):
    """RFC 7208 §2.6."""

    NONE = "none"
    NEUTRAL = "neutral"
    PASS = "pass"
    FAIL = "fail"
    SOFTFAIL = "softfail"
    TEMPERROR = "temperror"
    PERMERROR = "permerror"


class DKIMStatus(StrEnum):
    """RFC 8601 §2.7.1."""

    NONE = "none"
    PASS = "pass"
    FAIL = "fail"
    POLICY = "policy"  # signs too little for us to rely on, so it was not looked at further
    NEUTRAL = "neutral"
    TEMPERROR = "temperror"
    PERMERROR = "permerror"


class DMARCStatus(StrEnum):
    """RFC 8601 §2.7.3 registry, RFC 7489 §11.2."""

    NONE = "none"
    PASS = "pass"
    FAIL = "fail"
    TEMPERROR = "temperror"
    PERMERROR = "permerror"


class IPRevStatus(StrEnum):
    """RFC 8601 §2.7.3."""

    PASS = "pass"
    FAIL = "fail"
    TEMPERROR = "temperror"
    PERMERROR = "permerror"


class ARCStatus(StrEnum):
    """RFC 8617 §5.2; temperror when keys could not be looked up."""

    NONE = "none"
    PASS = "pass"
    FAIL = "fail"
    TEMPERROR = "temperror"


@dataclass(frozen=True, slots=True)
class SPFResult:
    """`identity` says whose record was evaluated, `domain` is that identity's domain."""

    status: SPFStatus
    identity: Literal["mailfrom", "helo", ""] = ""  # "": nothing to evaluate
    domain: Domain | None = None
    mechanism: str = ""  # that matched, as in the record; "default" when none did
    explanation: str = ""  # of the domain's owner for a fail: printable ASCII, bounded, untrusted
    problem: str = ""  # for logs and comments: why it is an error
    authentic: bool = False  # all DNS answers were validated


@dataclass(frozen=True, slots=True)
class DKIMResult:
    """One DKIM-Signature field, in the order of the message. `sdid` is the d= tag."""

    status: DKIMStatus
    sdid: Domain | None = None  # None: the field cannot be read
    selector: str = ""
    auid: str = ""  # the i= tag as given, or its default
    algorithm: str = ""  # the a= tag
    signature: str = ""  # the first octets of b=, enough to tell signatures apart (RFC 6008)
    key_bits: int = 0
    problem: str = ""
    authentic: bool = False  # the key record was validated with DNSSEC


@dataclass(frozen=True, slots=True)
class IPRevResult:
    """`hostname`: the name that leads back to the address, without last dot. "" when not pass."""

    status: IPRevStatus
    hostname: str = ""
    hostnames: tuple[str, ...] = ()  # all names of the PTR records
    problem: str = ""
    authentic: bool = False


DMARCPolicy = Literal["none", "quarantine", "reject"]


@dataclass(frozen=True, slots=True)
class DMARCRecord:
    """A parsed policy record (RFC 9989 §4.7; RFC 7489 §6.3). Addresses keep their case."""

    policy: DMARCPolicy = "none"
    subdomain_policy: DMARCPolicy | None = None
    nonexistent_policy: DMARCPolicy | None = None  # RFC 9989 np=
    dkim_strict: bool = False
    spf_strict: bool = False
    aggregate_reports: tuple[tuple[str, int], ...] = ()  # (uri, largest size in octets, 0: any)
    failure_reports: tuple[tuple[str, int], ...] = ()
    percent: int = 100  # RFC 7489 pct=; RFC 9989 knows only t=
    testing: bool = False  # RFC 9989 t=y
    public_suffix: Literal["y", "n", "u"] = "u"  # RFC 9989 psd=
    failure_options: str = "0"
    interval_s: int = 86400
    text: str = ""  # as published, for reports


@dataclass(frozen=True, slots=True)
class DMARCResult:
    """The evaluation for one From domain.

    rejects: the policy in force asks for reject or quarantine, is not under test (`t`), and the
    message did not pass. Of these messages the policy is for `percent` in a hundred: the lots are
    drawn by whoever decides, with its own randomness.
    organizational_domain: as far as it had to be found out; with the tree walk it often has not.
    """

    status: DMARCStatus
    header_from: Domain | None = None
    record_domain: Domain | None = None  # where the record was found
    record: DMARCRecord | None = None
    organizational_domain: Domain | None = None
    policy: DMARCPolicy = "none"  # the one in force for this From domain
    aligned_spf: bool = False
    aligned_dkim: bool = False
    rejects: bool = False
    percent: int = 100  # less only under RFC 7489
    policy_test_mode: bool = False  # it would reject, were the policy not under test
    problem: str = ""
    authentic: bool = False


@dataclass(frozen=True, slots=True)
class ARCResult:
    """The chain of the highest instance. `sealers`: the d= of each set, oldest first."""

    status: ARCStatus
    instance: int = 0
    sealers: tuple[Domain, ...] = ()
    # RFC 8617 §5.2: the message signatures of this instance and all later ones verify; 0: of all.
    oldest_pass: int = 0
    problem: str = ""


@dataclass(frozen=True, slots=True)
class Authentication:
    """All results for one message."""

    iprev: IPRevResult
    spf: SPFResult
    dkim: tuple[DKIMResult, ...]  # empty: no signatures
    dmarc: DMARCResult
    arc: ARCResult

    @property
    def is_unfinished(self) -> bool:
        """Whether trouble of DNS kept a method from its result, so that a later try may pass."""
        return (
            self.spf.status is SPFStatus.TEMPERROR
            or self.dmarc.status is DMARCStatus.TEMPERROR
            or any(each.status is DKIMStatus.TEMPERROR for each in self.dkim)
        )

    @property
    def dkim_domains(self) -> tuple[Domain, ...]:
        """The d= of signatures that verify, each once, in order."""
        if not self.dkim:
            return ()
        passed = (r.sdid for r in self.dkim if r.status is DKIMStatus.PASS and r.sdid)
        return tuple(dict.fromkeys(passed))
