"""Canonical localparts: the spelling under which an address is looked up."""

from __future__ import annotations

from dataclasses import dataclass


@dataclass(frozen=True, slots=True)
class LocalpartRules:
    """How one domain reads localparts.

    `reports` are the localparts that take reports; they may contain a separator, which then does
    not cut them. In a domain that ignores case they are in lower case.
    """

    case_sensitive: bool = False
    separators: tuple[str, ...] = ()
    reports: tuple[str, ...] = ()


def canonical_localpart(localpart: str, rules: LocalpartRules) -> str:
    """Return the form of an unquoted localpart that tables are keyed by."""
    if not rules.case_sensitive:
        localpart = localpart.lower()
    for report in rules.reports:
        if localpart == report or _continues(localpart, report, rules.separators):
            return report
    for separator in rules.separators:
        localpart = localpart.partition(separator)[0]
    return localpart


def _continues(localpart: str, report: str, separators: tuple[str, ...]) -> bool:
    """Tell whether the localpart is the report localpart, a separator, and more."""
    return any(localpart.startswith(report + separator) for separator in separators)
