"""Commands that ask DNS block lists. They need no server; DNS is asked as by the server."""

from __future__ import annotations

import argparse

from mox.address import parse_domain
from mox.cli.command import Command
from mox.cli.lookups import parse_ip, shown
from mox.errors import RemoteError, UserError


def _check(args: argparse.Namespace) -> int:
    from mox.dns import Resolver
    from mox.mailauth.dnsbl import DNSBLStatus, lookup

    zone, ip = parse_domain(args.zone), parse_ip(args.ip)
    result = lookup(Resolver(), zone, ip)
    if result.status is DNSBLStatus.TEMPERROR:
        raise RemoteError(shown(result.problem), temporary=True)
    if result.status is DNSBLStatus.PASS:
        print(f"{ip} is not listed in {zone}")
        return 0
    print(f"{ip} is listed in {zone}: {', '.join(map(str, result.codes))}")
    if result.explanation:
        print(f"explanation: {result.explanation}")
    return 0


def _check_health(args: argparse.Namespace) -> int:
    from mox.dns import Resolver
    from mox.mailauth.dnsbl import check_health

    zone = parse_domain(args.zone)
    health = check_health(Resolver(), zone)
    if not health.is_healthy:
        raise UserError(f"{zone} is not usable: {shown(health.problem)}")
    if health.problem:
        raise RemoteError(f"{zone}: {shown(health.problem)}", temporary=True)
    print(f"{zone} works")
    return 0


def _configure_check(parser: argparse.ArgumentParser) -> None:
    parser.add_argument("zone", help="domain of the list")
    parser.add_argument("ip", help="address to look up")


def _configure_health(parser: argparse.ArgumentParser) -> None:
    parser.add_argument("zone", help="domain of the list")


COMMANDS = [
    Command(
        ("dnsbl", "check"),
        "Look an address up in a DNS block list; prints whether it is listed, and what the list "
        "says about it.",
        _configure_check,
        _check,
    ),
    Command(
        ("dnsbl", "checkhealth"),
        "See whether a DNS block list works: 127.0.0.1 must not be listed, 127.0.0.2 must be. Exit "
        "status 1 when it does not.",
        _configure_health,
        _check_health,
    ),
]
