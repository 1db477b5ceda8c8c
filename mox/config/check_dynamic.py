"""What must hold in domains.conf, and between it and mox.conf."""

from __future__ import annotations

from mox.address import Address, AddressError, parse_address
from mox.config.account import Account
from mox.config.check_account import check_account
from mox.config.check_domain import check_mail_domain
from mox.config.check_transport import check_routes
from mox.config.check_web import check_web
from mox.config.dynamic import Dynamic
from mox.config.lookup import Lookup, ToAccount
from mox.config.names import check_domain, check_mailbox
from mox.config.report import Scope
from mox.config.static import Static


def check_references(static: Static, dynamic: Dynamic, scope: Scope) -> None:
    """Report accounts that mox.conf names and domains.conf does not have; scope is mox.conf's."""
    destinations = [("Postmaster", static.postmaster.account, static.postmaster.mailbox)]
    host = static.host_tlsrpt
    if host.is_set or host.account:
        destinations.append(("HostTLSRPT", host.account, host.mailbox))
    for field, account, mailbox in destinations:
        if account not in dynamic.accounts:
            scope.error(f"unknown account {account!r}", field, "Account")
        check_mailbox(scope.at(field), mailbox, "Mailbox")


def check_dynamic(
    dynamic: Dynamic, static: Static, lookup: Lookup, scope: Scope, *, check_files: bool
) -> None:
    """Report what is wrong beyond addresses, which building the lookup tables checks."""
    check_routes(dynamic.routes, static, scope.at("Routes"))
    for name, domain in dynamic.domains.items():
        check_mail_domain(domain, static, scope.at("Domains", name), check_files=check_files)
    for name, account in dynamic.accounts.items():
        at = scope.at("Accounts", name)
        check_account(name, account, static, at)
        _check_fromid_logins(account, lookup, at.at("FromIDLoginAddresses"))
    check_web(dynamic, static, scope)
    seen: set[str] = set()
    for index, zone in enumerate(dynamic.monitor_dnsbls):
        parsed = check_domain(scope, zone, "MonitorDNSBLs", index)
        if parsed is not None and parsed.ascii in seen:
            scope.error(f"duplicate zone {zone}", "MonitorDNSBLs", index)
        if parsed is not None:
            seen.add(parsed.ascii)


def _check_fromid_logins(account: Account, lookup: Lookup, scope: Scope) -> None:
    for index, text in enumerate(account.from_id_login_addresses):
        try:
            address = parse_address(text)
        except AddressError as err:
            scope.error(str(err), index)
            continue
        if problem := _fromid_problem(address, lookup):
            scope.error(problem, index)


def _fromid_problem(address: Address, lookup: Lookup) -> str:
    domain = lookup.domain(address.domain)
    if domain is None:
        return f"unknown domain {address.domain}"
    if not domain.config.separators:
        return f"domain {address.domain} needs a catch-all separator"
    if not isinstance(lookup.find(address), ToAccount):
        return f"no account has the address {address}"
    return ""
