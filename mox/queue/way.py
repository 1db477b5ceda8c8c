"""The servers of a next hop: names, addresses, and how to talk to them."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass, replace
from ipaddress import IPv4Address, IPv6Address, ip_address
from typing import Final, assert_never

from mox.address import parse_domain
from mox.config.transport import SMTPAuth, TransportSocks
from mox.dns import Accepts, MailHosts, mail_hosts
from mox.dns.answer import ExtendedError
from mox.dns.mail import host_addresses
from mox.errors import MoxError
from mox.queue.nexthop import Direct, OurOwnPort, Smarthost
from mox.queue.services import Services
from mox.queue.verdict import Verdict
from mox.serving.socks import Proxy
from mox.tlspolicy.policy import OPPORTUNISTIC, TLSPolicy
from mox.tlspolicy.report import Problem, ResultType
from mox.tlspolicy.tlsa import Destination, MailHost, mail_host

IP = IPv4Address | IPv6Address

# Where localserve listens when its listener cannot be found.
_FALLBACK_IP: Final = "127.0.0.1"
_FALLBACK_PORT: Final = 1025
_LOCALSERVE_LISTENER: Final = "local"
_ANY_ADDRESS: Final = {"0.0.0.0": "127.0.0.1", "::": "::1"}


class Unroutable(MoxError):
    """There is no way to a destination, for now or for good.

    `problem`: what TLS reports say about it, where it is about DNSSEC.
    """

    def __init__(self, verdict: Verdict, problem: Problem | None = None) -> None:
        super().__init__(verdict.error)
        self.verdict = verdict
        self.problem = problem


@dataclass(frozen=True, slots=True)
class Hosts:
    """Names, best first. `destination`: the domain whose hosts they are, if it is one."""

    names: Sequence[str]
    destination: Destination | None = None


@dataclass(frozen=True, slots=True)
class Host:
    """A host's addresses, and what DNS says of its name."""

    addresses: Sequence[IP]
    names: MailHost


@dataclass(frozen=True, slots=True, kw_only=True)
class Way:
    """`find_hosts` gives the hosts, `find_host` more about one. Both raise Unroutable.

    `tls`: how to talk to all of them; None: by what each host and the domain demand.
    `by_history`: what was dialed for a message before decides which address is next.
    `takes_requiretls`: TLS is as RFC 8689 wants it, or that shows with the host.
    `find_proxy`: what connections go through, looked up when needed; raises Unroutable.
    """

    find_hosts: Callable[[], Hosts]
    find_host: Callable[[str], Host]
    port: int
    hostname: str
    tls: TLSPolicy | None
    takes_requiretls: bool
    by_history: bool
    require_8bitmime: bool
    auth: SMTPAuth | None = None
    transport: str = ""
    find_proxy: Callable[[], Proxy] | None = None


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
    is_literal = hop.domain.startswith("[")
    socks = hop.socks
    hostname = services.hostname if socks is None else parse_domain(socks.remote_hostname)
    return Way(
        find_hosts=lambda: _mail_hosts(services, hop.domain),
        find_host=lambda host: _allowed(hop, _host(services, host)),
        port=services.smtp_port,
        hostname=hostname.ascii,
        # Nothing vouches for an address: neither DANE nor MTA-STS are about one.
        tls=OPPORTUNISTIC if is_literal else None,
        takes_requiretls=not is_literal,
        by_history=True,
        require_8bitmime=services.config.static.pedantic,
        transport=hop.transport,
        find_proxy=None if socks is None else lambda: _proxy(services, socks),
    )


def _smarthost(services: Services, hop: Smarthost) -> Way:
    server = hop.server
    return Way(
        find_hosts=lambda: Hosts([server.host]),
        find_host=lambda host: _host(services, host),
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
        find_hosts=lambda: Hosts(["localhost"]),
        find_host=lambda host: Host([address], _unknown(host)),
        port=port,
        hostname="localhost",
        tls=OPPORTUNISTIC,
        takes_requiretls=True,
        by_history=False,
        require_8bitmime=True,
    )


def _mail_hosts(services: Services, domain: str) -> Hosts:
    if domain.startswith("["):
        return Hosts([domain])
    found = mail_hosts(services.resolver, parse_domain(domain), services.chance)
    if found.accepts is not Accepts.YES:
        raise Unroutable(_no_hosts(domain, found), _dnssec_problem(found.extended_error))
    expanded = found.expanded or domain
    return Hosts(found.hosts, Destination(domain, expanded, found.has_mx, found.authentic))


def _no_hosts(domain: str, found: MailHosts) -> Verdict:
    error = f"{domain}: {found.error or found.accepts.value}"
    if found.accepts is Accepts.TEMPORARY:
        return Verdict(secode="4.3", error=error)
    # RFC 7505 §4.1: mail is returned at once. §4.2 has the enhanced code.
    secode = "1.10" if found.accepts is Accepts.NULL_MX else "1.2"
    return Verdict(permanent=True, secode=secode, error=error)


def _host(services: Services, host: str) -> Host:
    try:
        return Host([ip_address(host.strip("[]"))], _unknown(host))
    except ValueError:
        known = services.hosts_file.addresses(host)
    if known:
        return Host(known, _unknown(host))
    found = host_addresses(services.resolver, host)
    if not found.addresses:
        # RFC 5321 §5.1 leaves it open; a record may be missing for a moment only.
        error = f"{host} has no address: {found.error or found.status.value}"
        problem = _dnssec_problem(found.extended_error)
        raise Unroutable(Verdict(secode="4.3", error=error), problem)
    return Host(found.addresses, mail_host(services.resolver, host, found))


def _proxy(services: Services, socks: TransportSocks) -> Proxy:
    host, _, port = socks.address.rpartition(":")
    own = tuple(ip_address(text) for text in socks.remote_ips)
    return Proxy(_host(services, host).addresses[0], int(port), own)


def _dnssec_problem(extended: ExtendedError | None) -> Problem | None:
    if extended is None or not extended.is_dnssec_failure:
        return None
    return Problem(ResultType.VALIDATION_FAILURE, extended.reason)


def _unknown(host: str) -> MailHost:
    return MailHost(host, host, authentic=False)


def _allowed(hop: Direct, host: Host) -> Host:
    allowed = [ip for ip in host.addresses if (hop.ipv4 if ip.version == 4 else hop.ipv6)]
    if not allowed:
        family = "IPv6" if hop.ipv6 else "IPv4"
        name = host.names.name
        error = f"{name} has no address of {family}, as transport {hop.transport} demands"
        raise Unroutable(Verdict(secode="4.1", error=error))
    return replace(host, addresses=allowed)
