"""Where messages of a flow go: transports and routes of the configuration.

Order: the transport named for the message, else the first route that matches of the account, the
sender's domain, the whole server, else the recipient's domain itself.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from ipaddress import ip_address
from typing import TYPE_CHECKING, Final

from mox.address import parse_domain
from mox.config.transport import (
    Route,
    Transport,
    TransportFail,
    TransportSMTP,
    TransportSocks,
)
from mox.store.outgoing_records import Flow
from mox.tlspolicy.policy import PLAINTEXT, TLSMode, TLSPolicy

if TYPE_CHECKING:
    from mox.config import Config


@dataclass(frozen=True, slots=True)
class Direct:
    """The mail hosts of a domain (A-labels), or an address literal in brackets.

    `socks`: connections go through this proxy.
    """

    domain: str
    transport: str = ""
    ipv4: bool = True
    ipv6: bool = True
    socks: TransportSocks | None = None


@dataclass(frozen=True, slots=True)
class Smarthost:
    """One server that takes everything. `tls` is what the transport asks for."""

    transport: str
    server: TransportSMTP
    tls: TLSPolicy


@dataclass(frozen=True, slots=True)
class OurOwnPort:
    """Our own SMTP port, for everything: localserve."""


@dataclass(frozen=True, slots=True)
class Refusal:
    """Nowhere: each attempt fails with this."""

    error: str
    permanent: bool = False
    code: int = 0
    secode: str = ""
    transport: str = ""


NextHop = Direct | Smarthost | OurOwnPort | Refusal

SENDER_DISABLED: Final = Refusal("sender domain is disabled")
_FAIL_TEXT: Final = "delivery is disabled by the transport"


def next_hop(config: Config, flow: Flow, *, localserve: bool) -> NextHop:
    """Return the way of a flow's messages."""
    sender = flow.sender_domain
    if _is_name(sender) and config.lookup.is_disabled(parse_domain(sender)):
        return SENDER_DISABLED
    name = flow.transport or _routed(config, flow)
    transport = config.static.transports.get(name) if name else None
    if name and transport is None:
        return Refusal(f"cannot find transport {name!r}", transport=name)
    # Before localserve's shortcut, so that failing transports can be tried out there.
    if transport is not None and transport.fail is not None:
        return _failing(name, transport.fail)
    if localserve:
        return OurOwnPort()
    if transport is None:
        return Direct(flow.recipient_domain)
    return _by_transport(name, transport, flow)


def _by_transport(name: str, transport: Transport, flow: Flow) -> NextHop:
    if transport.submissions is not None:
        tls = TLSPolicy(TLSMode.IMMEDIATE, verify=True)
        return Smarthost(name, transport.submissions, tls)
    server = transport.submission or transport.smtp
    if server is not None:
        return Smarthost(name, server, _starttls_policy(server))
    if transport.socks is not None:
        # SPF records name the proxy's addresses: it must not be asked for the other family.
        versions = {ip_address(text).version for text in transport.socks.remote_ips}
        domain = flow.recipient_domain
        return Direct(domain, name, 4 in versions, 6 in versions, transport.socks)
    if transport.direct is not None:
        direct = transport.direct
        return Direct(flow.recipient_domain, name, not direct.disable_ipv4, not direct.disable_ipv6)
    return Direct(flow.recipient_domain, name)


def _starttls_policy(server: TransportSMTP) -> TLSPolicy:
    if server.no_starttls:
        return PLAINTEXT
    return TLSPolicy(TLSMode.REQUIRED, verify=not server.starttls_insecure_skip_verify)


def _failing(name: str, fail: TransportFail) -> Refusal:
    code = fail.smtp_code or 554
    text = f"{code} {code // 100}.7.0 {fail.smtp_message or _FAIL_TEXT}"
    return Refusal(text, code >= 500, code, "7.0", name)


def _routed(config: Config, flow: Flow) -> str:
    """Return the name of the transport that the routes choose, "" for none."""
    for routes in _levels(config, flow):
        for route in routes:
            if matches(route, flow):
                return route.transport
    return ""


def _levels(config: Config, flow: Flow) -> Iterator[Sequence[Route]]:
    account = config.dynamic.accounts.get(flow.sender_account)
    if account is not None:
        yield account.routes
    if _is_name(flow.sender_domain):
        local = config.lookup.domain(parse_domain(flow.sender_domain))
        if local is not None:
            yield local.config.routes
    yield config.dynamic.routes


def matches(route: Route, flow: Flow) -> bool:
    """Say whether a route is for the messages of a flow."""
    return (
        flow.attempts >= route.minimum_attempts
        and _covers(route.from_domain, flow.sender_domain)
        and _covers(route.to_domain, flow.recipient_domain)
    )


def _covers(patterns: Sequence[str], domain: str) -> bool:
    if not patterns:
        return True
    name = domain if _is_name(domain) else ""
    return any(_covers_one(pattern, name) for pattern in patterns)


def _covers_one(pattern: str, name: str) -> bool:
    if pattern == ".":
        return name == ""
    ascii_name = parse_domain(pattern.removeprefix(".")).ascii
    # With a dot in front, subdomains are meant as well.
    return name == ascii_name or (pattern.startswith(".") and name.endswith(f".{ascii_name}"))


def _is_name(domain: str) -> bool:
    return domain != "" and not domain.startswith("[")
