"""What must hold for a domain: separators, DKIM, MTA-STS, report mailboxes, routes."""

from __future__ import annotations

import re
from pathlib import Path

from mox.config.check_transport import check_routes
from mox.config.domain import MTASTS, Domain, Selector
from mox.config.keyfiles import KeyFileError, load_dkim_key
from mox.config.names import check_domain, check_mailbox
from mox.config.report import Scope
from mox.config.scalars import parse_duration
from mox.config.static import Static

_FIELD_NAME = re.compile(r"[!-9<-~]+")
_ODD_SIGNED_HEADERS = frozenset({"dkim-signature", "received", "return-path"})
_MODES = ("enforce", "testing", "none")


def check_mail_domain(domain: Domain, static: Static, scope: Scope, *, check_files: bool) -> None:
    """Report what is wrong with one domain; addresses are checked with the lookup tables."""
    if domain.client_settings_domain:
        check_domain(scope, domain.client_settings_domain, "ClientSettingsDomain")
    _check_separators(domain, scope)
    for name, selector in domain.dkim.selectors.items():
        _check_selector(name, selector, scope.at("DKIM", "Selectors", name), check_files)
    for index, name in enumerate(domain.dkim.sign):
        if name not in domain.dkim.selectors:
            scope.error(f"unknown selector {name!r}", "DKIM", "Sign", index)
    for field, report in (("DMARC", domain.dmarc), ("TLSRPT", domain.tlsrpt)):
        if report is not None:
            check_mailbox(scope.at(field), report.mailbox, "Mailbox")
    if domain.mtasts is not None:
        _check_mtasts(domain.mtasts, static, scope.at("MTASTS"))
    check_routes(domain.routes, static, scope.at("Routes"))


def _check_separators(domain: Domain, scope: Scope) -> None:
    several = domain.localpart_catchall_separators
    if several and domain.localpart_catchall_separator:
        scope.error(
            "cannot be used together with LocalpartCatchallSeparator", "LocalpartCatchallSeparators"
        )
    for index, separator in enumerate(several):
        if not separator:
            scope.error("separator is empty", "LocalpartCatchallSeparators", index)
        if separator in several[:index]:
            scope.error(f"duplicate separator {separator!r}", "LocalpartCatchallSeparators", index)


def _check_selector(name: str, selector: Selector, scope: Scope, check_files: bool) -> None:
    domain = check_domain(scope, name)
    if domain is not None and name not in (domain.ascii, domain.unicode):
        scope.error(f"must be written as {domain.ascii}")
    if selector.expiration:
        _check_expiration(selector.expiration, scope)
    if selector.hash == "sha1":
        scope.warning("sha1 is not safe, and receivers ignore it", "Hash")
    elif selector.hash != "sha256":
        scope.error(f"unknown hash {selector.hash!r}: sha256 or sha1", "Hash")
    _check_signed_headers(selector, scope)
    if check_files:
        path: Path = scope.report.path.parent / selector.private_key_file
        try:
            load_dkim_key(path, selector.hash)
        except KeyFileError as err:
            scope.error(str(err), "PrivateKeyFile")


def _check_expiration(text: str, scope: Scope) -> None:
    try:
        if parse_duration(text).total_seconds() < 0:
            scope.error("must not be negative", "Expiration")
    except ValueError as err:
        scope.error(str(err), "Expiration")


def _check_signed_headers(selector: Selector, scope: Scope) -> None:
    # RFC 6376 §5.4: From must be signed.
    if selector.headers and "from" not in (name.lower() for name in selector.headers):
        scope.error("must contain From", "Headers")
    for index, name in enumerate(selector.headers):
        # RFC 6376 §3.5: a name in h= is that of a field, and ";" would end the tag.
        if not _FIELD_NAME.fullmatch(name):
            scope.error(f"{name!r} is no name of a header", "Headers", index)
        if name.lower() in _ODD_SIGNED_HEADERS:
            scope.warning(f"{name} should not be signed", "Headers", index)


def _check_mtasts(mtasts: MTASTS, static: Static, scope: Scope) -> None:
    if not any(listener.mtasts_https.enabled for listener in static.listeners.values()):
        scope.error("no listener has MTASTSHTTPS, which serves the policy")
    if not mtasts.policy_id:
        scope.error("must not be empty", "PolicyID")
    if mtasts.mode not in _MODES:
        scope.error(f"unknown mode {mtasts.mode!r}: one of {', '.join(_MODES)}", "Mode")
    if mtasts.max_age.total_seconds() < 0:
        scope.error("must not be negative", "MaxAge")
