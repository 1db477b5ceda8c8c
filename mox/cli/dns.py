"""`mox dns lookup`: what the server's resolver finds, and whether it was validated."""

from __future__ import annotations

import argparse
from collections.abc import Sequence
from typing import TYPE_CHECKING, Final

from mox.address import AddressError, parse_domain
from mox.cli.command import Command
from mox.cli.lookups import dnssec, parse_ip, shown
from mox.errors import RemoteError, UserError

if TYPE_CHECKING:
    from mox.dns import Answer
    from mox.dns.record import Record

# What to ask for, by the word on the command line.
_TYPES: Final = {
    "ptr": ("PTR",),
    "mx": ("MX",),
    "cname": ("CNAME",),
    "ips": ("AAAA", "A"),
    "a": ("A",),
    "aaaa": ("AAAA",),
    "ns": ("NS",),
    "txt": ("TXT",),
    "srv": ("SRV",),
    "tlsa": ("TLSA",),
}


def _lookup(args: argparse.Namespace) -> int:
    from mox.dns import Resolver, Status

    name = _name(args.type, args.name)
    resolver = Resolver()
    answers = [resolver.query(name, rdtype) for rdtype in _TYPES[args.type]]
    found = [answer for answer in answers if answer.status is Status.OK]
    if not found:
        raise _nothing(name, answers)
    for answer in found:
        if answer.canonical.lower() != name.lower().rstrip("."):
            print(f"alias of {shown(answer.canonical)}")
        for record in answer.records:
            print(_line(record))
    print(f"({dnssec(all(answer.authentic for answer in found))})")
    return 0


def _name(kind: str, text: str) -> str:
    """The name in A-labels: of an address for ptr. Raises UserError."""
    if kind == "ptr":
        return parse_ip(text).reverse_pointer
    try:
        return parse_domain(text.removesuffix(".")).ascii
    except AddressError:
        # Names in DNS may hold more than those of mail.
        if text.isascii():
            return text
        raise


def _nothing(name: str, answers: Sequence[Answer]) -> UserError | RemoteError:
    from mox.dns import Status

    for answer in answers:
        if answer.status is Status.TEMPORARY:
            return RemoteError(shown(answer.error), temporary=True)
    last = answers[-1]
    return UserError(f"{shown(name)}: {last.status.value} ({dnssec(last.authentic)})")


def _line(record: Record) -> str:
    return shown(record.to_text())


def _configure(parser: argparse.ArgumentParser) -> None:
    parser.add_argument("type", choices=_TYPES, help="of record; ips is a and aaaa together")
    parser.add_argument("name", help="domain, for ptr an IP address")


COMMANDS = [
    Command(
        ("dns", "lookup"),
        "Look up DNS records as the server does: no search list, answers with DNSSEC status of the "
        "name servers where these can be trusted. Exit status 1 when there are none.",
        _configure,
        _lookup,
    ),
]
