"""Rulesets of a destination: the first whose conditions all match says where a message goes.

Patterns are RE2's, so they take time linear in what a stranger sends; how much of that they see
is bounded as well.
"""

from __future__ import annotations

from typing import Final

from mox import patterns
from mox.address import Domain, parse_domain
from mox.config.destination import Destination, Ruleset
from mox.delivery.facts import MessageFacts
from mox.mailauth.results import SPFStatus

# Fields of a header section that patterns are applied to, and octets of one value.
MAX_FIELDS: Final = 1000
MAX_VALUE_OCTETS: Final = 8192


def find_ruleset(destination: Destination, facts: MessageFacts) -> Ruleset | None:
    """Return the first ruleset that matches a message."""
    for ruleset in destination.rulesets:
        if _matches(ruleset, facts):
            return ruleset
    return None


def _matches(ruleset: Ruleset, facts: MessageFacts) -> bool:
    """Whether all conditions match; a ruleset without any matches nothing."""
    conditions = (
        (ruleset.smtp_mail_from_regexp, _mail_from),
        (ruleset.msg_from_regexp, _message_from),
        (ruleset.verified_domain, _verified),
        (ruleset.headers_regexp, _headers),
    )
    configured = [check for value, check in conditions if value]
    return bool(configured) and all(check(ruleset, facts) for check in configured)


def _mail_from(ruleset: Ruleset, facts: MessageFacts) -> bool:
    return patterns.matches(ruleset.smtp_mail_from_regexp, facts.reverse_path.pack(smtputf8=False))


def _message_from(ruleset: Ruleset, facts: MessageFacts) -> bool:
    author = facts.header_from
    return author is not None and patterns.matches(ruleset.msg_from_regexp, str(author))


def _verified(ruleset: Ruleset, facts: MessageFacts) -> bool:
    wanted = parse_domain(ruleset.verified_domain)
    return any(is_at_or_below(domain, wanted) for domain in facts.verified_domains)


def _headers(ruleset: Ruleset, facts: MessageFacts) -> bool:
    return all(
        _has_field(facts, name_pattern, value_pattern)
        for name_pattern, value_pattern in ruleset.headers_regexp.items()
    )


def _has_field(facts: MessageFacts, name_pattern: str, value_pattern: str) -> bool:
    """Whether one field matches both; names and values are compared in lower case."""
    left = MAX_FIELDS
    for name in facts.headers.names():
        left -= facts.headers.count(name)
        if left < 0:
            return False
        if patterns.matches(name_pattern, name.decode("ascii", "replace")):
            for value in facts.headers.raw(name):
                if patterns.matches(value_pattern, _on_one_line(value[:MAX_VALUE_OCTETS])):
                    return True
    return False


def _on_one_line(value: bytes) -> str:
    """A value as patterns of the reference expect it: folds are one space each."""
    lines = value.decode("utf-8", "replace").split("\n")
    return " ".join(line.strip() for line in lines).strip().lower()


def is_at_or_below(domain: Domain, above: Domain) -> bool:
    return domain == above or domain.ascii.endswith(f".{above.ascii}")


def allows_list(ruleset: Ruleset, facts: MessageFacts) -> bool:
    """Whether a mailing list that is let in without checks is proven to be the sender."""
    if not ruleset.list_allow_domain:
        return False
    wanted = parse_domain(ruleset.list_allow_domain)
    found = facts.authentication
    if found is None:
        return False
    is_sender = found.spf.status is SPFStatus.PASS and found.spf.identity == "mailfrom"
    return (is_sender and found.spf.domain == wanted) or wanted in found.dkim_domains
