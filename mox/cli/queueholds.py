"""Commands about the rules by which messages are held."""

from __future__ import annotations

import argparse
from typing import TYPE_CHECKING

from mox.cli.command import Command, no_arguments
from mox.cli.queueoffice import opened_store, queue_id
from mox.errors import UserError
from mox.logfmt import quote

if TYPE_CHECKING:
    from mox.store.hold_rules import HoldRule


def _list(args: argparse.Namespace) -> int:
    from mox.store import hold_rules

    with opened_store(args) as store:
        rules = hold_rules.rules(store)
    print("hold rules:")
    for rule in rules:
        print(_line(rule))
    if not rules:
        print("(none)")
    return 0


def _line(rule: HoldRule) -> str:
    if rule.is_all:
        return f"id {rule.id}: all messages"
    parts = (
        ("account", rule.account),
        ("sender domain", rule.sender_domain),
        ("recipient domain", rule.recipient_domain),
        ("sender", rule.sender),
        ("recipient", rule.recipient),
    )
    named = [f"{name} {quote(value)}" for name, value in parts if value]
    return f"id {rule.id}: {', '.join(named)}"


def _add(args: argparse.Namespace) -> int:
    from mox.address import parse_address, parse_domain
    from mox.queue import admin
    from mox.store.hold_rules import HoldRule
    from mox.store.outgoing import Outgoing

    rule = HoldRule(
        account=args.account,
        sender_domain=str(parse_domain(args.senderdom)) if args.senderdom else "",
        recipient_domain=str(parse_domain(args.recipientdom)) if args.recipientdom else "",
        sender=str(parse_address(args.sender)).lower() if args.sender else "",
        recipient=str(parse_address(args.recipient)).lower() if args.recipient else "",
    )
    with opened_store(args) as store:
        admin.add_hold_rule(Outgoing(store), store, rule)
    return 0


def _remove(args: argparse.Namespace) -> int:
    from mox.store import hold_rules

    with opened_store(args) as store:
        if not hold_rules.remove(store, args.id):
            raise UserError("remove hold rule: absent")
    return 0


def _configure_add(parser: argparse.ArgumentParser) -> None:
    parser.add_argument("-account", default="", help="of this account")
    parser.add_argument("-senderdom", default="", metavar="domain", help="of the sender")
    parser.add_argument("-recipientdom", default="", metavar="domain", help="of the recipient")
    parser.add_argument("-sender", default="", metavar="address", help="in the envelope")
    parser.add_argument("-recipient", default="", metavar="address", help="in the envelope")


def _configure_remove(parser: argparse.ArgumentParser) -> None:
    parser.add_argument("id", type=queue_id, help="as listed")


COMMANDS = [
    Command(
        ("queue", "holdrules", "list"),
        "List the rules by which messages are held when they are queued.",
        no_arguments,
        _list,
    ),
    Command(
        ("queue", "holdrules", "add"),
        "Hold messages that have all of what is given, those in the queue and those that come. "
        "Without flags: all messages.",
        _configure_add,
        _add,
    ),
    Command(
        ("queue", "holdrules", "remove"),
        "Remove a rule. Messages that are held stay so until mox queue unhold.",
        _configure_remove,
        _remove,
    ),
]
