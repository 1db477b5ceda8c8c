"""What commands about the queue share: the open queue, flags that choose messages, their form."""

from __future__ import annotations

import argparse
import time
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from datetime import UTC, datetime
from typing import TYPE_CHECKING

from mox.cli.command import Globals
from mox.cli.owner import become_owner

if TYPE_CHECKING:
    from mox.address import Path
    from mox.queue.admin import Office
    from mox.store.outgoing_select import Bound, Filter, Order, SortField
    from mox.store.store import Store


@contextmanager
def open_office(args: argparse.Namespace) -> Iterator[Office]:
    """Open the queue as the server's user, with the configuration."""
    from mox.config import load
    from mox.queue.admin import Office
    from mox.store import open_store
    from mox.store.outgoing import Outgoing

    given: Globals = args.globals
    config = load(given.config, check_files=False)
    become_owner(config.data_dir)
    store = open_store(config.data_dir)
    try:
        yield Office(store, config, Outgoing(store))
    finally:
        store.close()


@contextmanager
def opened_store(args: argparse.Namespace) -> Iterator[Store]:
    """Open the store as the server's user; the configuration need not be right."""
    from mox.config import read_data_dir
    from mox.store import open_store

    given: Globals = args.globals
    data_dir = read_data_dir(given.config)
    become_owner(data_dir)
    store = open_store(data_dir)
    try:
        yield store
    finally:
        store.close()


# ---- flags


def live_flags(parser: argparse.ArgumentParser) -> None:
    """Add flags that choose among queued messages."""
    _shared_flags(parser)
    parser.add_argument("-hold", type=_yes_no, metavar="true|false", help="held or not")
    next_attempt_flag(parser)


def retired_flags(parser: argparse.ArgumentParser) -> None:
    """Add flags that choose among retired messages."""
    _shared_flags(parser)
    last_activity_flag(parser)
    parser.add_argument("-result", choices=("success", "failure"), help="how it ended")


def sort_flags(parser: argparse.ArgumentParser, *fields: str) -> None:
    parser.add_argument("-sort", choices=fields, default=fields[0], help="by this time")
    parser.add_argument("-asc", action="store_true", help="earliest first, instead of latest")


def next_attempt_flag(parser: argparse.ArgumentParser) -> None:
    parser.add_argument(
        "-nextattempt", type=_bound, metavar="bound", help="as -submitted, for the next attempt"
    )


def last_activity_flag(parser: argparse.ArgumentParser) -> None:
    parser.add_argument(
        "-lastactivity", type=_bound, metavar="bound", help="as -submitted, for the last activity"
    )


def choice_flags(parser: argparse.ArgumentParser) -> None:
    """Add flags that choose among all that is queued, messages and webhooks."""
    parser.add_argument("-ids", type=_ids, default=(), metavar="ids", help="as listed: 1,2,3")
    parser.add_argument("-n", type=_count, default=0, metavar="max", help="at most so many")
    parser.add_argument("-account", default="", help="of this account")
    parser.add_argument(
        "-submitted",
        type=_bound,
        metavar="bound",
        help='"<" or ">" and a time from now on: "<-1h" is more than an hour ago, ">now" later',
    )


def _shared_flags(parser: argparse.ArgumentParser) -> None:
    choice_flags(parser)
    parser.add_argument(
        "-from", dest="sender", default="", metavar="text", help="part of the sender's address"
    )
    parser.add_argument(
        "-to", dest="recipient", default="", metavar="text", help="part of the recipient's address"
    )
    parser.add_argument("-transport", help='of this transport; "" of none')


def filter_of(args: argparse.Namespace) -> Filter:
    """Return what the flags ask for."""
    from mox.store.outgoing_select import Filter

    result: str | None = getattr(args, "result", None)
    return Filter(
        ids=args.ids,
        account=args.account,
        sender=args.sender,
        recipient=args.recipient,
        transport=args.transport,
        submitted=args.submitted,
        hold=getattr(args, "hold", None),
        next_attempt=getattr(args, "nextattempt", None),
        last_activity=getattr(args, "lastactivity", None),
        success=None if result is None else result == "success",
    )


def order_of(args: argparse.Namespace, default: SortField) -> Order:
    from mox.store.outgoing_select import Order, SortField

    sort: str | None = getattr(args, "sort", None)
    field = default if sort is None else SortField(sort)
    return Order(field=field, ascending=getattr(args, "asc", False), limit=args.n)


def _ids(text: str) -> Sequence[int]:
    return [queue_id(word) for word in text.split(",")]


def queue_id(text: str) -> int:
    """The type of an argument that is an id."""
    number = int(text)
    if not 0 < number < 1 << 64:
        raise argparse.ArgumentTypeError("must be an id as listed")
    return number


def _count(text: str) -> int:
    number = int(text)
    if number < 0:
        raise argparse.ArgumentTypeError("must not be negative")
    return number


def _yes_no(text: str) -> bool:
    if text not in ("true", "false"):
        raise argparse.ArgumentTypeError('must be "true" or "false"')
    return text == "true"


def _bound(text: str) -> Bound:
    from mox.store.outgoing_select import Bound

    if text[:1] not in ("<", ">"):
        raise argparse.ArgumentTypeError(
            'must start with "<" for before or ">" for after a duration'
        )
    rest = text[1:].strip()
    return Bound(text[0] == "<", time.time() + (0.0 if rest == "now" else duration_s(rest)))


def duration_s(text: str) -> float:
    """The type of an argument that is a duration such as 1h30m."""
    from mox.config.scalars import parse_duration

    try:
        return parse_duration(text).total_seconds()
    except ValueError as e:
        raise argparse.ArgumentTypeError(str(e)) from e


# ---- form


def shown(path: Path) -> str:
    """Return an address in Unicode, followed by its form in ASCII if that is another."""
    from mox.address import format_domain, format_localpart
    from mox.logfmt import quote

    text = str(path)
    if text.isascii() or path.domain is None:
        return text
    localpart = format_localpart(path.localpart)
    if not localpart.isascii():
        escaped = (c if c.isascii() else f"\\u{ord(c):04x}" for c in quote(path.localpart))
        localpart = "".join(escaped)
    return f"{text}/{localpart}@{format_domain(path.domain, False)}"


def second(when: float) -> str:
    """Return a time to the second, as 2026-11-23T12:58:56Z."""
    return datetime.fromtimestamp(int(when), UTC).isoformat().replace("+00:00", "Z")


def json_time(when: float) -> str:
    """Return a time as programs of the web API know it, as 2026-11-23T12:58:56.123456Z."""
    return datetime.fromtimestamp(when, UTC).isoformat().replace("+00:00", "Z")
