"""Connecting to one host of a way: its addresses in turn, then TLS and all before MAIL."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import replace
from ipaddress import IPv4Address, IPv6Address
from typing import Final

from mox.queue import metrics
from mox.queue.services import Services
from mox.queue.session import Session, SessionFailed, Setup
from mox.queue.verdict import Verdict
from mox.queue.way import Unroutable, Way
from mox.serving.dial import dial
from mox.serving.errors import ConnectionLost, ConnectionTimeout
from mox.serving.socks import Proxy, dial_through
from mox.serving.stream import Stream
from mox.tlsio.client import ClientContext
from mox.tlsio.errors import TLSConfigError
from mox.tlspolicy.decision import Ignored
from mox.tlspolicy.policy import PLAINTEXT, TLSMode, TLSPolicy

IP = IPv4Address | IPv6Address

# For all addresses of a host together.
DIAL_TIMEOUT_S: Final = 30.0


def connect(
    services: Services,
    way: Way,
    host: str,
    addresses: Sequence[IP],
    tls: TLSPolicy,
    *,
    may_fall_back: bool,
    note: Callable[[Session], None],
) -> Session:
    """Begin a session with a host; `addresses` are in the order to be tried.

    `may_fall_back`: where the policy allows it and TLS does not work, another connection does
    without it. `note` gets the session that the policy was tried with, as soon as it began or
    failed. Raises SessionFailed; its verdict names the host.
    """
    try:
        return _connect(services, way, host, addresses, tls, note)
    except SessionFailed as e:
        if not (e.tls and may_fall_back and tls.may_fall_back):
            raise
    # RFC 7435 §3: in clear is better than not at all, where nobody asked for more.
    metrics.PLAINTEXT_FALLBACKS.inc()
    if tls.mode is TLSMode.REQUIRED:
        metrics.TLSREQUIRED_NO_IGNORED.labels(Ignored.TLS.value).inc()
    without = replace(PLAINTEXT, lenient=tls.lenient)
    return _connect(services, way, host, addresses, without, lambda session: None)


def _connect(
    services: Services,
    way: Way,
    host: str,
    addresses: Sequence[IP],
    tls: TLSPolicy,
    note: Callable[[Session], None],
) -> Session:
    setup = Setup(
        hostname=way.hostname,
        host=host.strip("[]"),
        tls=tls,
        now=services.clock(),
        context=None if tls.mode is TLSMode.NONE else _context(services),
        auth=way.auth,
        require_8bitmime=way.require_8bitmime,
    )
    stream = _dial(services, way, host, addresses)
    session = Session(stream, setup)
    try:
        session.open()
    except SessionFailed as e:
        verdict = e.verdict.at(setup.host, stream.remote_ip, tls.mode.value)
        raise SessionFailed(verdict, tls=e.tls) from e
    finally:
        note(session)
    return session


def _context(services: Services) -> ClientContext:
    try:
        return services.tls_context()
    except TLSConfigError as e:
        raise SessionFailed(Verdict(error=str(e))) from e


def _proxy(way: Way) -> Proxy | None:
    try:
        return None if way.find_proxy is None else way.find_proxy()
    except Unroutable as e:
        error = f"SOCKS proxy of transport {way.transport}: {e.verdict.error}"
        raise SessionFailed(Verdict(secode="4.3", error=error)) from e


def _dial(services: Services, way: Way, host: str, addresses: Sequence[IP]) -> Stream:
    proxy = _proxy(way)
    port = way.port
    timeout_s = DIAL_TIMEOUT_S / len(addresses)
    failures: list[str] = []
    timed_out = False
    for ip in addresses:
        try:
            if proxy is not None:
                stream = dial_through(proxy, ip, port, timeout_s=timeout_s)
            else:
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
