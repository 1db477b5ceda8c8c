"""What is counted and logged of each request."""

from __future__ import annotations

import time
from functools import lru_cache
from typing import TYPE_CHECKING, Final

from mox import logfmt, metrics

if TYPE_CHECKING:
    from prometheus_client import Histogram

    from mox.web.response import WebResponse
    from mox.web.router import Arrival

_LABELS: Final = ("handler", "proto", "method", "code")
_BUCKETS: Final = (0.001, 0.005, 0.01, 0.05, 0.1, 0.5, 1, 5, 10, 20, 30, 60, 120)
_UNTIL_HEAD: Final = metrics.histogram(
    "mox_httpserver_request_duration_seconds",
    "Time from a request's head to the head of the response.",
    _LABELS,
    _BUCKETS,
)
_UNTIL_END: Final = metrics.histogram(
    "mox_httpserver_response_duration_seconds",
    "Time from a request's head to the end of the response.",
    _LABELS,
    _BUCKETS,
)
_METHODS: Final = frozenset({"GET", "HEAD", "POST", "PUT", "DELETE", "OPTIONS", "PATCH"})

_log = logfmt.logger("http")


def observe(
    arrival: Arrival, response: WebResponse, started_at: float, err: BaseException | None
) -> None:
    """Count a request that has ended, well or with `err`, and write its line."""
    ended_at = time.monotonic()
    req = response.req
    # A response that never began has no status of its own.
    status = response.status_code if response.status is not None else 0
    method = req.method if req.method in _METHODS else "(other)"
    until_head, until_end = _children(
        arrival.handler, "https" if arrival.is_https else "http", method, str(status)
    )
    until_head.observe((response.started_at or ended_at) - started_at)
    until_end.observe(ended_at - started_at)
    if _log.enabled("debug"):
        _log.debug(
            "http request",
            err=err,
            method=req.method,
            path=req.path,
            status=status,
            handler=arrival.handler,
            size=response.sent,
            duration_ms=round((ended_at - started_at) * 1000, 2),
            proto="https" if arrival.is_https else "http",
            remote_ip=arrival.remote_ip or arrival.conn.remote_ip,
            cid=arrival.cid,
        )


@lru_cache(maxsize=1000)
def _children(handler: str, proto: str, method: str, code: str) -> tuple[Histogram, Histogram]:
    labels = (handler, proto, method, code)
    return _UNTIL_HEAD.labels(*labels), _UNTIL_END.labels(*labels)
