"""Where mail of a domain goes: MX, null MX, addresses. RFC 5321 §5.1, RFC 7505."""

from __future__ import annotations

import random
from dataclasses import dataclass
from enum import Enum
from ipaddress import IPv4Address, IPv6Address

from mox.address import Domain
from mox.dns.answer import ExtendedError, Status
from mox.dns.resolver import Resolver

_MAX_HOSTS = 32
_MAX_ADDRESSES = 16


class Accepts(Enum):
    """Whether a domain takes mail, as far as DNS tells."""

    YES = "yes"
    NO = "no host takes mail for it"
    NULL_MX = "it says that it takes no mail"
    TEMPORARY = "DNS does not answer"


@dataclass(frozen=True, slots=True)
class MailHosts:
    """The hosts of a domain in the order to be tried.

    accepts: YES when `hosts` is not empty. NO when the domain does not exist.
    authentic: the MX records, or that there are none, were validated with DNSSEC.
    expanded: the end of the domain's CNAMEs; the domain itself when there are none.
    """

    accepts: Accepts
    hosts: tuple[str, ...] = ()  # A-labels, no last dot
    authentic: bool = False
    error: str = ""
    expanded: str = ""
    has_mx: bool = False
    extended_error: ExtendedError | None = None


@dataclass(frozen=True, slots=True)
class Addresses:
    """`expanded`: the end of the host's CNAMEs; the host itself when there are none."""

    status: Status
    addresses: tuple[IPv4Address | IPv6Address, ...] = ()
    authentic: bool = False
    error: str = ""
    expanded: str = ""
    extended_error: ExtendedError | None = None


def mail_hosts(
    resolver: Resolver, domain: Domain, shuffle: random.Random | None = None
) -> MailHosts:
    """The MX hosts of a domain, by preference, equal ones in random order.

    RFC 5321 §5.1: without MX the domain itself is the host; a name that does not exist is
    reported at once. RFC 7505 §3: a single "." means that no mail is taken.
    """
    answer = resolver.query(domain.ascii, "MX")
    if answer.status is Status.TEMPORARY:
        extended = answer.extended_error
        return MailHosts(Accepts.TEMPORARY, error=answer.error, extended_error=extended)
    if answer.status is Status.NXDOMAIN:
        return MailHosts(Accepts.NO, authentic=answer.authentic, error="no such domain")
    if answer.status is Status.NODATA:
        expanded = (answer.canonical or domain.ascii).lower()
        return MailHosts(Accepts.YES, (expanded,), answer.authentic, expanded=expanded)
    pairs = [(record.preference, record.host.lower()) for record in answer.records]
    if [host for _, host in pairs] == ["."]:
        return MailHosts(Accepts.NULL_MX, authentic=answer.authentic, error="null MX")
    chance = shuffle or random
    pairs.sort(key=lambda pair: (pair[0], chance.random()))
    hosts = dict.fromkeys(host for _, host in pairs if host != ".")
    return MailHosts(
        Accepts.YES,
        tuple(hosts)[:_MAX_HOSTS],
        answer.authentic,
        expanded=(answer.canonical or domain.ascii).lower(),
        has_mx=True,
    )


def host_addresses(resolver: Resolver, host: str) -> Addresses:
    """The addresses of a host, IPv4 and IPv6, in DNS order with IPv6 first.

    OK as soon as there is one, whatever happened to the other family.
    """
    answers = [resolver.query(host, rdtype) for rdtype in ("AAAA", "A")]
    found = tuple(
        record.address
        for answer in answers
        if answer.status is Status.OK
        for record in answer.records
    )
    if found:
        authentic = all(answer.authentic for answer in answers if answer.records)
        expanded = next((a.canonical.lower() for a in answers if a.records and a.canonical), host)
        return Addresses(Status.OK, found[:_MAX_ADDRESSES], authentic, expanded=expanded)
    for answer in answers:
        if answer.status is Status.TEMPORARY:
            extended = answer.extended_error
            return Addresses(Status.TEMPORARY, error=answer.error, extended_error=extended)
    return Addresses(answers[-1].status, authentic=answers[-1].authentic)


def accepts_mail(resolver: Resolver, domain: Domain) -> Accepts:
    """Whether mail to a domain could be delivered: some host of it has an address."""
    hosts = mail_hosts(resolver, domain)
    if hosts.accepts is not Accepts.YES:
        return hosts.accepts
    result = Accepts.NO
    for host in hosts.hosts:
        # One address is enough; most hosts have an IPv4 address.
        for rdtype in ("A", "AAAA"):
            status = resolver.query(host, rdtype).status
            if status is Status.OK:
                return Accepts.YES
            if status is Status.TEMPORARY:
                result = Accepts.TEMPORARY
    return result
