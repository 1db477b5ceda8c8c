"""Commands about DKIM: keys, their records, and signatures of messages. They need no server.

The name servers are those of /etc/resolv.conf, or the one in the environment as for the server.
"""

from __future__ import annotations

import argparse
import sys
import time
from dataclasses import replace
from pathlib import Path
from typing import TYPE_CHECKING, Final

from mox.address import Address, parse_domain
from mox.cli.command import Command, Globals, no_arguments
from mox.errors import RemoteError, UserError

if TYPE_CHECKING:
    from mox.mailauth.dkimsign import PrivateKey
    from mox.mailauth.keyrecord import FoundKey
    from mox.mailauth.results import DKIMResult

_RSA_BITS: Final = 2048


def _generate_ed25519(args: argparse.Namespace) -> int:
    from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey

    return _print_key(Ed25519PrivateKey.generate())


def _generate_rsa(args: argparse.Namespace) -> int:
    from cryptography.hazmat.primitives.asymmetric.rsa import generate_private_key

    return _print_key(generate_private_key(65537, _RSA_BITS))


def _print_key(key: PrivateKey) -> int:
    from cryptography.hazmat.primitives.serialization import Encoding, NoEncryption, PrivateFormat

    pem = key.private_bytes(Encoding.PEM, PrivateFormat.PKCS8, NoEncryption())
    print(pem.decode("ascii"), end="")
    return 0


def _txt(args: argparse.Namespace) -> int:
    from mox.config.keyfiles import KeyFileError, parse_dkim_key
    from mox.dns.zonetext import quoted_txt
    from mox.mailauth.keyrecord import key_record

    try:
        key = parse_dkim_key("standard input", sys.stdin.buffer.read(1 << 20), "sha256")
    except KeyFileError as e:
        raise UserError(str(e)) from e
    record = key_record(key.public_key())
    print(f"<selector>._domainkey.<domain>.\tTXT\t{quoted_txt(record)}")
    return 0


def _lookup(args: argparse.Namespace) -> int:
    from mox.dns import Resolver
    from mox.mailauth.keyrecord import KeyProblem, Keys
    from mox.mailauth.signature import key_name
    from mox.mailauth.tags import TagError

    try:
        name = key_name(args.selector, parse_domain(args.domain))
        found = Keys(Resolver()).find(name)
    except TagError as e:
        raise UserError(str(e)) from e
    except KeyProblem as e:
        if e.is_temporary:
            raise RemoteError(f"looking up {name}: {e}", temporary=True) from e
        raise UserError(f"{name}: {e}") from e
    _print_record(name, found)
    return 0


def _print_record(name: str, found: FoundKey) -> None:
    record = found.record
    print(f"key record at {name} ({_dnssec(found.authentic)}):")
    print(f"key: {record.kind}, {record.bits} bits")
    print(f"hashes: {_shown(', '.join(record.hashes) or 'any')}")
    print(f"services: {_shown(', '.join(record.services))}")
    if record.is_strict:
        print("only for addresses in the domain itself")
    if record.is_testing:
        print("under test: messages that do not verify are as if unsigned")
    if record.notes:
        print(f"notes: {_shown(record.notes)}")


def _verify(args: argparse.Namespace) -> int:
    from mox.dns import Resolver
    from mox.mailauth import dkim
    from mox.mailauth.content import SignedContent
    from mox.mailauth.results import DKIMStatus

    content = SignedContent(_message(args.file))
    results = dkim.verify(Resolver(), content, time.time())
    for result in results:
        print(_result_line(result))
    if not results:
        print("dkim=none: no signature")
    if ignored := dkim.ignored_signatures(content):
        print(f"{ignored} more signatures are not looked at")
    return 0 if any(result.status is DKIMStatus.PASS for result in results) else 1


def _result_line(result: DKIMResult) -> str:
    who = f"d={result.sdid or '?'} s={_shown(result.selector)} a={_shown(result.algorithm)}"
    bits = f" {result.key_bits} bits, {_dnssec(result.authentic)}" if result.key_bits else ""
    problem = f": {_shown(result.problem)}" if result.problem else ""
    return f"dkim={result.status} {who}{bits}{problem}"


def _sign(args: argparse.Namespace) -> int:
    from mox.config import load
    from mox.config.keyfiles import KeyFileError
    from mox.config.signers import load_signers
    from mox.delivery.signing import signed
    from mox.mailauth.content import SignedContent

    given: Globals = args.globals
    message = _message(args.file)
    author = _author(message)
    # Not all files of the configuration: certificates may be for root only.
    config = load(given.config, check_files=False)
    try:
        config = replace(config, signers=load_signers(config.dynamic, config.dir))
    except KeyFileError as e:
        raise UserError(str(e)) from e
    fields = signed(config, SignedContent(message), author).fields
    if not fields:
        raise UserError(
            f"no selector signs for {author.domain}: see DKIM of the domain in domains.conf"
        )
    sys.stdout.flush()
    sys.stdout.buffer.write(fields + message.replace(b"\n", b"\r\n"))
    return 0


def _author(message: bytes) -> Address:
    from mox.delivery.headers import Headers

    author = Headers(message).single_from()
    if author is None:
        raise UserError("message must have exactly one From header with one address")
    return author


def _message(path: Path) -> bytes:
    """Read a message with LF or CRLF as line ends; in stored form."""
    return path.read_bytes().replace(b"\r\n", b"\n")


def _dnssec(authentic: bool) -> str:
    return "with dnssec" if authentic else "without dnssec"


def _shown(text: str) -> str:
    """Text from the network for a terminal."""
    return "".join([c if c.isprintable() else "?" for c in text])


def _configure_lookup(parser: argparse.ArgumentParser) -> None:
    parser.add_argument("selector", help="the s= of signatures")
    parser.add_argument("domain", help="the d= of signatures")


def _configure_file(parser: argparse.ArgumentParser) -> None:
    parser.add_argument("file", type=Path, help="a message")


COMMANDS = [
    Command(
        ("dkim", "gened25519"),
        "Print a new Ed25519 key for DKIM, in PEM. Few receivers can check its signatures yet: "
        "sign with an RSA key as well.",
        no_arguments,
        _generate_ed25519,
    ),
    Command(
        ("dkim", "genrsa"),
        f"Print a new RSA key for DKIM with {_RSA_BITS} bits, in PEM.",
        no_arguments,
        _generate_rsa,
    ),
    Command(
        ("dkim", "txt"),
        "Print the DNS record for the key on standard input, as made by the gen commands. Write "
        "your selector and domain in.",
        no_arguments,
        _txt,
    ),
    Command(
        ("dkim", "lookup"),
        "Look up the key of a selector in DNS, and print what it is good for. Exit status 1 when "
        "no signature can be checked with it.",
        _configure_lookup,
        _lookup,
    ),
    Command(
        ("dkim", "verify"),
        "Check the DKIM signatures of a message, as if it came in now. Exit status 1 when none is "
        "good.",
        _configure_file,
        _verify,
    ),
    Command(
        ("dkim", "sign"),
        "Print a message with the signatures in front that it would get when submitted, by the "
        "domain of its From and the configuration. Line ends are CRLF.",
        _configure_file,
        _sign,
    ),
]
