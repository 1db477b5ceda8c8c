"""How TLS with one server went: is it what the policy asks for, and what is to be reported.

The words of reports are those of RFC 8460 §4.3, with reasons of ours behind them.
"""

from __future__ import annotations

import re
from collections.abc import Sequence
from dataclasses import dataclass
from datetime import datetime
from typing import Final

from cryptography import x509

from mox.tlsio.client import Verification, VerifyFailure
from mox.tlspolicy import dane
from mox.tlspolicy.decision import Ignored
from mox.tlspolicy.policy import TLSPolicy
from mox.tlspolicy.report import Problem, ResultType, reason_text
from mox.tlspolicy.tlsa import TLSA

_ALERT = re.compile(r"(?:sslv3|tlsv1|tlsv13|ssl/tls) alert (.+)")
# RFC 8446 §6, RFC 5246 §7.2, in the order of their numbers; the names are OpenSSL's.
_ALERTS: Final = {
    "unexpected message": 10,
    "bad record mac": 20,
    "decryption failed": 21,
    "record overflow": 22,
    "decompression failure": 30,
    "handshake failure": 40,
    "no certificate": 41,
    "bad certificate": 42,
    "unsupported certificate": 43,
    "certificate revoked": 44,
    "certificate expired": 45,
    "certificate unknown": 46,
    "illegal parameter": 47,
    "unknown ca": 48,
    "access denied": 49,
    "decode error": 50,
    "decrypt error": 51,
    "export restriction": 60,
    "protocol version": 70,
    "insufficient security": 71,
    "internal error": 80,
    "inappropriate fallback": 86,
    "user cancelled": 90,
    "no renegotiation": 100,
    "missing extension": 109,
    "certificate required": 116,
    "unsupported extension": 110,
    "certificate unobtainable": 111,
    "unrecognized name": 112,
    "bad certificate status response": 113,
    "bad certificate hash value": 114,
    "unknown psk identity": 115,
    "no application protocol": 120,
}
# What OpenSSL says of bytes that are no TLS records.
_NO_TLS: Final = (
    "wrong version number",
    "http request",
    "https proxy request",
    "packet length too long",
    "record layer failure",
    "bad record type",
)


@dataclass(frozen=True, slots=True)
class Checked:
    """A chain compared with a policy.

    failure: why the connection must not be used, "" for nothing.
    domain_problems: with the public authorities, for the recipient's domain, always evaluated.
    host_problems: with TLSA records, for the host. ignored: only because the policy is lenient.
    record: the TLSA record that matched, if the policy has any.
    """

    failure: str = ""
    domain_problems: tuple[Problem, ...] = ()
    host_problems: tuple[Problem, ...] = ()
    ignored: tuple[Ignored, ...] = ()
    record: TLSA | None = None


def check(
    policy: TLSPolicy,
    verification: Verification,
    chain: Sequence[x509.Certificate],
    now: datetime,
) -> Checked:
    """Compare what a server presented in its handshake with the policy for it."""
    failures: list[str] = []
    ignored: list[Ignored] = []
    host_problems: tuple[Problem, ...] = ()
    record = None
    if policy.verify and not verification.ok:
        failures.append(str(verification))
        ignored.append(Ignored.PKIX)
    if policy.tlsa:
        result = dane.verify(policy.tlsa, chain, policy.names, now)
        record = result.record
        if not result.ok:
            failures.append(str(result))
            ignored.append(Ignored.DANE)
            host_problems = (_of_dane(result),)
    domain_problems = tuple(_of_pkix(*failure) for failure in verification.failures)
    if policy.lenient:
        return Checked("", domain_problems, host_problems, tuple(ignored), record)
    return Checked("; ".join(failures), domain_problems, host_problems, (), record)


def _of_pkix(failure: VerifyFailure, text: str) -> Problem:
    result_type = ResultType(failure.value)
    named = result_type is ResultType.CERTIFICATE_NOT_TRUSTED
    # The other two say all there is to say.
    return Problem(result_type, reason_text(text.partition(" (")[0]) if named else "")


def _of_dane(result: dane.DaneResult) -> Problem:
    reasons = "".join(f"+{reason_text(text)}" for text in result.problems)
    return Problem(ResultType.VALIDATION_FAILURE, f"dane-no-match{reasons}"[:200])


def of_tls_error(reason: str) -> Problem:
    """Return what is reported of a handshake that OpenSSL gave up, by its words."""
    return Problem(ResultType.VALIDATION_FAILURE, _tls_reason(reason.lower()))


def _tls_reason(reason: str) -> str:
    alert = alert_of(reason)
    if alert is not None:
        number = f"{alert}-" if alert >= 0 else ""
        found = _ALERT.fullmatch(reason)
        assert found is not None
        return f"tls-remote-alert-{number}{reason_text(found[1])}"
    if reason in _NO_TLS:
        return "tls-record-header-error"
    return f"tls-{reason_text(reason)}"


def alert_of(reason: str) -> int | None:
    """Return the number of the alert that the peer sent, -1 for an unknown one; None: no alert."""
    found = _ALERT.fullmatch(reason.lower())
    return None if found is None else _ALERTS.get(found[1], -1)


TIMEOUT: Final = Problem(ResultType.VALIDATION_FAILURE, "io-timeout-during-handshake")
CLOSED: Final = Problem(ResultType.VALIDATION_FAILURE, "connection-closed-during-handshake")
NOT_OFFERED: Final = Problem(ResultType.STARTTLS_NOT_SUPPORTED)


def of_refusal(code: int) -> Problem:
    """Return what is reported of a STARTTLS that got another reply than 220."""
    return Problem(ResultType.STARTTLS_NOT_SUPPORTED, f"smtp-starttls-reply-code-{code}")
