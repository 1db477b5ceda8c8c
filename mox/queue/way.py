"""The servers of a next hop: names, addresses, and how to talk to them."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from ipaddress import IPv4Address, IPv6Address, ip_address
from typing import Final, assert_never

from mox.address import parse_domain
from mox.config.transport import SMTPAuth
from mox.dns import Accepts, MailHosts, mail_hosts
from mox.dns.mail import host_addresses
from mox.errors import MoxError
from mox.queue.nexthop import Direct, OurOwnPort, Smarthost
from mox.queue.policy import OPPORTUNISTIC, TLSPolicy
from mox.queue.services import Services
from mox.queue.verdict import Verdict

IP = IPv4Address | IPv6Address

# Where localserve listens when its listener cannot be found.
_FALLBACK_IP: Final = "127.0.0.1"
_FALLBACK_PORT: Final = 1025
_LOCALSERVE_LISTENER: Final = "local"
_ANY_ADDRESS: Final = {"0.0.0.0": "127.0.0.1", "::": "::1"}


class Unroutable(MoxError):
    """DNS has no way to a destination, for now or for good."""

    def __init__(self, verdict: Verdict) -> None:
        super().__init__(verdict.error)
        self.verdict = verdict


@dataclass(frozen=True, slots=True, kw_only=True)
class Way:
    """`find_hosts` gives names, best first; `find_addresses` those of one. Both raise Unroutable.

    `by_history`: what was dialed for a message before decides which address is next.
    `takes_requiretls`: TLS is as RFC 8689 wants it.
    """

    find_hosts: Callable[[], Sequence[str]]
    find_addresses: Callable[[str], Sequence[IP]]
    port: int
    hostname: str
    tls: TLSPolicy
    takes_requiretls: bool
    by_history: bool
    require_8bitmime: bool
    auth: SMTPAuth | None = None
    transport: str = ""


def way_of(services: Services, hop: Direct | Smarthost | OurOwnPort) -> Way:
    """Return the way to a next hop; nothing is looked up yet."""
    match hop:
        case Direct():
            return _direct(services, hop)
        case Smarthost():
            return _smarthost(services, hop)
        case OurOwnPort():
            return _own_port(services)
    assert_never(hop)


def _direct(services: Services, hop: Direct) -> Way:
    # What is known of the certificates of other servers is DANE and MTA-STS: without these
    # policies TLS is opportunistic.
    return Way(
        find_hosts=lambda: _mail_hosts(services, hop.domain),
        find_addresses=lambda host: _allowed(hop, host, _addresses(services, host)),
        port=services.smtp_port,
        hostname=services.hostname.ascii,
        tls=OPPORTUNISTIC,
        takes_requiretls=OPPORTUNISTIC.authenticates,
        by_history=True,
        require_8bitmime=services.config.static.pedantic,
        transport=hop.transport,
    )


def _smarthost(services: Services, hop: Smarthost) -> Way:
    server = hop.server
    return Way(
        find_hosts=lambda: [server.host],
        find_addresses=lambda host: _addresses(services, host),
        port=server.port,
        hostname=services.hostname.ascii,
        tls=hop.tls,
        takes_requiretls=hop.tls.authenticates,
        by_history=False,
        require_8bitmime=True,
        auth=server.auth,
        transport=hop.transport,
    )


def _own_port(services: Services) -> Way:
    listener = services.config.static.listeners.get(_LOCALSERVE_LISTENER)
    ip, port = _FALLBACK_IP, _FALLBACK_PORT
    if listener is not None and listener.ips:
        ip, port = listener.ips[0], listener.smtp.port
    address = ip_address(_ANY_ADDRESS.get(ip, ip))
    return Way(
        find_hosts=lambda: ["localhost"],
        find_addresses=lambda host: [address],
        port=port,
        hostname="localhost",
        tls=OPPORTUNISTIC,
        takes_requiretls=True,
        by_history=False,
        require_8bitmime=True,
    )


def _mail_hosts(services: Services, domain: str) -> Sequence[str]:
    if domain.startswith("["):
        return [domain]
    found = mail_hosts(services.resolver, parse_domain(domain), services.chance)
    if found.accepts is not Accepts.YES:
        raise Unroutable(_no_hosts(domain, found))
    return found.hosts


def _no_hosts(domain: str, found: MailHosts) -> Verdict:
    error = f"{domain}: {found.error or found.accepts.value}"
    if found.accepts is Accepts.TEMPORARY:
        return Verdict(secode="4.3", error=error)
    # RFC 7505 §4.1: mail is returned at once. §4.2 has the enhanced code.
    secode = "1.10" if found.accepts is Accepts.NULL_MX else "1.2"
    return Verdict(permanent=True, secode=secode, error=error)


def _addresses(services: Services, host: str) -> Sequence[IP]:
    try:
        return [ip_address(host.strip("[]"))]
    except ValueError:
        known = services.hosts_file.addresses(host)
    if known:
        return known
    found = host_addresses(services.resolver, host)
    if not found.addresses:
        # RFC 5321 §5.1 leaves it open; a record may be missing for a moment only.
        error = f"{host} has no address: {found.error or found.status.value}"
        raise Unroutable(Verdict(secode="4.3", error=error))
    return found.addresses


def _allowed(hop: Direct, host: str, addresses: Sequence[IP]) -> Sequence[IP]:
    allowed = [ip for ip in addresses if (hop.ipv4 if ip.version == 4 else hop.ipv6)]
    if not allowed:
        family = "IPv6" if hop.ipv6 else "IPv4"
        error = f"{host} has no address of {family}, as transport {hop.transport} demands"
        raise Unroutable(Verdict(secode="4.1", error=error))
    return allowed
