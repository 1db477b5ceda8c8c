"""The Author Domains of a message, and DMARC for all of them together.

RFC 9989 §5.3.1 knows only messages with exactly one. Others exist, most of them made to get around
DMARC: §11.5 tells to look at each domain, and to apply the strictest policy of those that fail.
"""

from __future__ import annotations

import time
from collections.abc import Callable, Iterable, Sequence
from typing import Final

from mox.address import AddressError, Domain, parse_domain
from mox.dns import Resolver
from mox.mailauth.dmarc import Rule, evaluate
from mox.mailauth.dmarclookup import TIMEOUT_S
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
    timeout_s: float = TIMEOUT_S,
    clock: Callable[[], float] = time.monotonic,
) -> DMARCResult:
    """Evaluate a message for what `author_domains` gave. Never raises; takes `timeout_s` at most.

    With several domains the result is the one with the strictest policy that rejects, or none: a
    message in the name of two is vouched for by neither.
    """
    end = clock() + timeout_s

    def evaluate_one(domain: Domain | None) -> DMARCResult:
        left_s = end - clock()
        return evaluate(resolver, domain, spf, dkim, rule=rule, timeout_s=left_s, clock=clock)

    if len(domains) <= 1:
        return evaluate_one(domains[0] if domains else None)
    several = DMARCResult(DMARCStatus.NONE, problem=f"{len(domains)} different domains in From")
    results = map(evaluate_one, domains[:MAX_AUTHOR_DOMAINS])
    rejecting = [result for result in results if result.rejects]
    rejecting.sort(key=lambda result: (result.policy != "reject", -result.percent))
    return rejecting[0] if rejecting else several
