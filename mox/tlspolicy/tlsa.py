"""TLSA records of a mail host: where they are looked for and which of them can be used.

RFC 6698, RFC 7671, RFC 7672 §2.2 and §3.1. Only answers that were validated with DNSSEC count.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from enum import IntEnum
from typing import Final

from cryptography import x509
from cryptography.exceptions import UnsupportedAlgorithm
from cryptography.hazmat.primitives.serialization import load_der_public_key

from mox.dns import Answer, Resolver, Status
from mox.dns.answer import ExtendedError
from mox.dns.mail import Addresses
from mox.tlsio.names import UNREADABLE

Query = Callable[[str, str], Answer]

# Of one name, that are looked at: each can cost a signature check.
_MAX_RECORDS: Final = 32
_MAX_DATA_OCTETS: Final = 8192
_LENGTHS: Final = {1: 32, 2: 64}


class Usage(IntEnum):
    """RFC 7218 §2.1."""

    PKIX_TA = 0
    PKIX_EE = 1
    DANE_TA = 2
    DANE_EE = 3


class Selector(IntEnum):
    """RFC 7218 §2.2."""

    CERT = 0
    SPKI = 1


class Matching(IntEnum):
    """RFC 7218 §2.3."""

    FULL = 0
    SHA256 = 1
    SHA512 = 2


@dataclass(frozen=True, slots=True)
class TLSA:
    """One record (RFC 6698 §2.1); the numbers are as published, also unknown ones."""

    usage: int
    selector: int
    matching: int
    data: bytes

    def __str__(self) -> str:
        return f"{self.usage} {self.selector} {self.matching} {self.data.hex()}"

    @property
    def is_usable(self) -> bool:
        """Whether a certificate chain can be compared with it.

        RFC 7672 §3.1.3: usages PKIX-TA and PKIX-EE are not for SMTP.
        """
        if self.usage not in (Usage.DANE_TA, Usage.DANE_EE):
            return False
        if self.selector not in (Selector.CERT, Selector.SPKI):
            return False
        if self.matching == Matching.FULL:
            return len(self.data) <= _MAX_DATA_OCTETS and _parses(self.selector, self.data)
        return _LENGTHS.get(self.matching) == len(self.data)


def _parses(selector: int, data: bytes) -> bool:
    try:
        if selector == Selector.CERT:
            x509.load_der_x509_certificate(data)
        else:
            load_der_public_key(data)
    except (*UNREADABLE, UnsupportedAlgorithm):
        return False
    return True


@dataclass(frozen=True, slots=True)
class Destination:
    """The domain that mail is for. Names are A-labels without final dot.

    expanded: the end of the domain's CNAMEs; the domain itself when there are none.
    authentic: CNAMEs and MX records, or that there are none, were validated.
    """

    domain: str
    expanded: str
    has_mx: bool
    authentic: bool


@dataclass(frozen=True, slots=True)
class MailHost:
    """One of its hosts.

    expanded: the end of the host's CNAMEs. authentic: CNAMEs and addresses were validated.
    alias_authentic: it is an alias, and at least its own CNAME was validated.
    """

    name: str
    expanded: str
    authentic: bool
    alias_authentic: bool = False


@dataclass(frozen=True, slots=True)
class TLSALookup:
    """What was found for a host.

    base: the TLSA base domain, where `records` are, "" without them.
    records: authentic ones, usable or not; any of them asks for TLS.
    error: the lookup failed: nobody can say whether there are any; `extended_error` as in Answer.
    """

    base: str = ""
    records: tuple[TLSA, ...] = ()
    error: str = ""
    extended_error: ExtendedError | None = None

    @property
    def usable(self) -> tuple[TLSA, ...]:
        return tuple(record for record in self.records if record.is_usable)


NO_TLSA: Final = TLSALookup()


def mail_host(resolver: Resolver, name: str, found: Addresses) -> MailHost:
    """Return what the look-up of a host's addresses says about its name."""
    expanded = found.expanded or name
    alias_authentic = False
    if not found.authentic and expanded != name and resolver.trusts_ad:
        # RFC 7672 §2.2: what the alias points to says nothing about the alias.
        alias = resolver.query(name, "CNAME")
        alias_authentic = alias.status is Status.OK and alias.authentic
    return MailHost(name, expanded, found.authentic, alias_authentic)


def base_domains(destination: Destination, host: MailHost) -> tuple[str, ...]:
    """Return the names below which records may be, best first; () where DANE is out of question.

    RFC 7672 §2.2.1: an MX answer that is not authentic may name anybody's host.
    """
    if not destination.authentic:
        return ()
    original = host.name if destination.has_mx else destination.domain
    if host.authentic:
        # RFC 7672 §2.2: the expanded name first, then the one that was asked for.
        return tuple(dict.fromkeys((host.expanded, original)))
    # RFC 7672 §2.2: a validated alias into an unsigned zone can have records of its own.
    return (original,) if host.alias_authentic else ()


def reference_names(destination: Destination, host: MailHost, base: str) -> tuple[str, ...]:
    """Return the names that a certificate under DANE-TA may be for.

    RFC 7672 §3.2.2: the TLSA base domain, which is also the server name of TLS, and where
    there are MX records the domain that mail is for.
    """
    names = [base, *base_domains(destination, host)]
    if destination.has_mx:
        names += [destination.domain, destination.expanded]
    return tuple(dict.fromkeys(names))


def lookup(query: Query, bases: Sequence[str], port: int = 25) -> TLSALookup:
    """Look for records at the base domains in turn; those of the first that has any count."""
    for base in bases:
        name = f"_{port}._tcp.{base}"
        answer = query(name, "TLSA")
        if answer.status is Status.TEMPORARY:
            # RFC 7672 §2.1.2: a lookup that fails is no proof that there is nothing.
            error = answer.error or answer.status.value
            return TLSALookup(base, (), error, answer.extended_error)
        if answer.status is Status.OK and answer.authentic:
            return TLSALookup(base, read_records(answer))
    return NO_TLSA


def read_records(answer: Answer) -> tuple[TLSA, ...]:
    """Return the records of an answer in an order that does not change from answer to answer."""
    found = {_tlsa(record.wire) for record in answer.records}
    return tuple(sorted(found, key=str))[:_MAX_RECORDS]


def _tlsa(wire: bytes) -> TLSA:
    # RFC 6698 §2.1: usage, selector and matching type, an octet each, then the data.
    usage, selector, matching = wire[:3]
    return TLSA(usage, selector, matching, wire[3:])
