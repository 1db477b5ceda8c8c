"""Reads both files, checks them, and makes the `Config` that the server works with."""

from __future__ import annotations

import os
import sys
from collections.abc import Mapping
from dataclasses import dataclass, replace
from ipaddress import IPv4Address, IPv6Address, ip_address
from pathlib import Path
from typing import TYPE_CHECKING, TypeVar

from mox import sconf
from mox.config.addresses import build_lookup, with_full_addresses
from mox.config.check_dynamic import check_dynamic, check_references
from mox.config.check_static import check_static
from mox.config.decode import decode
from mox.config.dynamic import Dynamic
from mox.config.errors import ConfigError, ConfigErrors
from mox.config.keyfiles import KeyFileError
from mox.config.listener import Listener
from mox.config.lookup import Lookup
from mox.config.report import Report
from mox.config.signers import load_signers
from mox.config.static import Static
from mox.config.transport import Transport, TransportSMTP
from mox.config.unsupported import find_unsupported
from mox.config.webservice import WebHTTP, WebHTTPS

if TYPE_CHECKING:
    from mox.mailauth.dkimsign import Signer

# Of one state of a file: device, inode, size, time of change. Another one means: read it again.
Signature = tuple[int, int, int, int]

Web = TypeVar("Web", WebHTTP, WebHTTPS)


@dataclass(frozen=True, slots=True)
class Config:
    """One valid state of the configuration. Never changes: ask `ConfigFile.current` again."""

    path: Path  # of mox.conf
    static: Static
    dynamic: Dynamic
    lookup: Lookup
    # One line for each configured feature that the server does not have yet.
    unsupported: list[str]
    warnings: list[ConfigError]
    # Who signs with DKIM for the domains of ours, by A-labels; empty when files are not checked.
    signers: Mapping[str, tuple[Signer, ...]]
    # For reports about mox.conf when only domains.conf is read again.
    static_document: sconf.Document

    @property
    def dir(self) -> Path:
        """Directory of both files; paths in them are relative to it."""
        return self.path.parent

    @property
    def data_dir(self) -> Path:
        """Directory of everything that the server stores."""
        return self.dir / self.static.data_dir

    @property
    def domains_path(self) -> Path:
        """The file with domains and accounts."""
        return domains_path(self.path)


def domains_path(path: Path) -> Path:
    """Return the path of domains.conf, which is always next to mox.conf."""
    return path.parent / "domains.conf"


def load(path: Path, *, check_files: bool = True) -> Config:
    """Read and check mox.conf and its domains.conf. Raises ConfigErrors with all that is wrong.

    With `check_files` also what the configuration names must exist: the user, keys and
    certificates, which may be readable by root only.
    """
    report, dynamic_report = open_report(path), open_report(domains_path(path))
    static = decode(Static, report)
    if not report.document.faults:
        check_static(static, report.scope(), check_files=check_files)
    return _complete(normalize_static(static), report, dynamic_report, check_files=check_files)


def reload(config: Config, data: bytes, *, check_files: bool = True) -> Config:
    """Return the configuration with another content of domains.conf. Raises ConfigErrors."""
    report = Report(config.path, config.static_document)
    dynamic_report = Report(config.domains_path, sconf.parse(data))
    return _complete(config.static, report, dynamic_report, check_files=check_files)


def _complete(
    static: Static, report: Report, dynamic_report: Report, *, check_files: bool
) -> Config:
    """Check domains.conf, then both together."""
    scope = dynamic_report.scope()
    dynamic = normalize_dynamic(decode(Dynamic, dynamic_report), dynamic_report)
    # Where lines could not be read, what is missing because of them is not another error.
    if not report.document.faults and not dynamic_report.document.faults:
        lookup = build_lookup(static, dynamic, scope)
        check_references(static, dynamic, report.scope())
        check_dynamic(dynamic, static, lookup, scope, check_files=check_files)
    if report.errors or dynamic_report.errors:
        raise ConfigErrors(_in_order(report) + _in_order(dynamic_report))
    return Config(
        path=report.path,
        static=static,
        dynamic=dynamic,
        lookup=lookup,
        unsupported=find_unsupported(static, dynamic),
        warnings=report.warnings + dynamic_report.warnings,
        signers=_signers(dynamic, domains_path(report.path)) if check_files else {},
        static_document=report.document,
    )


def _signers(dynamic: Dynamic, path: Path) -> Mapping[str, tuple[Signer, ...]]:
    try:
        return load_signers(dynamic, path.parent)
    except KeyFileError as err:
        # It was fine a moment ago, when it was checked.
        raise ConfigErrors([ConfigError(path, 0, "", str(err))]) from err


def _in_order(report: Report) -> list[ConfigError]:
    return sorted(report.errors, key=lambda error: error.line or sys.maxsize)


def read_file(path: Path) -> tuple[bytes, Signature]:
    """Read a file of the configuration. Raises ConfigErrors."""
    try:
        with path.open("rb") as file:
            signature = signature_of(os.fstat(file.fileno()))
            return file.read(sconf.MAX_OCTETS + 1), signature
    except OSError as err:
        raise ConfigErrors([ConfigError(path, 0, "", err.strerror or str(err))]) from err


def signature_of(status: os.stat_result) -> Signature:
    """Return what differs between two states of a file."""
    return status.st_dev, status.st_ino, status.st_size, status.st_mtime_ns


def open_report(path: Path) -> Report:
    """Read a file into a report about it. Raises ConfigErrors when it cannot be read."""
    data, _ = read_file(path)
    return Report(path, sconf.parse(data))


def read_data_dir(path: Path) -> Path:
    """Return DataDir without checking anything else, for commands that only need the place.

    Raises ConfigErrors when mox.conf cannot be read or does not say it.
    """
    report = open_report(path)
    node = report.document.get(["DataDir"])
    if node is None or not node.value:
        raise ConfigErrors([ConfigError(path, 1, "DataDir", "required field is missing")])
    return path.parent / node.value


def normalize_static(static: Static) -> Static:
    """Fill in defaults that depend on other fields: host names, ports of transports, paths."""
    return replace(
        static,
        listeners={
            name: _normalize_listener(listener, static.hostname)
            for name, listener in static.listeners.items()
        },
        transports={
            name: _normalize_transport(transport) for name, transport in static.transports.items()
        },
    )


def _normalize_listener(listener: Listener, hostname: str) -> Listener:
    return replace(
        listener,
        hostname=listener.hostname or hostname,
        account_http=_with_path(listener.account_http, "/"),
        account_https=_with_path(listener.account_https, "/"),
        admin_http=_with_path(listener.admin_http, "/admin/"),
        admin_https=_with_path(listener.admin_https, "/admin/"),
        webmail_http=_with_path(listener.webmail_http, "/webmail/"),
        webmail_https=_with_path(listener.webmail_https, "/webmail/"),
        webapi_http=_with_path(listener.webapi_http, "/webapi/"),
        webapi_https=_with_path(listener.webapi_https, "/webapi/"),
    )


def _with_path(service: Web, default: str) -> Web:
    path = service.path or default
    return replace(service, path=path if path.endswith("/") else f"{path}/")


def _normalize_transport(transport: Transport) -> Transport:
    return replace(
        transport,
        submissions=_with_port(transport.submissions, 465),
        submission=_with_port(transport.submission, 587),
        smtp=_with_port(transport.smtp, 25),
    )


def _with_port(smarthost: TransportSMTP | None, port: int) -> TransportSMTP | None:
    if smarthost is None or smarthost.port:
        return smarthost
    return replace(smarthost, port=port)


def normalize_dynamic(dynamic: Dynamic, report: Report) -> Dynamic:
    """Give bare localparts of destinations their domain, with a warning."""
    scope = report.scope()
    accounts = {}
    for name, account in dynamic.accounts.items():
        full = with_full_addresses(account, scope.at("Accounts", name))
        same = full is account.destinations
        accounts[name] = account if same else replace(account, destinations=full)
    return replace(dynamic, accounts=accounts)


def outgoing_addresses(static: Static) -> tuple[IPv4Address | None, IPv6Address | None]:
    """Return the addresses to deliver from, where the SMTP listeners have exactly one of a family.

    None means that the operating system chooses.
    """
    found = {
        ip_address(ip)
        for listener in static.listeners.values()
        if listener.smtp.enabled
        for ip in listener.ips
    }
    v4 = [ip for ip in found if isinstance(ip, IPv4Address)]
    v6 = [ip for ip in found if isinstance(ip, IPv6Address)]
    return (
        v4[0] if len(v4) == 1 and not v4[0].is_unspecified else None,
        v6[0] if len(v6) == 1 and not v6[0].is_unspecified else None,
    )
