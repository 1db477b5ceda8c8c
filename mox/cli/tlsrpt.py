"""`mox tlsrpt lookup`: where a domain wants reports about TLS."""

from __future__ import annotations

import argparse

from mox.address import parse_domain
from mox.cli.command import Command
from mox.cli.lookups import dnssec, shown
from mox.errors import RemoteError


def _lookup(args: argparse.Namespace) -> int:
    from mox.dns import Resolver
    from mox.tlspolicy.tlsrpt import Found, lookup_record

    domain = parse_domain(args.domain)
    found = lookup_record(Resolver().query, domain.ascii)
    if found.found is Found.NONE:
        raise RemoteError(f"{domain} has no TLSRPT record", temporary=False)
    if found.record is None:
        raise RemoteError(
            f"_smtp._tls.{domain}: {shown(found.error or found.found.value)}", temporary=True
        )
    print(f"record ({dnssec(found.authentic)}): {shown(str(found.record))}")
    for uri in found.record.rua:
        print(f"reports to {shown(uri)}")
    return 0


def _configure(parser: argparse.ArgumentParser) -> None:
    parser.add_argument("domain", help="of recipients, or the name of a mail host")


COMMANDS = [
    Command(
        ("tlsrpt", "lookup"),
        "Look up the TLSRPT record of a domain.",
        _configure,
        _lookup,
    ),
]
