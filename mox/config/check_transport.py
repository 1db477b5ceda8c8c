"""What must hold for transports and for the routes that use them."""

from __future__ import annotations

from collections.abc import Sequence
from ipaddress import ip_address

from mox.config.names import check_domain, check_reply_text
from mox.config.report import Scope
from mox.config.static import Static
from mox.config.transport import (
    KNOWN_MECHANISMS,
    Route,
    SMTPAuth,
    Transport,
    TransportFail,
    TransportSMTP,
    TransportSocks,
)


def check_transport(transport: Transport, scope: Scope) -> None:
    """Report what is wrong with one transport."""
    smarthosts = {
        "Submissions": transport.submissions,
        "Submission": transport.submission,
        "SMTP": transport.smtp,
    }
    others = {"Socks": transport.socks, "Direct": transport.direct, "Fail": transport.fail}
    methods = [name for name, value in (smarthosts | others).items() if value is not None]
    if len(methods) > 1:
        scope.error(f"only one method is possible, not {' and '.join(methods)}")
    for name, smarthost in smarthosts.items():
        if smarthost is not None:
            _check_smarthost(smarthost, scope.at(name), immediate_tls=name == "Submissions")
    if transport.socks is not None:
        _check_socks(transport.socks, scope.at("Socks"))
    if transport.direct is not None:
        direct = transport.direct
        if direct.disable_ipv4 and direct.disable_ipv6:
            scope.error("IPv4 and IPv6 cannot both be off", "Direct")
    if transport.fail is not None:
        _check_fail(transport.fail, scope.at("Fail"))


def _check_smarthost(smarthost: TransportSMTP, scope: Scope, *, immediate_tls: bool) -> None:
    check_domain(scope, smarthost.host, "Host")
    if not 0 <= smarthost.port < 65536:
        scope.error("must be a port from 1 to 65535", "Port")
    if immediate_tls and smarthost.starttls_insecure_skip_verify:
        scope.error("not possible: there is no STARTTLS", "STARTTLSInsecureSkipVerify")
    if immediate_tls and smarthost.no_starttls:
        scope.error("not possible: there is no STARTTLS", "NoSTARTTLS")
    if smarthost.auth is not None:
        _check_mechanisms(smarthost.auth, scope.at("Auth"))


def _check_mechanisms(auth: SMTPAuth, scope: Scope) -> None:
    seen: set[str] = set()
    for index, mechanism in enumerate(auth.mechanisms):
        if mechanism not in KNOWN_MECHANISMS:
            known = ", ".join(KNOWN_MECHANISMS)
            scope.error(f"unknown mechanism {mechanism!r}: one of {known}", "Mechanisms", index)
        if mechanism in seen:
            scope.error(f"duplicate mechanism {mechanism!r}", "Mechanisms", index)
        seen.add(mechanism)


def _check_socks(socks: TransportSocks, scope: Scope) -> None:
    host, _, port = socks.address.rpartition(":")
    is_port = port.isascii() and port.isdecimal() and len(port) <= 5 and 0 < int(port) < 65536
    if not host or not is_port:
        scope.error("must be host:port", "Address")
    for index, text in enumerate(socks.remote_ips):
        try:
            ip_address(text)
        except ValueError:
            scope.error(f"bad IP address {text!r}", "RemoteIPs", index)
    check_domain(scope, socks.remote_hostname, "RemoteHostname")


def _check_fail(fail: TransportFail, scope: Scope) -> None:
    if not 400 <= fail.smtp_code <= 599:
        scope.error("must be from 400 to 599", "SMTPCode")
    check_reply_text(scope, fail.smtp_message, "SMTPMessage")


def check_routes(routes: Sequence[Route], static: Static, scope: Scope) -> None:
    """Report what is wrong with routes; `scope` is the list of them."""
    for index, route in enumerate(routes):
        at = scope.at(index)
        _check_route_domains(route.from_domain, at.at("FromDomain"))
        _check_route_domains(route.to_domain, at.at("ToDomain"))
        if route.transport not in static.transports:
            at.error(f"unknown transport {route.transport!r}", "Transport")


def _check_route_domains(domains: Sequence[str], scope: Scope) -> None:
    for index, text in enumerate(domains):
        if text != ".":
            check_domain(scope, text.removeprefix("."), index)
