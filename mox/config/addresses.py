"""Builds the tables of `mox.config.lookup`, and reports addresses that cannot be in them."""

from __future__ import annotations

from collections.abc import Mapping

from mox.address import Address, AddressError, Domain, parse_address, parse_domain
from mox.config.account import Account
from mox.config.canonical import LocalpartRules, canonical_localpart
from mox.config.destination import Destination
from mox.config.domain import DMARC, TLSRPT
from mox.config.domain import Domain as DomainConfig
from mox.config.dynamic import Dynamic
from mox.config.lookup import POSTMASTER, LocalDomain, Lookup, Reports, Tables, ToAccount, ToAlias
from mox.config.names import check_domain, check_localpart
from mox.config.report import Scope
from mox.config.static import Static


def build_lookup(static: Static, dynamic: Dynamic, scope: Scope) -> Lookup:
    """Make the tables; `scope` is the whole of domains.conf."""
    builder = _Builder(dynamic, scope)
    builder.add_accounts()
    builder.add_reports()
    builder.add_aliases()
    return Lookup(builder.tables(static))


class _Builder:
    def __init__(self, dynamic: Dynamic, scope: Scope) -> None:
        self._dynamic = dynamic
        self._scope = scope
        self._names = _domain_names(dynamic, scope.at("Domains"))
        reports = _report_localparts(dynamic, self._names)
        self._rules = {
            name: _rules(dynamic.domains[key], reports.get(name, ()))
            for name, key in self._names.items()
        }
        self._accounts: dict[str, ToAccount] = {}
        self._aliases: dict[str, ToAlias] = {}
        self._with_address: set[str] = set()  # domains, by A-labels

    def add_accounts(self) -> None:
        """Take in the destinations of all accounts."""
        for account_name, account in self._dynamic.accounts.items():
            for text, destination in account.destinations.items():
                canonical = self._destination_key(account_name, text)
                if canonical is None:
                    continue
                entry = ToAccount(account_name, destination, canonical)
                other = self._accounts.setdefault(canonical, entry)
                if other is not entry:
                    message = f"duplicate address {canonical}: account {other.account} has it too"
                    self._at(account_name, text).error(message)

    def _at(self, account: str, address: str) -> Scope:
        return self._scope.at("Accounts", account, "Destinations", address)

    def _destination_key(self, account: str, text: str) -> str | None:
        """Return the canonical text of a destination, or report why it has none."""
        if text.startswith("@"):
            domain = check_domain(self._at(account, text), text[1:])
            if domain is None or not self._is_local(domain, self._at(account, text)):
                return None
            self._with_address.add(domain.ascii)
            return f"@{domain.unicode}"
        try:
            address = parse_address(text)
        except AddressError as err:
            self._at(account, text).error(str(err))
            return None
        if address.domain.ascii not in self._rules:
            self._is_local(address.domain, self._at(account, text))
            return None
        rules = self._rules[address.domain.ascii]
        for separator in rules.separators:
            if separator in address.localpart and address.localpart not in rules.reports:
                message = f"localpart must not contain the catch-all separator {separator!r}"
                self._at(account, text).error(message)
                return None
        self._with_address.add(address.domain.ascii)
        return self._canonical(address, rules)

    def _is_local(self, domain: Domain, scope: Scope) -> bool:
        if domain.ascii in self._rules:
            return True
        scope.error(f"unknown domain {domain.unicode}")
        return False

    @staticmethod
    def _canonical(address: Address, rules: LocalpartRules) -> str:
        return str(Address(canonical_localpart(address.localpart, rules), address.domain))

    def add_reports(self) -> None:
        """Take in the addresses for DMARC and TLS reports; they replace equal destinations."""
        for key, config in self._dynamic.domains.items():
            self._add_report(key, "DMARC", config.dmarc, "dmarc")
            self._add_report(key, "TLSRPT", config.tlsrpt, "tls")

    def _add_report(
        self, key: str, field: str, report: DMARC | TLSRPT | None, kind: Reports
    ) -> None:
        if report is None:
            return
        scope = self._scope.at("Domains", key, field)
        localpart = check_localpart(scope, report.localpart, "Localpart", ascii_only=True)
        if report.account not in self._dynamic.accounts:
            scope.error(f"unknown account {report.account!r}", "Account")
        domain = check_domain(scope, report.domain, "Domain") if report.domain else _parse(key)
        if localpart is None or domain is None or not self._is_local(domain, scope.at("Domain")):
            return
        canonical = self._canonical(Address(localpart, domain), self._rules[domain.ascii])
        destination = Destination(mailbox=report.mailbox)
        self._accounts[canonical] = ToAccount(report.account, destination, canonical, kind)
        self._with_address.add(domain.ascii)

    def add_aliases(self) -> None:
        """Take in aliases with their members, which must be addresses of accounts."""
        for name, key in self._names.items():
            for text, alias in self._dynamic.domains[key].aliases.items():
                scope = self._scope.at("Domains", key, "Aliases", text)
                canonical = self._alias_key(text, parse_domain(key), scope)
                members = self._members(alias.addresses, scope.at("Addresses"))
                if canonical is not None:
                    self._aliases[canonical] = ToAlias(canonical, alias, members)
                    self._with_address.add(name)

    def _alias_key(self, text: str, domain: Domain, scope: Scope) -> str | None:
        try:
            localpart = parse_address(f"{text}@{domain.ascii}").localpart
        except AddressError as err:
            scope.error(str(err))
            return None
        rules = self._rules[domain.ascii]
        if any(separator in localpart for separator in rules.separators):
            scope.error("localpart must not contain a catch-all separator")
            return None
        canonical = self._canonical(Address(localpart, domain), rules)
        if canonical in self._accounts:
            scope.error(f"{canonical} is an address of account {self._accounts[canonical].account}")
        if canonical in self._aliases:
            scope.error(f"duplicate alias {canonical}")
        return canonical

    def _members(self, addresses: tuple[str, ...], scope: Scope) -> tuple[ToAccount, ...]:
        members: dict[str, ToAccount] = {}
        for index, text in enumerate(addresses):
            try:
                address = parse_address(text)
            except AddressError as err:
                scope.error(str(err), index)
                continue
            rules = self._rules.get(address.domain.ascii, LocalpartRules())
            canonical = self._canonical(address, rules)
            member = self._accounts.get(canonical)
            if member is None or canonical != str(address):
                hint = f": {canonical}" if member else ""
                scope.error(f"{text} is not a canonical address of an account{hint}", index)
            elif canonical in members:
                scope.error(f"duplicate member {canonical}", index)
            else:
                members[canonical] = member
        return tuple(members.values())

    def tables(self, static: Static) -> Tables:
        """Return the tables, after everything was added."""
        postmaster, host = static.postmaster, static.host_tlsrpt
        hostname = _ascii(static.hostname)
        listeners = (listener.hostname for listener in static.listeners.values())
        has_host_reports = host.is_set and hostname is not None
        return Tables(
            domains={
                name: LocalDomain(
                    parse_domain(key),
                    self._dynamic.domains[key],
                    self._rules[name],
                    name not in self._with_address,
                )
                for name, key in self._names.items()
            },
            accounts=self._accounts,
            aliases=self._aliases,
            hostnames=frozenset(
                name for name in (hostname, *map(_ascii, listeners)) if name is not None
            ),
            postmaster=ToAccount(
                postmaster.account, Destination(mailbox=postmaster.mailbox), POSTMASTER
            ),
            host_reports=(host.localpart.lower(), hostname or "") if has_host_reports else None,
            host_reports_to=ToAccount(
                host.account,
                Destination(mailbox=host.mailbox),
                f"{host.localpart.lower()}@{static.hostname}",
                "tls-host",
            )
            if has_host_reports
            else None,
        )


def _parse(text: str) -> Domain | None:
    """Read a domain; None for one that is reported where it stands."""
    try:
        return parse_domain(text)
    except AddressError:
        return None


def _ascii(text: str) -> str | None:
    domain = _parse(text)
    return domain.ascii if domain is not None else None


def _domain_names(dynamic: Dynamic, scope: Scope) -> dict[str, str]:
    """Map the A-labels of each domain to its key in the file."""
    names: dict[str, str] = {}
    for key in dynamic.domains:
        domain = check_domain(scope.at(key), key)
        if domain is None:
            continue
        if key != domain.unicode:
            scope.error(f"must be written as {domain.unicode}", key)
        names.setdefault(domain.ascii, key)
    return names


def _rules(config: DomainConfig, reports: tuple[str, ...]) -> LocalpartRules:
    return LocalpartRules(config.localpart_case_sensitive, config.separators, reports)


def _report_localparts(dynamic: Dynamic, names: Mapping[str, str]) -> dict[str, tuple[str, ...]]:
    """Collect, for each domain, the localparts there that take reports of any domain."""
    found: dict[str, tuple[str, ...]] = {}
    for name, key in names.items():
        config = dynamic.domains[key]
        for report in (config.dmarc, config.tlsrpt):
            if report is None:
                continue
            where = _ascii(report.domain) if report.domain else name
            target = dynamic.domains.get(names.get(where or "", ""))
            if where is None or target is None:
                continue
            exact = target.localpart_case_sensitive
            localpart = report.localpart if exact else report.localpart.lower()
            if localpart not in found.get(where, ()):
                found[where] = (*found.get(where, ()), localpart)
    return found


def with_full_addresses(account: Account, scope: Scope) -> Mapping[str, Destination]:
    """Return the destinations with their domain: a bare localpart is deprecated."""
    if all("@" in text for text in account.destinations):
        return account.destinations
    full: dict[str, Destination] = {}
    for text, destination in account.destinations.items():
        address = text if "@" in text else f"{text}@{account.domain}"
        if address != text:
            scope.warning(f"should be written as {address}", "Destinations", text)
        if address in full:
            scope.error(f"duplicate address {address}", "Destinations", text)
        full[address] = destination
    return full
