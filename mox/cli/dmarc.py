"""Commands that look at DMARC: of a domain, and of a message. They need no server.

The name servers are those of /etc/resolv.conf, or the one in the environment as for the server.
"""

from __future__ import annotations

import argparse
import sys
import time
from ipaddress import IPv4Address, IPv6Address
from typing import TYPE_CHECKING

from mox.address import Domain, Path, parse_address, parse_domain
from mox.cli.command import ADDRESS, Command
from mox.cli.lookups import dnssec, parse_ip, shown
from mox.errors import RemoteError, UserError

if TYPE_CHECKING:
    from mox.mailauth.dmarc import Rule
    from mox.mailauth.dmarclookup import Discovery
    from mox.mailauth.results import DKIMResult, DMARCResult, SPFResult

_RULES = ("rfc9989", "rfc7489")


def _lookup(args: argparse.Namespace) -> int:
    domain = parse_domain(args.domain)
    discovery = _discover(domain, args.rule)
    lookup = discovery.lookup
    at = "" if lookup.domain == domain else f", for {domain}"
    print(f"DMARC record at {lookup.domain}{at} ({dnssec(discovery.authentic)}):")
    print(shown(lookup.text))
    if lookup.record is None:
        print(f"not usable: {lookup.problem}", file=sys.stderr)
        return 1
    result = _evaluated_alone(domain, args.rule)
    print(f"policy for {domain}: {result.policy}{_restriction(result)}")
    if discovery.organizational_domain is not None:
        print(f"organizational domain: {discovery.organizational_domain}")
    return 0


def _verify(args: argparse.Namespace) -> int:
    from mox.dns import Resolver
    from mox.mailauth import dkim, spf
    from mox.mailauth.dmarcauthor import author_domains, evaluate_authors
    from mox.message.fields import field_values

    remote_ip = parse_ip(args.remoteip)
    mail_from = _reverse_path(args.mailfrom)
    helo = _helo(args.helo)
    message = sys.stdin.buffer.read().replace(b"\r\n", b"\n")
    resolver = Resolver()
    spf_result = spf.check(
        resolver,
        remote_ip=remote_ip,
        mail_from=mail_from,
        helo=helo,
        hostname=parse_domain("localhost"),
    )
    dkim_results = dkim.verify(resolver, message, time.time())
    authors = author_domains(field_values(message.partition(b"\n\n")[0], "From", wire=False))
    result = evaluate_authors(resolver, authors, spf_result, dkim_results, rule=args.rule)
    _print_results(spf_result, dkim_results, result)
    return 0


def _check_report_addresses(args: argparse.Namespace) -> int:
    from mox.dns import Resolver
    from mox.mailauth.dmarcreportaddresses import Permission, aggregate_addresses

    domain = parse_domain(args.domain)
    lookup = _discover(domain, args.rule).lookup
    if lookup.record is None:
        raise UserError(lookup.problem)
    print(f"DMARC record at {lookup.domain}:")
    print(shown(lookup.text))
    if not lookup.record.aggregate_reports:
        print("no address for aggregate reports")
        return 0
    status = 0
    for found in aggregate_addresses(Resolver(), lookup.domain, lookup.record):
        good = found.permission in (Permission.OWN, Permission.GRANTED)
        instead = ", ".join(map(str, found.addresses))
        details = [found.permission.value, f"to {instead}" if instead else "", found.problem]
        text = "; ".join(shown(detail) for detail in details if detail)
        print(f"{shown(found.uri)}: {'ok' if good else 'not used'}: {text}")
        status = status if good else 1
    return status


def _discover(domain: Domain, rule: Rule) -> Discovery:
    """The record for a domain. Raises UserError without one, RemoteError when DNS fails."""
    from mox.dns import Resolver
    from mox.mailauth.dmarclookup import Found, Queries, TreeWalker, lookup_by_suffix_list

    queries = Queries(Resolver())
    if rule == "rfc9989":
        discovery = TreeWalker(queries).discover(domain)
    else:
        discovery = lookup_by_suffix_list(queries, domain)
    lookup = discovery.lookup
    if lookup.found is Found.TEMPORARY:
        raise RemoteError(f"looking up DMARC for {domain}: {lookup.problem}", temporary=True)
    if not lookup.takes_part:
        detail = f": {lookup.problem}" if lookup.problem else ""
        raise UserError(f"no DMARC record for {domain} ({dnssec(discovery.authentic)}){detail}")
    return discovery


def _evaluated_alone(domain: Domain, rule: Rule) -> DMARCResult:
    """What a message gets that nobody vouches for."""
    from mox.dns import Resolver
    from mox.mailauth.dmarc import evaluate
    from mox.mailauth.results import SPFResult, SPFStatus

    return evaluate(Resolver(), domain, SPFResult(SPFStatus.NONE), (), rule=rule)


def _print_results(spf: SPFResult, dkim: tuple[DKIMResult, ...], result: DMARCResult) -> None:
    print(f"spf={spf.status} {spf.identity} {spf.domain or ''}".rstrip() + _problem(spf.problem))
    for signature in dkim:
        who = f"{signature.sdid or ''} {shown(signature.selector)}".strip()
        print(f"dkim={signature.status} {who}".rstrip() + _problem(signature.problem))
    if not dkim:
        print("dkim=none")
    print(f"dmarc={result.status} {result.header_from or ''}".rstrip() + _problem(result.problem))
    if result.record_domain is not None and result.record is not None:
        aligned = [name for name in ("spf", "dkim") if getattr(result, f"aligned_{name}")]
        print(f"record at {result.record_domain} ({dnssec(result.authentic)}):")
        print(shown(result.record.text))
        print(f"aligned: {', '.join(aligned) or 'nothing'}")
        print(f"policy: {result.policy}{_restriction(result)}")
    print(f"refused: {'yes' if result.rejects else 'no'}")


def _restriction(result: DMARCResult) -> str:
    if result.percent < 100:
        return f" for {result.percent} in 100 messages"
    return " (under test: nothing is refused)" if result.record and result.record.testing else ""


def _problem(text: str) -> str:
    return f": {shown(text)}" if text else ""


def _reverse_path(text: str) -> Path:
    if text in ("", "<>"):
        return Path("", None)
    address = parse_address(text.removeprefix("<").removesuffix(">"))
    return Path(address.localpart, address.domain)


def _helo(text: str) -> Domain | IPv4Address | IPv6Address:
    if text.startswith("[") and text.endswith("]"):
        return parse_ip(text[1:-1].removeprefix("IPv6:"))
    return parse_domain(text)


def _configure_domain(parser: argparse.ArgumentParser) -> None:
    _configure_rule(parser)
    parser.add_argument("domain", help="as in the From field of messages")


def _configure_verify(parser: argparse.ArgumentParser) -> None:
    _configure_rule(parser)
    parser.add_argument("remoteip", help="address that the message came from")
    parser.add_argument("mailfrom", help="address in MAIL FROM, or <>")
    parser.add_argument("helo", help="name in EHLO, or an address in brackets")


def _configure_rule(parser: argparse.ArgumentParser) -> None:
    parser.add_argument(
        "-rule",
        choices=_RULES,
        default=_RULES[0],
        help="find the organizational domain by the DNS tree walk (rfc9989, as the server does) or "
        "by the public suffix list (rfc7489)",
    )


COMMANDS = [
    Command(
        ("dmarc", "lookup"),
        "Print the DMARC record that counts for a domain, where it was found, and the policy for "
        "messages that fail. Exit status 1 when there is none, or none that can be used.",
        _configure_domain,
        _lookup,
    ),
    Command(
        ("dmarc", "verify"),
        "Check SPF, DKIM and DMARC of the message on standard input, as if it came in now.",
        _configure_verify,
        _verify,
        dashed=ADDRESS,
    ),
    Command(
        ("dmarc", "checkreportaddrs"),
        "Look whether the addresses for aggregate reports in a domain's DMARC record will get any: "
        "domains of others have to agree in DNS. Exit status 1 when one is not used.",
        _configure_domain,
        _check_report_addresses,
    ),
]
