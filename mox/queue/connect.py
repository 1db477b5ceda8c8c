"""Connecting to one host of a way: its addresses in turn, then TLS and all before MAIL."""

from __future__ import annotations

from collections.abc import Sequence
from ipaddress import IPv4Address, IPv6Address
from typing import Final

from mox.queue import metrics
from mox.queue.policy import PLAINTEXT, TLSMode, TLSPolicy
from mox.queue.services import Services
from mox.queue.session import Session, SessionFailed, Setup
from mox.queue.verdict import Verdict
from mox.queue.way import Way
from mox.serving.dial import dial
from mox.serving.errors import ConnectionLost, ConnectionTimeout
from mox.serving.stream import Stream
from mox.tlsio.client import ClientContext
from mox.tlsio.errors import TLSConfigError

IP = IPv4Address | IPv6Address

# For all addresses of a host together.
DIAL_TIMEOUT_S: Final = 30.0


def connect(
    services: Services, way: Way, host: str, addresses: Sequence[IP], *, may_fall_back: bool
) -> Session:
    """Begin a session with a host; `addresses` are in the order to be tried.

    `may_fall_back`: where TLS is opportunistic and does not work, another connection does
    without it. Raises SessionFailed; its verdict names the host.
    """
    try:
        return _connect(services, way, host, addresses, way.tls)
    except SessionFailed as e:
        if not (e.tls and may_fall_back and way.tls.mode is TLSMode.OPPORTUNISTIC):
            raise
    # RFC 7435 §3: in clear is better than not at all, where nobody asked for more.
    metrics.PLAINTEXT_FALLBACKS.inc()
    return _connect(services, way, host, addresses, PLAINTEXT)


def _connect(
    services: Services, way: Way, host: str, addresses: Sequence[IP], tls: TLSPolicy
) -> Session:
    setup = Setup(
        hostname=way.hostname,
        host=host.strip("[]"),
        tls=tls,
        context=_context(services, tls),
        auth=way.auth,
        require_8bitmime=way.require_8bitmime,
    )
    stream = _dial(services, host, addresses, way.port)
    try:
        return Session.begin(stream, setup)
    except SessionFailed as e:
        verdict = e.verdict.at(setup.host, stream.remote_ip, tls.mode.value)
        raise SessionFailed(verdict, tls=e.tls) from e


def _context(services: Services, tls: TLSPolicy) -> ClientContext | None:
    if tls.mode is TLSMode.NONE:
        return None
    try:
        return services.tls_context(verify=tls.verify)
    except TLSConfigError as e:
        raise SessionFailed(Verdict(error=str(e))) from e


def _dial(services: Services, host: str, addresses: Sequence[IP], port: int) -> Stream:
    timeout_s = DIAL_TIMEOUT_S / len(addresses)
    failures: list[str] = []
    timed_out = False
    for ip in addresses:
        try:
            stream = dial(ip, port, timeout_s=timeout_s, source=services.source_for(ip))
        except (ConnectionLost, ConnectionTimeout) as e:
            timed_out = isinstance(e, ConnectionTimeout)
            metrics.CONNECTIONS.labels("timeout" if timed_out else "error").inc()
            failures.append(f"{ip} port {port}: {e}")
        else:
            metrics.CONNECTIONS.labels("ok").inc()
            return stream
    error = f"connecting to {host}: {'; '.join(failures)}"
    raise SessionFailed(Verdict(secode="4.1", error=error, timed_out=timed_out))
