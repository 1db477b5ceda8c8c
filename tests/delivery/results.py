"""Results of message authentication, as tests want them."""

from __future__ import annotations

from dataclasses import replace

from mox.address import parse_domain
from mox.mailauth.results import (
    ARCResult,
    ARCStatus,
    Authentication,
    DKIMResult,
    DKIMStatus,
    DMARCResult,
    DMARCStatus,
    IPRevResult,
    IPRevStatus,
    SPFResult,
    SPFStatus,
)


def authentication(
    *,
    iprev: str = "pass",
    spf: str = "pass",
    spf_domain: str = "sender.example",
    helo: bool = False,
    dkim: tuple[str, ...] = (),
    dmarc: str = "none",
    rejects: bool = False,
) -> Authentication:
    """All results for a message; `dkim` are the domains of signatures that verify."""
    reverse = IPRevResult(IPRevStatus(iprev))
    if reverse.status is IPRevStatus.PASS:
        reverse = replace(reverse, hostname="host.example", hostnames=("host.example",))
    return Authentication(
        iprev=reverse,
        spf=SPFResult(
            SPFStatus(spf),
            "helo" if helo else "mailfrom",
            parse_domain(spf_domain) if spf_domain else None,
        ),
        dkim=tuple(DKIMResult(DKIMStatus.PASS, parse_domain(domain)) for domain in dkim),
        dmarc=DMARCResult(DMARCStatus(dmarc), rejects=rejects),
        arc=ARCResult(ARCStatus.NONE),
    )
