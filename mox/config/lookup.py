"""Who gets mail for an address, who logs in with it, and who may send as it.

The tables are built once per configuration by `mox.config.addresses`, which also reports what is
wrong with them. Questions are a few dictionary lookups.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Literal

from mox.address import Address, AddressError, Domain, Path, parse_address
from mox.config.canonical import LocalpartRules, canonical_localpart
from mox.config.destination import Destination
from mox.config.domain import Alias
from mox.config.domain import Domain as DomainConfig

POSTMASTER = "postmaster"

# What an address takes besides mail: DMARC aggregate reports, TLS reports about a domain of ours,
# TLS reports about this host.
Reports = Literal["", "dmarc", "tls", "tls-host"]


@dataclass(frozen=True, slots=True)
class ToAccount:
    """Mail for one account. `canonical` is the address as configured, or `@domain`."""

    account: str
    destination: Destination
    canonical: str
    reports: Reports = ""


@dataclass(frozen=True, slots=True)
class ToAlias:
    """Mail for each of the members, in the order of the configuration."""

    canonical: str
    alias: Alias
    members: tuple[ToAccount, ...]


@dataclass(frozen=True, slots=True)
class Disabled:
    """The domain is ours, but turned off: a temporary error."""

    domain: Domain


@dataclass(frozen=True, slots=True)
class NotLocal:
    """We take no mail for this domain."""


@dataclass(frozen=True, slots=True)
class Unknown:
    """The domain is ours and has no such address."""

    domain: Domain


Recipient = ToAccount | ToAlias | Disabled | NotLocal | Unknown
NOT_LOCAL = NotLocal()


@dataclass(frozen=True, slots=True)
class LocalDomain:
    """A configured domain. `reports_only`: no address is in it, so it takes no mail."""

    name: Domain
    config: DomainConfig
    rules: LocalpartRules
    reports_only: bool


@dataclass(frozen=True, slots=True)
class Tables:
    """What lookups need. Domains are keyed by A-labels, addresses by their canonical text."""

    domains: Mapping[str, LocalDomain]
    accounts: Mapping[str, ToAccount]
    aliases: Mapping[str, ToAlias]
    hostnames: frozenset[str]
    postmaster: ToAccount
    # Lower-case localpart and host name that take TLS reports about this host.
    host_reports: tuple[str, str] | None
    host_reports_to: ToAccount | None


class Lookup:
    """Answers about addresses, for one state of the configuration."""

    def __init__(self, tables: Tables) -> None:
        self._tables = tables

    def domain(self, domain: Domain) -> LocalDomain | None:
        """Return what is configured for a domain."""
        return self._tables.domains.get(domain.ascii)

    def is_disabled(self, domain: Domain) -> bool:
        """Tell whether a domain is ours and turned off: it sends nothing either."""
        local = self.domain(domain)
        return local is not None and local.config.disabled

    def canonical(self, address: Address) -> str:
        """Return the canonical text of an address; outside of our domains only case is lowered."""
        local = self.domain(address.domain)
        rules = local.rules if local else LocalpartRules()
        return str(Address(canonical_localpart(address.localpart, rules), address.domain))

    def recipient(self, path: Path) -> Recipient:
        """Decide who gets mail for a forward-path."""
        localpart, domain = path.localpart, path.domain
        # RFC 5321 §4.5.1: postmaster is compared without regard to case.
        is_postmaster = localpart.lower() == POSTMASTER
        if domain is None:
            return self._tables.postmaster if is_postmaster else NOT_LOCAL
        if not isinstance(domain, Domain):
            return NOT_LOCAL
        if is_postmaster and domain.ascii in self._tables.hostnames:
            return self._tables.postmaster
        if self._tables.host_reports == (localpart.lower(), domain.ascii):
            assert self._tables.host_reports_to is not None
            return self._tables.host_reports_to
        local = self.domain(domain)
        if local is None or local.reports_only:
            return NOT_LOCAL
        if local.config.disabled:
            return Disabled(domain)
        address = Address(POSTMASTER if is_postmaster else localpart, domain)
        return self._local_recipient(address, local)

    def _local_recipient(self, address: Address, local: LocalDomain) -> Recipient:
        found = self._find(address, local)
        if found is not None:
            return found
        if canonical_localpart(address.localpart, local.rules) == POSTMASTER:
            return self._tables.postmaster
        return Unknown(address.domain)

    def _find(self, address: Address, local: LocalDomain) -> ToAccount | ToAlias | None:
        """Look up an address: exact, alias, then catch-all."""
        localpart = canonical_localpart(address.localpart, local.rules)
        canonical = str(Address(localpart, local.name))
        tables = self._tables
        return (
            tables.accounts.get(canonical)
            or tables.aliases.get(canonical)
            or tables.accounts.get(f"@{local.name.unicode}")
        )

    def find(self, address: Address) -> ToAccount | ToAlias | None:
        """Look up an address of ours without regard to postmaster and disabled domains."""
        local = self.domain(address.domain)
        if local is None or local.reports_only:
            return None
        if address.localpart.lower() == POSTMASTER:
            address = Address(POSTMASTER, address.domain)
        return self._find(address, local)

    def login(self, address: str) -> str | None:
        """Return the account that logs in with an address: any of its own, not an alias."""
        try:
            found = self.find(parse_address(address))
        except AddressError:
            return None
        return found.account if isinstance(found, ToAccount) else None

    def may_send_as(self, account: str, address: Address) -> bool:
        """Tell whether the account owns an address or is a member of an alias that allows it."""
        found = self.find(address)
        if isinstance(found, ToAlias):
            members = {member.account for member in found.members}
            return found.alias.allow_msg_from and account in members
        return found is not None and found.account == account
