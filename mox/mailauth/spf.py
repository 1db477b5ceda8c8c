"""SPF: may this address send mail for that domain? RFC 7208, RFC 8616.

The evaluation is pyspf's, behind `mox.mailauth.spfquery`. What comes out is a value, whatever DNS
and records contain.
"""

from __future__ import annotations

import time
from collections.abc import Callable
from dataclasses import dataclass
from ipaddress import IPv4Address, IPv6Address
from typing import Final, Literal

import spf

from mox.address import Domain, Path, format_domain
from mox.dns import Resolver, Status
from mox.mailauth.iprev import unmapped
from mox.mailauth.results import SPFResult, SPFStatus
from mox.mailauth.spfquery import Client, SPFQuery, printable
from mox.mailauth.spfrecord import SPFRecord, SPFSyntaxError, is_record, parse_record

# RFC 7208 §4.6.4: a limit on the time of at least 20 seconds.
TIMEOUT_S: Final = 20.0

_MAX_PROBLEM: Final = 300


def check(
    resolver: Resolver,
    *,
    remote_ip: IPv4Address | IPv6Address,
    mail_from: Path,
    helo: Domain | IPv4Address | IPv6Address,
    hostname: Domain,
    timeout_s: float = TIMEOUT_S,
    clock: Callable[[], float] = time.monotonic,
    now: Callable[[], float] = time.time,
) -> SPFResult:
    """Evaluate MAIL FROM, or for the null path HELO. Never raises; takes `timeout_s` at most.

    `hostname` is this server's name, `helo` what the client calls itself.
    """
    identity: Literal["mailfrom", "helo"] = "helo" if mail_from.is_null else "mailfrom"
    # RFC 7208 §2.4: the null path stands for postmaster@helo.
    domain = helo if mail_from.is_null else mail_from.domain
    if not isinstance(domain, Domain):
        return SPFResult(SPFStatus.NONE, problem=f"{identity} has no domain")
    client = Client(
        ip=unmapped(remote_ip),
        # RFC 7208 §4.3: an empty localpart is postmaster.
        localpart=mail_from.localpart or "postmaster",
        domain=domain.ascii,
        helo=format_domain(helo, smtputf8=False),
        receiver=hostname.ascii,
        now=now(),
    )
    query = SPFQuery(resolver, client, timeout_s, clock)
    problem = ""
    try:
        status = SPFStatus(query.run())
    except spf.TempError as e:
        status, problem = SPFStatus.TEMPERROR, e.msg
    except spf.PermError as e:
        status, problem = SPFStatus.PERMERROR, e.msg
    return SPFResult(
        status,
        identity,
        domain,
        mechanism=query.matched if not problem else "",
        explanation=query.explanation() if status is SPFStatus.FAIL else "",
        problem=printable(problem)[:_MAX_PROBLEM],
        authentic=query.is_authentic,
    )


@dataclass(frozen=True, slots=True)
class SPFLookup:
    """A domain's record. status: NONE, TEMPERROR, PERMERROR, or NEUTRAL when there is a record."""

    status: SPFStatus
    text: str = ""
    record: SPFRecord | None = None
    problem: str = ""
    authentic: bool = False


def lookup(resolver: Resolver, domain: Domain) -> SPFLookup:
    """Fetch and parse the record of a domain. Never raises."""
    answer = resolver.query(domain.ascii, "TXT")
    if answer.status is Status.TEMPORARY:
        return SPFLookup(SPFStatus.TEMPERROR, problem=answer.error)
    texts = [record.text for record in answer.records]
    found = [text for text in texts if is_record(text)]
    if not found:
        return SPFLookup(SPFStatus.NONE, problem="no SPF record", authentic=answer.authentic)
    if len(found) > 1:
        problem = "more than one SPF record"
        return SPFLookup(SPFStatus.PERMERROR, problem=problem, authentic=answer.authentic)
    text = found[0].decode("ascii", "backslashreplace")
    try:
        record = parse_record(text)
    except SPFSyntaxError as e:
        problem = str(e)
        return SPFLookup(SPFStatus.PERMERROR, text, problem=problem, authentic=answer.authentic)
    return SPFLookup(SPFStatus.NEUTRAL, text, record, authentic=answer.authentic)
