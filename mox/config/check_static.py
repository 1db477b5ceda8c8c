"""What must hold in mox.conf beyond types: names, levels, files, mailboxes."""

from __future__ import annotations

import pwd
import re
import unicodedata
from pathlib import Path

from mox.address import Domain
from mox.config.authority import ACME, CA
from mox.config.check_listener import check_listeners
from mox.config.check_transport import check_transport
from mox.config.keyfiles import KeyFileError, check_authorities, check_mac_key
from mox.config.names import check_address, check_domain, check_localpart, check_mailbox
from mox.config.report import Scope
from mox.config.static import InitialMailboxes, Static

LOG_LEVELS = ("error", "warn", "info", "debug", "trace", "traceauth", "tracedata", "fatal", "print")


def check_static(static: Static, scope: Scope, *, check_files: bool) -> None:
    """Report what is wrong. With `check_files` also users and files are looked at."""
    if not static.data_dir:
        scope.error("must not be empty", "DataDir")
    _check_levels(static, scope)
    if check_files:
        _check_user(static.user, scope)
    hostname = check_domain(scope, static.hostname, "Hostname")
    if hostname is not None:
        _check_canonical(scope, static.hostname, hostname, "Hostname")
    directory = scope.report.path.parent
    if static.tls.ca is not None:
        _check_ca(static.tls.ca, scope.at("TLS", "CA"), directory, check_files)
    for name, acme in static.acme.items():
        _check_acme(acme, scope.at("ACME", name), directory, check_files)
    check_listeners(static, scope, check_files=check_files)
    if static.host_tlsrpt.is_set or static.host_tlsrpt.account:
        at = scope.at("HostTLSRPT")
        check_localpart(at, static.host_tlsrpt.localpart, "Localpart", ascii_only=True)
    _check_mailboxes(static, scope)
    if static.failure_copies_to:
        check_address(scope, static.failure_copies_to, "FailureCopiesTo")
    for name, transport in static.transports.items():
        check_transport(transport, scope.at("Transports", name))


def _check_canonical(scope: Scope, text: str, domain: Domain, *field: str) -> None:
    if text != domain.unicode:
        scope.error(f"must be written as {domain.unicode}", *field)


def _check_levels(static: Static, scope: Scope) -> None:
    levels: dict[tuple[str, ...], str] = {("LogLevel",): static.log_level}
    for package, level in static.package_log_levels.items():
        levels["PackageLogLevels", package] = level
    for field, level in levels.items():
        if level not in LOG_LEVELS:
            scope.error(f"unknown log level {level!r}: one of {', '.join(LOG_LEVELS)}", *field)


def _check_user(user: str, scope: Scope) -> None:
    try:
        pwd.getpwnam(user)
    except (KeyError, ValueError):
        if not re.fullmatch(r"[0-9]{1,10}", user, re.ASCII) or int(user) > 2**32 - 2:
            message = f"no such user {user!r}, and not a number: create the user or name another"
            scope.error(message, "User")


def _check_ca(ca: CA, scope: Scope, directory: Path, check_files: bool) -> None:
    for index, name in enumerate(ca.cert_files):
        if check_files:
            try:
                check_authorities(directory / name)
            except KeyFileError as err:
                scope.error(str(err), "CertFiles", index)


def _check_acme(acme: ACME, scope: Scope, directory: Path, check_files: bool) -> None:
    if not acme.directory_url.startswith("https://"):
        scope.error("must be an address with https", "DirectoryURL")
    if not acme.contact_email:
        scope.error("must not be empty", "ContactEmail")
    if not 0 < acme.port < 65536:
        scope.error("must be a port from 1 to 65535", "Port")
    binding = acme.external_account_binding
    if binding is not None and check_files:
        try:
            check_mac_key(directory / binding.key_file)
        except KeyFileError as err:
            scope.error(str(err), "ExternalAccountBinding", "KeyFile")


def _check_mailboxes(static: Static, scope: Scope) -> None:
    has_initial = static.initial_mailboxes != InitialMailboxes()
    if static.default_mailboxes and has_initial:
        scope.error("cannot be used together with InitialMailboxes", "DefaultMailboxes")
    names: dict[tuple[str | int, ...], str] = {
        ("DefaultMailboxes", index): name for index, name in enumerate(static.default_mailboxes)
    }
    use = static.initial_mailboxes.special_use
    for role in ("Sent", "Archive", "Trash", "Draft", "Junk"):
        if name := getattr(use, role.lower()):
            names["InitialMailboxes", "SpecialUse", role] = name
    for index, name in enumerate(static.initial_mailboxes.regular):
        names["InitialMailboxes", "Regular", index] = name
    seen: set[str] = set()
    for field, name in names.items():
        at = scope.at(*field[:-1])
        check_mailbox(at, name, field[-1], not_inbox=field[0] == "InitialMailboxes")
        if "/" in name and field[0] == "InitialMailboxes":
            at.error("must be at the top level: no slash", field[-1])
        if unicodedata.normalize("NFC", name) in seen:
            at.error(f"duplicate mailbox {name!r}", field[-1])
        seen.add(unicodedata.normalize("NFC", name))
