"""What must hold for listeners: addresses, certificates, which service needs TLS, ports."""

from __future__ import annotations

from ipaddress import ip_address, ip_network
from pathlib import Path

from mox.config.keyfiles import KeyFileError, check_key_pair, host_key_kind
from mox.config.listener import Listener, ListenerTLS, ProxyProtocol
from mox.config.names import check_domain
from mox.config.report import Scope
from mox.config.services import check_ports, web_services
from mox.config.static import Static

TLS_VERSIONS = ("TLSv1.0", "TLSv1.1", "TLSv1.2", "TLSv1.3")


def check_listeners(static: Static, scope: Scope, *, check_files: bool) -> None:
    """Report what is wrong with each listener, and between them."""
    for name, listener in static.listeners.items():
        at = scope.at("Listeners", name)
        _check_addresses(listener, at)
        if listener.hostname:
            check_domain(at, listener.hostname, "Hostname")
        if listener.smtp_max_message_size < 0:
            at.error("must not be negative", "SMTPMaxMessageSize")
        if listener.tls is not None:
            _check_tls(listener.tls, static, at.at("TLS"), check_files)
        else:
            _check_without_tls(listener, at)
        if listener.proxy_protocol is not None:
            _check_proxies(listener.proxy_protocol, at.at("ProxyProtocol"))
        for index, zone in enumerate(listener.smtp.dnsbls):
            check_domain(at, zone, "SMTP", "DNSBLs", index)
        if listener.smtp.first_time_sender_delay.total_seconds() < 0:
            at.error("must not be negative", "SMTP", "FirstTimeSenderDelay")
        _check_web(listener, at)
    check_ports(static, scope.at("Listeners"))


def _check_addresses(listener: Listener, scope: Scope) -> None:
    for index, text in enumerate(listener.ips):
        try:
            ip_address(text)
        except ValueError:
            scope.error(f"bad IP address {text!r}", "IPs", index)
    for index, text in enumerate(listener.nat_ips):
        try:
            address = ip_address(text)
        except ValueError:
            scope.error(f"bad IP address {text!r}", "NATIPs", index)
            continue
        if address.is_unspecified or address.is_loopback:
            scope.error(f"{text} is not a public address", "NATIPs", index)
    if listener.ips_nated and listener.nat_ips:
        scope.error("cannot be used together with NATIPs", "IPsNATed")


def _check_proxies(proxy: ProxyProtocol, scope: Scope) -> None:
    for index, text in enumerate(proxy.networks):
        try:
            ip_network(text)
        except ValueError as err:
            scope.error(f"bad network: {err}", "Networks", index)


def _check_tls(tls: ListenerTLS, static: Static, scope: Scope, check_files: bool) -> None:
    if tls.acme and tls.key_certs:
        scope.error("ACME and KeyCerts cannot be used together")
    if not tls.acme and not tls.key_certs:
        scope.error("either ACME or KeyCerts is needed")
    if tls.acme and tls.acme not in static.acme:
        scope.error(f"unknown entry {tls.acme!r}", "ACME")
    if tls.min_version not in TLS_VERSIONS:
        scope.error(f"unknown version: one of {', '.join(TLS_VERSIONS)}", "MinVersion")
    if check_files:
        _check_key_files(tls, scope)


def _check_key_files(tls: ListenerTLS, scope: Scope) -> None:
    directory: Path = scope.report.path.parent
    for index, pair in enumerate(tls.key_certs):
        try:
            check_key_pair(directory / pair.cert_file, directory / pair.key_file)
        except KeyFileError as err:
            scope.error(str(err), "KeyCerts", index)
    kinds: set[str] = set()
    for index, name in enumerate(tls.host_private_key_files):
        try:
            kind = host_key_kind(directory / name)
        except KeyFileError as err:
            scope.error(str(err), "HostPrivateKeyFiles", index)
            continue
        if not kind:
            scope.warning("neither RSA-2048 nor P-256: not used", "HostPrivateKeyFiles", index)
        kinds.add(kind)
    if tls.acme and tls.host_private_key_files and not {"rsa2048", "ecdsap256"} <= kinds:
        scope.warning("should have an RSA-2048 and a P-256 key", "HostPrivateKeyFiles")


def _check_without_tls(listener: Listener, scope: Scope) -> None:
    """Report the services that cannot do without a certificate."""
    auto, mtasts = listener.autoconfig_https, listener.mtasts_https
    needs = {
        "SMTP": listener.smtp.enabled and not listener.smtp.no_starttls,
        "Submission": listener.submission.enabled and not listener.submission.no_require_starttls,
        "Submissions": listener.submissions.enabled,
        "IMAPS": listener.imaps.enabled,
        "AccountHTTPS": listener.account_https.enabled,
        "AdminHTTPS": listener.admin_https.enabled,
        "WebmailHTTPS": listener.webmail_https.enabled,
        "WebAPIHTTPS": listener.webapi_https.enabled,
        "AutoconfigHTTPS": auto.enabled and not auto.non_tls,
        "MTASTSHTTPS": mtasts.enabled and not mtasts.non_tls,
        "WebserverHTTPS": listener.webserver_https.enabled,
    }
    ways = {
        "SMTP": ", or set NoSTARTTLS",
        "Submission": ", or set NoRequireSTARTTLS",
        "AutoconfigHTTPS": ", or set NonTLS",
        "MTASTSHTTPS": ", or set NonTLS",
    }
    for service, is_needed in needs.items():
        if is_needed:
            scope.error(f"needs the listener's TLS block{ways.get(service, '')}", service)
    if listener.imap.enabled and not listener.imap.no_require_starttls:
        scope.warning("nobody can log in: no TLS, and NoRequireSTARTTLS is not set", "IMAP")


def _check_web(listener: Listener, scope: Scope) -> None:
    for name, service in web_services(listener).items():
        if not service.path:
            continue
        if not service.path.startswith("/"):
            scope.error("must begin with a slash", name, "Path")
        elif not service.path.endswith("/"):
            scope.warning("should end with a slash, which is added", name, "Path")
