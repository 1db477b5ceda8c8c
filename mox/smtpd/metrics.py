"""Counters and timings of the SMTP servers."""

from __future__ import annotations

from functools import lru_cache
from typing import TYPE_CHECKING

from mox import metrics

if TYPE_CHECKING:
    from prometheus_client import Histogram

CONNECTIONS = metrics.counter(
    "mox_smtpserver_connection_total", "Connections to the SMTP servers.", ("kind",)
)
SUBMISSIONS = metrics.counter(
    "mox_smtpserver_submission_total", "Messages submitted by users, by result.", ("result",)
)
ERRORS = metrics.counter(
    "mox_smtpserver_errors_total",
    "Failures of the server at signing and at notifying senders, by where.",
    ("error",),
)
STARTTLS = metrics.counter(
    "mox_smtpserver_delivery_starttls_total", "STARTTLS on the port for other servers."
)
STARTTLS_ERRORS = metrics.counter(
    "mox_smtpserver_delivery_starttls_errors_total",
    "Failed TLS handshakes on the port for other servers.",
    ("reason",),
)
_COMMANDS = metrics.histogram(
    "mox_smtpserver_command_duration_seconds",
    "Time from a complete command to its reply.",
    ("kind", "cmd", "code", "ecode"),
)


@lru_cache(maxsize=1024)
def command(kind: str, verb: str, code: int, enhanced: str | None) -> Histogram:
    """Return the timer of one command and reply; finding it by labels each time is slower."""
    return _COMMANDS.labels(kind, verb.lower(), str(code), enhanced or "")
