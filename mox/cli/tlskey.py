"""Commands about keys of TLS client certificates; they work whether the server runs or not."""

from __future__ import annotations

import argparse
import os
import sys
import time
from collections.abc import Iterator
from contextlib import contextmanager
from typing import TYPE_CHECKING

from mox.cli.command import ADDRESS, FINGERPRINT, Command, Globals
from mox.cli.owner import become_owner
from mox.errors import UserError

if TYPE_CHECKING:
    from mox.config import Config
    from mox.store import Store
    from mox.store.tlskeys import TlsKey

_MAX_PEM = 100_000


@contextmanager
def _opened(args: argparse.Namespace) -> Iterator[tuple[Config, Store]]:
    from mox.config import load
    from mox.store import open_store

    given: Globals = args.globals
    config = load(given.config, check_files=False)
    become_owner(config.data_dir)
    store = open_store(config.data_dir)
    try:
        yield config, store
    finally:
        store.close()


def _add(args: argparse.Namespace) -> int:
    from mox.store.tlskeys import TlsKey, add_key

    certificate = _read_certificate()
    with _opened(args) as (config, store):
        account = config.lookup.login(args.address)
        if account is None:
            raise UserError(f"no account has the address {args.address}")
        key = TlsKey(
            account=account,
            login_address=args.address,
            name=args.name,
            created=int(time.time()),
            no_preauth=args.noimappreauth,
            certificate=certificate,
        )
        print(add_key(store, key))
    return 0


def _read_certificate() -> bytes:
    from cryptography import x509
    from cryptography.hazmat.primitives.serialization import Encoding

    pem = sys.stdin.buffer.read(_MAX_PEM + 1)
    if len(pem) > _MAX_PEM:
        raise UserError("certificate is too large")
    try:
        return x509.load_pem_x509_certificate(pem).public_bytes(Encoding.DER)
    except ValueError as e:
        raise UserError(f"standard input has no certificate in PEM form: {e}") from e


def _generate(args: argparse.Namespace) -> int:
    from base64 import urlsafe_b64encode

    from cryptography import x509

    from mox.store.tlskeys import fingerprint
    from mox.tlsio.clientkey import SEED_OCTETS, ed25519_identity

    key = urlsafe_b64encode(os.urandom(SEED_OCTETS)).decode().rstrip("=")
    made = ed25519_identity(key)
    files = {
        "key": made.key_pem,
        "certificate": made.chain_pem,
        "key-and-certificate": made.key_pem + made.chain_pem,
    }
    for kind, pem in files.items():
        path = f"{args.stem}.{kind}.pem"
        with open(os.open(path, os.O_WRONLY | os.O_CREAT | os.O_EXCL, 0o600), "wb") as file:
            file.write(pem)
        print(f"wrote {path}", file=sys.stderr)
    known_by = fingerprint(x509.load_pem_x509_certificate(made.chain_pem))
    print(f"key: {key}\nfingerprint: {known_by}", file=sys.stderr)
    return 0


def _list(args: argparse.Namespace) -> int:
    from mox.store.tlskeys import all_keys

    with _opened(args) as (_, store):
        for known_by, key in sorted(all_keys(store.dbs).items(), key=lambda item: item[1].account):
            if args.account in ("", key.account):
                print(_shown(known_by, key))
    return 0


def _shown(known_by: str, key: TlsKey) -> str:
    created = time.strftime("%Y-%m-%dT%H:%M:%SZ", time.gmtime(key.created))
    preauth = "no imap preauth" if key.no_preauth else "imap preauth"
    return f"{known_by}  {key.account}  {key.login_address}  {created}  {preauth}  {key.name}"


def _remove(args: argparse.Namespace) -> int:
    from mox.store.tlskeys import remove_key

    with _opened(args) as (_, store):
        remove_key(store, args.fingerprint)
    return 0


def _configure_add(parser: argparse.ArgumentParser) -> None:
    parser.add_argument("-noimappreauth", action="store_true", help="IMAP clients log in as usual")
    parser.add_argument("address", help="address to log in as")
    parser.add_argument("name", nargs="?", default="", help="name, for your own use")


def _configure_list(parser: argparse.ArgumentParser) -> None:
    parser.add_argument("account", nargs="?", default="", help="only those of this account")


def _configure_generate(parser: argparse.ArgumentParser) -> None:
    parser.add_argument("stem", help="what the names of the files begin with")


def _configure_remove(parser: argparse.ArgumentParser) -> None:
    parser.add_argument("fingerprint", help="as `mox tlspubkey list` shows it")


COMMANDS = [
    Command(
        ("tlspubkey", "add"),
        "Let whoever has the key of a certificate log in to IMAP and submission without password. "
        "The certificate is read from standard input, in PEM form; prints the fingerprint of its "
        "key. Takes effect at once, also in a running server, which asks clients for certificates "
        "as soon as there is a key.",
        _configure_add,
        _add,
        dashed=ADDRESS,
    ),
    Command(
        ("tlspubkey", "gen"),
        "Make a new Ed25519 key and a certificate for it, to log in with: STEM.key.pem, "
        "STEM.certificate.pem and STEM.key-and-certificate.pem, which only you can read. Prints "
        "the key in the form that moxsubmit.conf takes, and its fingerprint.",
        _configure_generate,
        _generate,
    ),
    Command(
        ("tlspubkey", "list"),
        "List the keys that log in: fingerprint, account, address, time, name.",
        _configure_list,
        _list,
    ),
    Command(
        ("tlspubkey", "rm"),
        "Remove a key.",
        _configure_remove,
        _remove,
        dashed=FINGERPRINT,
    ),
]
