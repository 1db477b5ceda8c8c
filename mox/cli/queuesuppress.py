"""Commands about the addresses that accounts do not send to any more."""

from __future__ import annotations

import argparse
import time
from collections.abc import Iterator
from datetime import UTC, datetime
from typing import TYPE_CHECKING

from mox.cli.command import ADDRESS, Command
from mox.cli.queueoffice import open_office, opened_store
from mox.errors import UserError
from mox.logfmt import quote

if TYPE_CHECKING:
    from mox.address import Path
    from mox.store import Store
    from mox.store.suppressions import Suppression


def _list(args: argparse.Namespace) -> int:
    from mox.store import suppressions

    print("suppressions (account, address, manual, time added, base address, reason):")
    empty = True
    with opened_store(args) as store:
        for name, id in _accounts(store, args.account):
            for entry in suppressions.of_account(store, id):
                print(_line(name, entry))
                empty = False
    if empty:
        print("(none)")
    return 0


def _line(account: str, entry: Suppression) -> str:
    fields = (
        quote(account),
        quote(entry.original_address),
        "Yes" if entry.manual else "No",
        _time(entry.created),
        quote(entry.base_address),
        quote(entry.reason),
    )
    return "\t".join(fields)


def _lookup(args: argparse.Namespace) -> int:
    from mox.store import suppressions

    path, is_present = _path(args.address), False
    with opened_store(args) as store:
        for name, id in _accounts(store, args.account):
            entry = suppressions.lookup(store, id, path)
            if entry is None:
                continue
            if not is_present:
                print("present")
            is_present = True
            if not args.account:
                print(f"account: {name}")
            print(f"added: {_time(entry.created)}")
            print(f"manual: {'yes' if entry.manual else 'no'}")
            print(f"base address: {entry.base_address}")
            print(f"reason: {quote(entry.reason)}")
    if not is_present:
        print("not present")
    return 0


def _add(args: argparse.Namespace) -> int:
    from mox.store import suppressions

    path = _path(args.address)
    with open_office(args) as office:
        if args.account not in office.config.dynamic.accounts:
            raise UserError(f"no account {args.account!r} in the configuration")
        account = office.store.account(args.account)
        suppressions.add(
            office.store, account.id, path, time.time(), manual=True, reason="added through mox cli"
        )
    return 0


def _remove(args: argparse.Namespace) -> int:
    from mox.store import suppressions

    path = _path(args.address)
    with opened_store(args) as store:
        account = store.find_account(args.account)
        if account is None or not suppressions.remove(store, account.id, path):
            raise UserError("removing suppression: absent")
    return 0


def _accounts(store: Store, wanted: str) -> Iterator[tuple[str, int]]:
    """Yield names and ids of the accounts that are meant; without name all."""
    for name in [wanted] if wanted else store.account_names():
        account = store.find_account(name)
        if account is not None:
            yield name, account.id


def _path(text: str) -> Path:
    from mox.address import Path, parse_address

    address = parse_address(text)
    return Path(address.localpart, address.domain)


def _time(when: float) -> str:
    return f"{datetime.fromtimestamp(int(when), UTC):%Y-%m-%d %H:%M:%S} +0000 UTC"


def _configure_list(parser: argparse.ArgumentParser) -> None:
    parser.add_argument("-account", default="", help="of this account; else of all")


def _configure_lookup(parser: argparse.ArgumentParser) -> None:
    _configure_list(parser)
    parser.add_argument("address", help="of a recipient")


def _configure_change(parser: argparse.ArgumentParser) -> None:
    parser.add_argument("account", help="name of the account")
    parser.add_argument("address", help="of a recipient")


COMMANDS = [
    Command(
        ("queue", "suppress", "list"),
        "List the addresses that accounts do not send to any more.",
        _configure_list,
        _list,
    ),
    Command(
        ("queue", "suppress", "add"),
        "Let an account not send to an address any more.",
        _configure_change,
        _add,
        dashed=ADDRESS,
    ),
    Command(
        ("queue", "suppress", "remove"),
        "Let an account send to an address again.",
        _configure_change,
        _remove,
        dashed=ADDRESS,
    ),
    Command(
        ("queue", "suppress", "lookup"),
        "Say whether an address is on a suppression list, and why. What comes after + or - in "
        "its localpart, dots, and case do not matter.",
        _configure_lookup,
        _lookup,
        dashed=ADDRESS,
    ),
]
