"""The whole openspf.org test suite for RFC 7208."""

from __future__ import annotations

from ipaddress import ip_address

import pytest

from mox.address import NULL_PATH, Domain, Path, parse_domain
from mox.mailauth.spf import check
from tests.mailauth.openspf import Case, cases
from tests.support.zone import ZoneResolver

CASES = list(cases())


def _domain(text: str) -> Domain:
    """The suite has names that no session would let in."""
    return Domain(text.lower(), text.lower())


def _path(text: str) -> Path:
    if not text:
        return NULL_PATH
    localpart, at, domain = text.rpartition("@")
    return Path(localpart if at else "postmaster", _domain(domain))


def test_the_suite_is_complete() -> None:
    assert len(CASES) == 203


@pytest.mark.parametrize("case", CASES, ids=lambda case: case.name)
def test_suite(case: Case) -> None:
    result = check(
        ZoneResolver(case.zone),  # type: ignore[arg-type]
        remote_ip=ip_address(case.host),
        mail_from=_path(case.mail_from),
        helo=_domain(case.helo),
        hostname=parse_domain("receiver.example"),
        clock=lambda: 0.0,
    )
    assert result.status in case.results, result
    if case.explanation is not None:
        assert (result.explanation or "DEFAULT") == case.explanation
