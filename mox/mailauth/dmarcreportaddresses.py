"""Where DMARC reports about a domain may be sent: those it names, if they agree.

RFC 9990 §3, RFC 7489 §7.1: an address in a domain of others takes reports only if that domain says
so in DNS; else anybody could have reports sent to anybody.
"""

from __future__ import annotations

from dataclasses import dataclass
from enum import Enum
from urllib.parse import unquote_to_bytes

from mox.address import Address, AddressError, Domain, parse_address
from mox.dns import Resolver, Status
from mox.mailauth.dmarclookup import Queries, txt_record
from mox.mailauth.dmarcrecord import RecordError, is_record, parse_report_permission
from mox.mailauth.results import DMARCRecord
from mox.mailauth.suffixes import organizational_domain


class Permission(Enum):
    """Whether a report may be sent to an address."""

    OWN = "of the same organization"
    GRANTED = "its domain agrees"
    DENIED = "its domain does not say that it takes these reports"
    UNKNOWN = "DNS does not answer"
    UNUSABLE = "only mailto with one address is usable"


@dataclass(frozen=True, slots=True)
class ReportAddress:
    """One URI of `rua` or `ruf`. `addresses` are those to send to, () when there is none.

    max_octets: largest report that is wanted, 0 for any (RFC 7489 §6.2; gone in RFC 9990).
    """

    uri: str
    permission: Permission
    addresses: tuple[Address, ...] = ()
    max_octets: int = 0
    problem: str = ""


def aggregate_addresses(
    resolver: Resolver, policy_domain: Domain, record: DMARCRecord
) -> list[ReportAddress]:
    """Look at each address for aggregate reports about the domain that published the record.

    One query for each address of others; the record limits their number. Never raises.
    """
    queries = Queries(resolver)
    return [_checked(queries, policy_domain, uri, size) for uri, size in record.aggregate_reports]


def mailto_address(uri: str) -> Address | None:
    """Return the address of a mailto URI with one address (RFC 6068 §2), else None."""
    scheme, _, rest = uri.partition(":")
    if scheme.lower() != "mailto":
        return None
    encoded = rest.partition("?")[0]
    try:
        return parse_address(unquote_to_bytes(encoded).decode("utf-8"))
    except (AddressError, UnicodeDecodeError):
        return None


def _checked(queries: Queries, policy_domain: Domain, uri: str, size: int) -> ReportAddress:
    address = mailto_address(uri)
    if address is None:
        return ReportAddress(uri, Permission.UNUSABLE)
    # Organizations as the public suffix list has them: a tree walk would let whoever publishes
    # records for a suffix decide who needs nobody's agreement.
    if organizational_domain(address.domain) == organizational_domain(policy_domain):
        return ReportAddress(uri, Permission.OWN, (address,), size)
    name = f"{policy_domain.ascii}._report._dmarc.{address.domain.ascii}"
    answer = queries.ask(name, "TXT")
    if answer.status is Status.TEMPORARY:
        return ReportAddress(uri, Permission.UNKNOWN, problem=answer.error)
    permissions = [text for text in map(txt_record, answer.records) if is_record(text)]
    for text in permissions:
        try:
            permission = parse_report_permission(text)
        except RecordError as e:
            return ReportAddress(uri, Permission.DENIED, problem=f"{name}: {e}")
        return _granted(uri, address, size, name, permission)
    return ReportAddress(uri, Permission.DENIED, problem=f"no DMARC record at {name}")


def _granted(
    uri: str, address: Address, size: int, name: str, permission: DMARCRecord
) -> ReportAddress:
    """The address, or those that its domain wants instead."""
    if not permission.aggregate_reports:
        return ReportAddress(uri, Permission.GRANTED, (address,), size)
    found = [mailto_address(other) for other, _ in permission.aggregate_reports]
    instead = tuple(other for other in found if other)
    # RFC 9990 §3, RFC 7489 §7.1: only addresses of the same host may take the place; with another
    # host there is no report to either.
    if not instead or any(other.domain != address.domain for other in instead):
        problem = f"{name}: rua has no address, or one that is not at {address.domain}"
        return ReportAddress(uri, Permission.DENIED, problem=problem)
    sizes = [octets for _, octets in permission.aggregate_reports if octets]
    return ReportAddress(uri, Permission.GRANTED, instead, min(sizes, default=size))
