"""`mox mtasts lookup`: the MTA-STS record of a domain, and its policy as a web server has it."""

from __future__ import annotations

import argparse
import sys

from mox.address import parse_domain
from mox.cli.command import Command
from mox.cli.lookups import dnssec, shown
from mox.errors import RemoteError


def _lookup(args: argparse.Namespace) -> int:
    from mox.dns import Resolver
    from mox.serving.stsfetch import PolicyFetcher, https_port
    from mox.tlsio.client import ClientContext
    from mox.tlspolicy.mtasts import Found, MTASTSError, lookup_record, parse_policy
    from mox.tlspolicy.stscache import FETCH_TIMEOUT_S, FetchFailed

    domain = parse_domain(args.domain)
    resolver = Resolver()
    found = lookup_record(resolver.query, domain.ascii)
    if found.found is Found.NONE:
        raise RemoteError(f"{domain} has no MTA-STS record", temporary=False)
    if found.record is None:
        raise RemoteError(
            f"_mta-sts.{domain}: {shown(found.error or found.found.value)}", temporary=True
        )
    print(f"record ({dnssec(found.authentic)}): {shown(str(found.record))}")
    fetch = PolicyFetcher(resolver, lambda: ClientContext(verify=False), https_port())
    try:
        text = fetch(domain.ascii, FETCH_TIMEOUT_S)
        policy = parse_policy(text)
    except FetchFailed as e:
        print(f"policy cannot be had: {shown(str(e))}", file=sys.stderr)
        return 1
    except MTASTSError as e:
        print(f"policy is not usable: {shown(str(e))}", file=sys.stderr)
        print("\n".join(shown(line) for line in text.splitlines()))
        return 1
    print("policy:")
    print("\n".join(f"  {line}" for line in policy.lines))
    return 0


def _configure(parser: argparse.ArgumentParser) -> None:
    parser.add_argument("domain", help="that mail is for")


COMMANDS = [
    Command(
        ("mtasts", "lookup"),
        "Look up the MTA-STS record of a domain and fetch its policy, as a delivery would. The "
        "certificate of the web server must be right.",
        _configure,
        _lookup,
    ),
]
