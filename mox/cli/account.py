"""Commands about single accounts; they work whether the server runs or not."""

from __future__ import annotations

import argparse
import getpass
import sys

from mox.cli.command import Command, Globals
from mox.cli.owner import become_owner
from mox.errors import UserError

_MAX_PASSWORD = 1024


def _set_password(args: argparse.Namespace) -> int:
    from mox.config import load
    from mox.store import open_store
    from mox.store.credentials import make_credentials

    given: Globals = args.globals
    config = load(given.config, check_files=False)
    if args.account not in config.dynamic.accounts:
        raise UserError(f"no account {args.account!r} in {config.domains_path}")
    credentials = make_credentials(_read_password())
    become_owner(config.data_dir)
    store = open_store(config.data_dir)
    try:
        store.account(args.account).set_credentials(credentials)
    finally:
        store.close()
    print(f"password of account {args.account} is set")
    return 0


def _read_password() -> str:
    if sys.stdin.isatty():
        line = getpass.getpass("new password: ")
    else:
        line = sys.stdin.readline(_MAX_PASSWORD + 1)
    if len(line) > _MAX_PASSWORD:
        raise UserError("password is too long")
    password = line.rstrip("\r\n")
    if len(password) < 8:
        raise UserError("password must have at least 8 characters")
    return password


def _reindex(args: argparse.Namespace) -> int:
    from mox.config import read_data_dir
    from mox.store.reindex import reindex

    given: Globals = args.globals
    data_dir = read_data_dir(given.config)
    become_owner(data_dir)
    report = reindex(data_dir, args.account)
    print(
        f"{report.mailboxes} mailboxes, {report.messages} messages, "
        f"{report.changed} entries of the index were wrong"
    )
    return 0


def _configure(parser: argparse.ArgumentParser) -> None:
    parser.add_argument("account", help="name of the account, as in domains.conf")


COMMANDS = [
    Command(
        ("setaccountpassword",),
        "Set the password of an account, read from standard input: one line of at least 8 "
        "characters. Takes effect at once, also in a running server.",
        _configure,
        _set_password,
    ),
    Command(
        ("reindex",),
        "Rebuild the index of an account from its Maildir. The server may run meanwhile.",
        _configure,
        _reindex,
    ),
]
