"""The Author Domains of a message, and DMARC for all of them together.

RFC 9989 §5.3.1 knows only messages with exactly one. Others exist, most of them made to get around
DMARC: §11.5 tells to look at each domain, and to apply the strictest policy of those that fail.
"""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from typing import Final

from mox.address import AddressError, Domain, parse_domain
from mox.dns import Resolver
from mox.mailauth.dmarc import Rule, evaluate
from mox.mailauth.results import DKIMResult, DMARCResult, DMARCStatus, SPFResult
from mox.message.mailboxes import mailboxes

# RFC 9989 §11.5: a limit, because each domain costs queries.
MAX_AUTHOR_DOMAINS: Final = 4


def author_domains(from_values: Iterable[bytes]) -> tuple[Domain, ...]:
    """Return the different domains of all From fields (raw values), in their order.

    Addresses without a valid domain do not count; a broken localpart does not matter.
    """
    found: dict[Domain, None] = {}
    for value in from_values:
        for mailbox in mailboxes(value):
            try:
                found[parse_domain(mailbox.domain)] = None
            except AddressError:
                continue
    return tuple(found)


def evaluate_authors(
    resolver: Resolver,
    domains: Sequence[Domain],
    spf: SPFResult,
    dkim: Sequence[DKIMResult],
    *,
    rule: Rule = "rfc9989",
) -> DMARCResult:
    """Evaluate a message for what `author_domains` gave. Never raises.

    With several domains the result is the one with the strictest policy that rejects, or none: a
    message in the name of two is vouched for by neither.
    """
    if len(domains) <= 1:
        return evaluate(resolver, domains[0] if domains else None, spf, dkim, rule=rule)
    several = DMARCResult(DMARCStatus.NONE, problem=f"{len(domains)} different domains in From")
    results = [
        evaluate(resolver, domain, spf, dkim, rule=rule) for domain in domains[:MAX_AUTHOR_DOMAINS]
    ]
    rejecting = [result for result in results if result.rejects]
    rejecting.sort(key=lambda result: (result.policy != "reject", -result.percent))
    return rejecting[0] if rejecting else several
