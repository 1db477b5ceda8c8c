"""The old rule against authheaders, in what that does right: one signature, no pct, no errors."""

from __future__ import annotations

import itertools

import authheaders
import pytest
from authres import DKIMAuthenticationResult, SPFAuthenticationResult

from mox.address import parse_domain
from mox.dns import Resolver
from mox.mailauth.dmarc import evaluate
from mox.mailauth.results import DKIMResult, DKIMStatus, SPFResult, SPFStatus
from mox.mailauth.suffixes import organizational_domain
from tests.support.fakedns import FakeDNS

AUTHORS = ["example.com", "a.b.example.com", "x.example.co.uk"]
IDENTIFIERS = [
    "",
    "example.com",
    "b.example.com",
    "example.co.uk",
    "other.co.uk",
    "x.example.co.uk",
]
RECORDS = [
    "v=DMARC1; p=reject",
    "v=DMARC1; p=none; sp=reject; adkim=s",
    "v=DMARC1; p=quarantine; aspf=s",
    "v=DMARC1; p=reject; sp=quarantine; adkim=s; aspf=s",
]


def organizational_name(name: str) -> str:
    return organizational_domain(parse_domain(name)).ascii


@pytest.fixture(autouse=True)
def our_suffix_list(monkeypatch: pytest.MonkeyPatch) -> None:
    """Its own list has private suffixes, too, and is read anew for each question."""
    monkeypatch.setattr(authheaders, "get_org_domain", organizational_name)
    monkeypatch.setattr("authheaders.dmarc_lookup.get_org_domain", organizational_name)


@pytest.mark.parametrize("author", AUTHORS)
@pytest.mark.parametrize("place", ["nowhere", "author", "organization"])
@pytest.mark.parametrize("record", RECORDS)
def test_old_rule_decides_as_another_implementation(author: str, place: str, record: str) -> None:
    at = {"nowhere": "", "author": author, "organization": organizational_name(author)}[place]
    texts = {f"_dmarc.{at}": record} if at else {}
    zone = {(name, "TXT"): [f'"{text}"'] for name, text in texts.items()}
    with FakeDNS(zone) as server:
        resolver = Resolver(server=server.server)
        for spf, dkim in itertools.product(IDENTIFIERS, IDENTIFIERS):
            status, _, _, policy = authheaders.dmarc_per_from(
                author,
                SPFAuthenticationResult(result="pass", smtp_mailfrom=f"a@{spf}") if spf else None,
                DKIMAuthenticationResult(result="pass", header_d=dkim) if dkim else None,
                dnsfunc=texts.get,
            )
            ours = evaluate(
                resolver,
                parse_domain(author),
                SPFResult(SPFStatus.PASS, "mailfrom", parse_domain(spf))
                if spf
                else SPFResult(SPFStatus.NONE),
                [DKIMResult(DKIMStatus.PASS, parse_domain(dkim))] if dkim else [],
                rule="rfc7489",
            )
            assert ours.status == status
            # It takes sp for the domain that has the record, as well.
            if at and at != author:
                assert ours.policy == policy
