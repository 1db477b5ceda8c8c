"""Commands that look at SPF. They need no server; DNS is asked as by the server."""

from __future__ import annotations

import argparse
from typing import TYPE_CHECKING

from mox.address import Path, parse_domain
from mox.cli.command import Command
from mox.cli.lookups import dnssec, parse_ip, shown
from mox.errors import RemoteError, UserError

if TYPE_CHECKING:
    from mox.mailauth.spfrecord import SPFRecord


def _check(args: argparse.Namespace) -> int:
    from mox.dns import Resolver
    from mox.mailauth.results import SPFStatus
    from mox.mailauth.spf import check

    domain = parse_domain(args.domain)
    result = check(
        Resolver(),
        remote_ip=parse_ip(args.ip),
        mail_from=Path("postmaster", domain),
        helo=domain,
        hostname=parse_domain("localhost"),
    )
    print(f"{result.status} ({dnssec(result.authentic)})")
    for label in ("mechanism", "problem", "explanation"):
        if text := getattr(result, label):
            print(f"{label}: {shown(text)}")
    return 1 if result.status in (SPFStatus.TEMPERROR, SPFStatus.PERMERROR) else 0


def _lookup(args: argparse.Namespace) -> int:
    from mox.dns import Resolver
    from mox.mailauth.results import SPFStatus
    from mox.mailauth.spf import lookup

    domain = parse_domain(args.domain)
    found = lookup(Resolver(), domain)
    if found.status is SPFStatus.TEMPERROR:
        raise RemoteError(f"looking up SPF for {domain}: {shown(found.problem)}", temporary=True)
    if found.text:
        print(f"{shown(found.text)} ({dnssec(found.authentic)})")
    if found.record is None:
        raise UserError(f"{domain}: {shown(found.problem)} ({dnssec(found.authentic)})")
    return 0


def _parse(args: argparse.Namespace) -> int:
    from mox.mailauth.spfrecord import SPFSyntaxError, parse_record

    try:
        record = parse_record(args.record)
    except SPFSyntaxError as e:
        raise UserError(f"not a valid SPF record: {shown(str(e))}") from e
    for line in _explained(record):
        print(shown(line))
    return 0


def _explained(record: SPFRecord) -> list[str]:
    """A record's terms, in the order in which they are evaluated."""
    words = {"+": "pass", "-": "fail", "~": "softfail", "?": "neutral"}
    lines = []
    for directive in record.directives:
        what = str(directive.network or directive.domain or "").strip()
        target = f" {what}{directive.lengths}" if what or directive.lengths else ""
        lines.append(f"{words[directive.qualifier]}: {directive.mechanism}{target}")
    if record.redirect:
        lines.append(f"otherwise: record of {record.redirect}")
    elif not any(directive.mechanism == "all" for directive in record.directives):
        lines.append("otherwise: neutral")
    if record.explanation:
        lines.append(f"explanation of a fail: at {record.explanation}")
    lines += [f"unknown modifier, ignored: {name}={value}" for name, value in record.unknown]
    return lines


def _configure_check(parser: argparse.ArgumentParser) -> None:
    parser.add_argument("domain", help="of the address in MAIL FROM")
    parser.add_argument("ip", help="address that the mail would come from")


def _configure_lookup(parser: argparse.ArgumentParser) -> None:
    parser.add_argument("domain")


def _configure_parse(parser: argparse.ArgumentParser) -> None:
    parser.add_argument("record", help='as one argument: "v=spf1 …"')


COMMANDS = [
    Command(
        ("spf", "check"),
        "Say whether an address may send mail for a domain, and by which part of its SPF record. "
        "Exit status 1 when that cannot be told because of DNS or the record.",
        _configure_check,
        _check,
    ),
    Command(
        ("spf", "lookup"),
        "Print the SPF record of a domain. Exit status 1 when there is none, or a wrong one.",
        _configure_lookup,
        _lookup,
    ),
    Command(
        ("spf", "parse"),
        "Print the terms of an SPF record, one a line. Exit status 1 when it is not valid.",
        _configure_parse,
        _parse,
    ),
]
