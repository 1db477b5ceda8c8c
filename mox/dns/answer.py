"""What a look-up comes to: one value for records, their absence, and trouble."""

from __future__ import annotations

from dataclasses import dataclass
from enum import Enum
from typing import Final

from mox.dns.record import Record


class Status(Enum):
    """How a query ended."""

    OK = "ok"
    NODATA = "no records of this type"
    NXDOMAIN = "no such name"
    TEMPORARY = "temporary failure"


# RFC 8914 §4, and what the registry got later.
_PURPOSES: Final = {
    0: "Other Error",
    1: "Unsupported DNSKEY Algorithm",
    2: "Unsupported DS Digest Type",
    3: "Stale Answer",
    4: "Forged Answer",
    5: "DNSSEC Indeterminate",
    6: "DNSSEC Bogus",
    7: "Signature Expired",
    8: "Signature Not Yet Valid",
    9: "DNSKEY Missing",
    10: "RRSIGs Missing",
    11: "No Zone Key Bit Set",
    12: "NSEC Missing",
    13: "Cached Error",
    14: "Not Ready",
    15: "Blocked",
    16: "Censored",
    17: "Filtered",
    18: "Prohibited",
    19: "Stale NXDomain Answer",
    20: "Not Authoritative",
    21: "Not Supported",
    22: "No Reachable Authority",
    23: "Network Error",
    24: "Invalid Data",
    25: "Signature Expired before Valid",
    26: "Too Early",
    27: "Unsupported NSEC3 Iterations Value",
    28: "Unable to conform to policy",
    29: "Synthesized",
}
_DNSSEC_FAILURES: Final = frozenset({5, 6, 7, 8, 9, 10, 11, 12, 25, 27})
_MAX_TEXT: Final = 200


@dataclass(frozen=True, slots=True)
class ExtendedError:
    """Why a name server failed (RFC 8914). `text` is its own: printable ASCII, untrusted."""

    code: int
    text: str = ""

    @property
    def purpose(self) -> str:
        """Return the registered meaning of the code; of unknown codes the server's text."""
        return _PURPOSES.get(self.code) or self.text or "unknown"

    @property
    def is_dnssec_failure(self) -> bool:
        """Tell whether records exist, but cannot be validated."""
        return self.code in _DNSSEC_FAILURES

    @property
    def reason(self) -> str:
        """Return the form for reports: `dns-extended-error-6-DNSSEC-Bogus`."""
        words = "".join(c if c.isalnum() else " " for c in self.purpose).split()
        return "-".join([f"dns-extended-error-{self.code}", *words])

    def __str__(self) -> str:
        return f"{self.purpose}: {self.text}" if self.text else self.purpose


def extended_error(code: int, text: str) -> ExtendedError:
    """Make the value from what came over the wire."""
    return ExtendedError(code, "".join(c if " " <= c <= "~" else "?" for c in text[:_MAX_TEXT]))


@dataclass(frozen=True, slots=True)
class Answer:
    """The outcome of one query.

    authentic: the name servers validated it with DNSSEC; also meaningful for negative answers.
    ttl: seconds, of the whole chain; for negative answers as RFC 2308 says.
    canonical: the name at the end of the CNAMEs, without the last dot.
    error: for logs, when `status` is TEMPORARY; `extended_error` where the server gave one.
    """

    status: Status
    records: tuple[Record, ...] = ()
    authentic: bool = False
    ttl: int = 0
    canonical: str = ""
    error: str = ""
    extended_error: ExtendedError | None = None
