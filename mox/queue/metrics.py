"""Counters and timings of outgoing delivery."""

from __future__ import annotations

from functools import lru_cache
from typing import TYPE_CHECKING

from mox import metrics

if TYPE_CHECKING:
    from prometheus_client import Histogram

CONNECTIONS = metrics.counter(
    "mox_queue_connection_total", "Connections for outgoing mail, by result.", ("result",)
)
PLAINTEXT_FALLBACKS = metrics.counter(
    "mox_queue_plaintext_fallback_total", "Deliveries without TLS because TLS did not work."
)
REQUIRETLS_UNSUPPORTED = metrics.counter(
    "mox_queue_requiretls_unsupported_total",
    "Messages with REQUIRETLS that could not go to a host.",
    ("reason",),
)
DMARC_REPORT_FAILURES = metrics.counter(
    "mox_queue_dmarcreport_failure_total", "DMARC reports that could not be delivered."
)
DESTINATIONS = metrics.counter(
    "mox_queue_destinations_total", "Mail hosts that were to be delivered to."
)
DESTINATIONS_AUTHENTIC = metrics.counter(
    "mox_queue_destinations_authentic_total",
    "Mail hosts whose names and addresses were validated with DNSSEC.",
)
DANE_REQUIRED = metrics.counter(
    "mox_queue_destination_dane_required_total", "Mail hosts that have TLSA records."
)
DANE_VERIFIED = metrics.counter(
    "mox_dane_verify_total", "Certificate chains that were compared with TLSA records."
)
DANE_MISMATCHES = metrics.counter(
    "mox_dane_verify_errors_total", "Certificate chains that no TLSA record matched."
)
DANE_UNVERIFIED = metrics.counter(
    "mox_queue_destination_dane_starttlsunverified_total",
    "Mail hosts whose TLSA records cannot be used: TLS, but whoever it is.",
)
TLSA_ERRORS = metrics.counter(
    "mox_queue_destination_dane_gathertlsa_errors_total", "TLSA lookups that failed."
)
HELD = metrics.gauge("mox_queue_hold", "Messages in the queue that are held.")
STS_POLICIES = metrics.counter(
    "mox_mtastsdb_get_total", "Questions for the MTA-STS policy of a domain.", ("result",)
)
TLSREQUIRED_NO_IGNORED = metrics.counter(
    "mox_queue_tlsrequiredno_ignored_total",
    "What was passed over for messages with TLS-Required: No.",
    ("ignored",),
)
VERIFICATION_IGNORED = metrics.counter(
    "mox_smtpclient_tlsrequiredno_ignored_total",
    "Certificates that were passed over for messages with TLS-Required: No.",
    ("ignored",),
)
_DELIVERIES = metrics.histogram(
    "mox_queue_delivery_duration_seconds",
    "Time for an attempt to deliver a message.",
    ("attempt", "transport", "tlsmode", "result"),
    metrics.DELIVERY_BUCKETS,
)
_COMMANDS = metrics.histogram(
    "mox_smtpclient_command_duration_seconds",
    "Time from a command of ours to the reply.",
    ("cmd", "code", "secode"),
    metrics.DELIVERY_BUCKETS,
)


# Finding a child by its labels each time is slower than the rest of counting.
@lru_cache(maxsize=1024)
def delivery(attempt: int, transport: str, tls_mode: str, result: str) -> Histogram:
    """Return the timer of attempts that are alike."""
    return _DELIVERIES.labels(str(attempt), transport, tls_mode, result)


@lru_cache(maxsize=1024)
def command(verb: str, code: int, secode: str) -> Histogram:
    """Return the timer of one command and reply; no verb is the greeting."""
    return _COMMANDS.labels(verb.lower() or "connect", str(code), _registered(secode))


def _registered(secode: str) -> str:
    """Return the code if it may be one that is registered: others could be without number."""
    subject, _, detail = secode.partition(".")
    return secode if detail and int(subject) <= 7 and int(detail) <= 30 else ""
