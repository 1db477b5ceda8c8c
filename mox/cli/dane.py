"""`mox dane …`: TLSA records made, and tried out against servers. They need no server of ours.

The name servers are those of /etc/resolv.conf, or the one in the environment as for the server;
without DNSSEC there is no DANE.
"""

from __future__ import annotations

import argparse
import os
import sys
import time
from collections.abc import Sequence
from datetime import UTC, datetime
from ipaddress import IPv4Address, IPv6Address
from typing import TYPE_CHECKING, Final

from mox.address import parse_domain
from mox.cli.command import Command
from mox.cli.lookups import dnssec, shown
from mox.errors import MoxError, RemoteError, UserError

if TYPE_CHECKING:
    from mox.dns import Resolver
    from mox.dns.mail import Addresses
    from mox.queue.session import Session
    from mox.serving.stream import Stream
    from mox.tlspolicy.tlsa import TLSA, Destination, TLSALookup

IP = IPv4Address | IPv6Address

# By the words of RFC 7218, as in the zone file.
_USAGES: Final = {"pkix-ta": 0, "pkix-ee": 1, "dane-ta": 2, "dane-ee": 3}
_SELECTORS: Final = {"cert": 0, "spki": 1}
_MATCHINGS: Final = {"full": 0, "sha2-256": 1, "sha2-512": 2}
_TIMEOUT_S: Final = 30.0
_MAX_PEM: Final = 1 << 20


# ---- makerecord


def _make_record(args: argparse.Namespace) -> int:
    from mox.tlspolicy.tlsa import TLSA

    usage = _number(_USAGES, args.usage, "usage")
    selector = _number(_SELECTORS, args.selector, "selector")
    matching = _number(_MATCHINGS, args.matchtype, "matching type")
    pem = _read_pem(args.pem)
    print(TLSA(usage, selector, matching, _data(pem, selector, matching)))
    return 0


def _number(words: dict[str, int], text: str, what: str) -> int:
    number = words.get(text.lower(), -1)
    if text.isdecimal() and int(text) in words.values():
        number = int(text)
    if number < 0:
        known = ", ".join(f"{word} ({value})" for word, value in words.items())
        raise UserError(f"unknown {what} {text!r}, one of {known}")
    return number


def _read_pem(name: str | None) -> bytes:
    if name is None:
        return sys.stdin.buffer.read(_MAX_PEM)
    with open(name, "rb") as file:
        return file.read(_MAX_PEM)


def _data(pem: bytes, selector: int, matching: int) -> bytes:
    """The association data for a certificate, or for the public part of a key. Raises UserError."""
    from cryptography import x509
    from cryptography.exceptions import UnsupportedAlgorithm

    from mox.tlsio.names import UNREADABLE
    from mox.tlspolicy.dane import association, digest

    try:
        if b"-----BEGIN CERTIFICATE-----" in pem:
            return association(selector, matching, x509.load_pem_x509_certificate(pem))
        if selector != _SELECTORS["spki"]:
            raise UserError("a record about a certificate needs one: this is a key")
        return digest(matching, _public_key(pem))
    except (*UNREADABLE, UnsupportedAlgorithm) as e:
        raise UserError(f"not a certificate or key in PEM that can be read: {e}") from e


def _public_key(pem: bytes) -> bytes:
    from cryptography.hazmat.primitives.serialization import (
        Encoding,
        PublicFormat,
        load_pem_private_key,
        load_pem_public_key,
    )

    if b"PRIVATE KEY-----" in pem:
        key = load_pem_private_key(pem, None, unsafe_skip_rsa_key_validation=True).public_key()
    else:
        key = load_pem_public_key(pem)
    return key.public_bytes(Encoding.DER, PublicFormat.SubjectPublicKeyInfo)


# ---- dial


def _dial(args: argparse.Namespace) -> int:
    from mox.dns import Resolver
    from mox.tlspolicy.tlsa import lookup, mail_host

    host, port = _endpoint(args.address)
    usages = _usages(args.usages)
    resolver = Resolver()
    found = _addresses(resolver, host)
    names = mail_host(resolver, host, found)
    print(f"addresses of {host} ({dnssec(found.authentic)})")
    bases = tuple(dict.fromkeys((names.expanded, host))) if found.authentic else ()
    if names.alias_authentic:
        bases = (host,)
    records = lookup(resolver.query, bases, port)
    _print_records(records, f"_{port}._tcp")
    wanted = [record for record in records.usable if record.usage in usages]
    if not wanted:
        raise RemoteError(f"no TLSA record for {host} that could be used", temporary=False)
    stream = _connect(found.addresses, port)
    try:
        _check_tls(stream, wanted, list(dict.fromkeys((records.base, *bases))))
    finally:
        stream.close()
    return 0


def _endpoint(text: str) -> tuple[str, int]:
    host, colon, port = text.rpartition(":")
    if not colon or not port.isdecimal() or not 0 < int(port) < 65536:
        raise UserError(f"not host:port: {text}")
    return parse_domain(host.removesuffix(".")).ascii, int(port)


def _usages(text: str) -> set[int]:
    usages = {_number(_USAGES, word, "usage") for word in text.split(",")}
    if usages & {_USAGES["pkix-ta"], _USAGES["pkix-ee"]}:
        # RFC 7672 §3.1.3: what such records mean for mail nobody can say.
        raise UserError("only dane-ta and dane-ee are used for mail")
    return usages


def _check_tls(stream: Stream, records: list[TLSA], names: list[str]) -> None:
    from mox.tlsio.client import ClientContext
    from mox.tlspolicy import dane

    tls = stream.start_tls_client(ClientContext(verify=False), names[0], _TIMEOUT_S)
    result = dane.verify(records, tls.peer_chain(), names, datetime.now(UTC))
    if not result.ok:
        raise RemoteError(shown(str(result)), temporary=False)
    print(f"verified by {result}")
    verification = tls.verification()
    assert verification is not None, "of a client's session"
    print(f"public authorities: {shown(str(verification)) or 'trusted'}")


# ---- dialmx


def _dial_mx(args: argparse.Namespace) -> int:
    from mox.dns import Accepts, Resolver, mail_hosts
    from mox.tlspolicy.tlsa import Destination

    domain = parse_domain(args.domain)
    resolver = Resolver()
    found = mail_hosts(resolver, domain)
    if found.accepts is not Accepts.YES:
        raise RemoteError(f"{domain}: {found.error or found.accepts.value}", temporary=True)
    destination = Destination(
        domain.ascii, found.expanded or domain.ascii, found.has_mx, found.authentic
    )
    kind = "MX records" if found.has_mx else "no MX records, the domain is its own host"
    print(f"{domain}: {kind} ({dnssec(found.authentic)})")
    hosts = [parse_domain(args.host).ascii] if args.host else list(found.hosts)
    results = [_try_host(resolver, destination, host, args.ehlohostname) for host in hosts]
    return 0 if any(results) else 1


def _try_host(resolver: Resolver, destination: Destination, host: str, ehlo: str) -> bool:
    """Talk to one host up to the end of STARTTLS; true when DANE vouches for it."""
    print(f"\n{host}:")
    try:
        return _talk(resolver, destination, host, ehlo)
    except MoxError as e:
        print(f"  failed: {shown(str(e))}")
        return False


def _talk(resolver: Resolver, destination: Destination, host: str, ehlo: str) -> bool:
    from mox.queue.services import PORT_VARIABLE, SMTP_PORT
    from mox.queue.session import Session, Setup
    from mox.tlsio.client import ClientContext
    from mox.tlspolicy import tlsa
    from mox.tlspolicy.decision import decide

    addresses = _addresses(resolver, host)
    print(f"  addresses ({dnssec(addresses.authentic)})")
    names = tlsa.mail_host(resolver, host, addresses)
    bases = tlsa.base_domains(destination, names)
    if not bases:
        print("  no DANE: not everything was validated with DNSSEC")
    records = tlsa.lookup(resolver.query, bases)
    _print_records(records, "  _25._tcp")
    references = tlsa.reference_names(destination, names, records.base)
    policy = decide(host, None, records, references, None).policy
    assert policy is not None, "the look-up did not fail"
    port = int(os.environ.get(PORT_VARIABLE) or SMTP_PORT)
    stream = _connect(addresses.addresses, port)
    print(f"  connected to {stream.remote_ip}")
    context = ClientContext(verify=False)
    session = Session(
        stream,
        Setup(hostname=ehlo, host=host, tls=policy, now=time.time(), context=context),
    )
    session.open()
    _print_session(session)
    session.close()
    return session.checked.record is not None


def _print_session(session: Session) -> None:
    if not session.has_tls:
        print("  STARTTLS is not offered")
        return
    problems = ", ".join(str(problem.result_type) for problem in session.checked.domain_problems)
    print("  TLS agreed")
    if session.checked.record is not None:
        print(f"  verified by TLSA record {session.checked.record}")
    print(f"  public authorities: {problems or 'trusted'}")


# ---- shared


def _print_records(found: TLSALookup, prefix: str) -> None:
    if found.error:
        raise RemoteError(f"{prefix.strip()}.{found.base}: {shown(found.error)}", temporary=True)
    for record in found.records:
        note = "" if record.is_usable else " (not usable)"
        print(f"{prefix}.{found.base} TLSA {record}{note}")
    if not found.records:
        print(f"{prefix}: no TLSA records")


def _addresses(resolver: Resolver, host: str) -> Addresses:
    from mox.dns.mail import host_addresses

    found = host_addresses(resolver, host)
    if not found.addresses:
        raise RemoteError(
            f"{host} has no address: {found.error or found.status.value}", temporary=True
        )
    return found


def _connect(addresses: Sequence[IP], port: int) -> Stream:
    from mox.serving.dial import dial
    from mox.serving.errors import ConnectionLost, ConnectionTimeout

    failures = []
    for ip in addresses:
        try:
            return dial(ip, port, timeout_s=_TIMEOUT_S / len(addresses))
        except (ConnectionLost, ConnectionTimeout) as e:
            failures.append(f"{ip} port {port}: {e}")
    raise RemoteError(f"cannot connect: {'; '.join(failures)}", temporary=True)


def _configure_record(parser: argparse.ArgumentParser) -> None:
    parser.add_argument("usage", help="dane-ta (2) or dane-ee (3), or one that is not for mail")
    parser.add_argument("selector", help="cert (0) or spki (1)")
    parser.add_argument("matchtype", help="full (0), sha2-256 (1) or sha2-512 (2)")
    parser.add_argument("pem", nargs="?", help="file; without it standard input is read")


def _configure_dial(parser: argparse.ArgumentParser) -> None:
    parser.add_argument(
        "-usages",
        default="dane-ta,dane-ee",
        help="usages of records that may vouch for the server, with commas",
    )
    parser.add_argument("address", metavar="host:port", help="of a port with TLS at once")


def _configure_dial_mx(parser: argparse.ArgumentParser) -> None:
    parser.add_argument("-ehlohostname", default="localhost", help="name to introduce oneself with")
    parser.add_argument("domain", help="that mail is for")
    parser.add_argument("host", nargs="?", help="one of its mail hosts; without it all")


COMMANDS = [
    Command(
        ("dane", "dial"),
        "Connect to a port that speaks TLS from the first byte, and verify its certificate with "
        "the TLSA records for that host and port.",
        _configure_dial,
        _dial,
    ),
    Command(
        ("dane", "dialmx"),
        "Connect to the mail hosts of a domain with STARTTLS and verify them with DANE, as a "
        "delivery would. Fails when no host could be verified.",
        _configure_dial_mx,
        _dial_mx,
    ),
    Command(
        ("dane", "makerecord"),
        "Print a TLSA record for a certificate, a public key or a private key in PEM.",
        _configure_record,
        _make_record,
    ),
]
