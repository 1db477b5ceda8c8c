"""Counters and timings of webhooks."""

from __future__ import annotations

from http import HTTPStatus
from typing import Final

from mox import metrics

REQUESTS: Final = metrics.histogram(
    "mox_webhook_request_duration_seconds",
    "Time for a webhook, from looking for its receiver to the end of the answer.",
    (),
    metrics.CLIENT_BUCKETS,
)
_KNOWN: Final = frozenset(status.value for status in HTTPStatus)
_RESULTS: Final = metrics.counter(
    "mox_webhook_results_total",
    "Calls of webhooks, by status: the code if it has a standard meaning, else as 2xx; error.",
    ("code",),
)


def count(status: int) -> None:
    """Count an attempt; status 0 is none."""
    _RESULTS.labels(_label(status)).inc()


def _label(status: int) -> str:
    if not status:
        return "error"
    return str(status) if status in _KNOWN else f"{status // 100}xx"
