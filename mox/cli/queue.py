"""Commands about the queue of outgoing mail; they work whether the server runs or not."""

from __future__ import annotations

import argparse
import sys
import time
from typing import TYPE_CHECKING

from mox.cli import queueoffice
from mox.cli.command import DURATION, Command
from mox.cli.queueoffice import filter_of, live_flags, open_office, opened_store, order_of
from mox.errors import UserError
from mox.logfmt import go_duration, quote

if TYPE_CHECKING:
    from mox.queue.admin import Change
    from mox.store.outgoing import Outgoing
    from mox.store.outgoing_records import QueueId, QueueMessage

_TLS = {"yes": True, "no": False, "default": None}


def _chosen(queue: Outgoing, args: argparse.Namespace) -> list[QueueId]:
    from mox.store.outgoing_select import SortField, select

    return select(queue, filter_of(args), order_of(args, SortField.NEXT_ATTEMPT))


def _change(args: argparse.Namespace, how: Change, text: str) -> int:
    """Change the chosen messages and print how many, `text` with a number."""
    from mox.queue import admin
    from mox.store.outgoing import Outgoing

    with opened_store(args) as store:
        queue = Outgoing(store)
        print(text.format(admin.change(queue, _chosen(queue, args), how)))
    return 0


# ---- looking


def _list(args: argparse.Namespace) -> int:
    from mox.store.outgoing import Outgoing

    print("messages:")
    with opened_store(args) as store:
        queue, now = Outgoing(store), time.time()
        ids = _chosen(queue, args)
        for id in ids:
            msg = queue.get(id)
            if msg is not None:
                print(_line(msg, now))
    if not ids:
        print("(none)")
    return 0


def _line(msg: QueueMessage, now: float) -> str:
    due = "hold" if msg.hold else go_duration(round(msg.next_attempt - now))
    last = go_duration(round(now - msg.last_attempt)) if msg.last_attempt else ""
    error = msg.results[-1].error if msg.results else ""
    return (
        f"{msg.id:5} {queueoffice.second(msg.queued)} "
        f"from:{queueoffice.shown(msg.sender.path())} "
        f"to:{queueoffice.shown(msg.recipient.path())} "
        f"next {due} last {last} error {quote(error)}"
    )


def _dump(args: argparse.Namespace) -> int:
    from mox.store.outgoing import Outgoing
    from mox.store.outgoing_records import QueueId

    with opened_store(args) as store:
        queue = Outgoing(store)
        msg = queue.get(QueueId(args.id))
        if msg is None:
            raise UserError("opening message: absent")
        for piece in queue.chunks(msg):
            sys.stdout.buffer.write(piece)
        sys.stdout.buffer.flush()
    return 0


# ---- changing


def _hold(args: argparse.Namespace) -> int:
    from mox.queue import admin

    return _change(args, admin.hold(True), "{} messages changed")


def _unhold(args: argparse.Namespace) -> int:
    from mox.queue import admin

    return _change(args, admin.hold(False), "{} messages changed")


def _schedule(args: argparse.Namespace) -> int:
    from mox.queue import admin

    how = (
        admin.schedule_at(time.time() + args.duration)
        if args.now
        else admin.postpone(args.duration)
    )
    return _change(args, how, "{} message(s) rescheduled")


def _kick(args: argparse.Namespace) -> int:
    from mox.queue import admin
    from mox.store.outgoing import Outgoing
    from mox.store.outgoing_records import QueueId

    args.ids = [*args.ids, *args.id]
    with opened_store(args) as store:
        queue = Outgoing(store)
        missing = [str(id) for id in args.ids if queue.get(QueueId(id)) is None]
        if missing:
            raise UserError(f"not in the queue: {', '.join(missing)}")
        count = admin.change(queue, _chosen(queue, args), admin.schedule_at(time.time()))
    print(f"{count} messages will be tried now")
    return 0


def _transport(args: argparse.Namespace) -> int:
    from mox.queue import admin

    with open_office(args) as office:
        if args.name and args.name not in office.config.static.transports:
            raise UserError(f"no transport {args.name!r} in the configuration")
        ids = _chosen(office.outgoing, args)
        count = admin.change(office.outgoing, ids, admin.transport(args.name))
    print(f"{count} message(s) changed")
    return 0


def _require_tls(args: argparse.Namespace) -> int:
    from mox.queue import admin

    return _change(args, admin.require_tls(_TLS[args.wanted]), "{} message(s) changed")


def _fail(args: argparse.Namespace) -> int:
    from mox.queue import admin

    with open_office(args) as office:
        count = admin.fail(office, _chosen(office.outgoing, args), time.time())
    print(f"{count} message(s) marked as failed")
    return 0


def _drop(args: argparse.Namespace) -> int:
    from mox.queue import admin

    with open_office(args) as office:
        count = admin.drop(office, _chosen(office.outgoing, args), time.time())
    print(f"{count} message(s) dropped")
    return 0


# ---- flags


def _configure_list(parser: argparse.ArgumentParser) -> None:
    live_flags(parser)
    queueoffice.sort_flags(parser, "nextattempt", "queued")


def _configure_dump(parser: argparse.ArgumentParser) -> None:
    parser.add_argument("id", type=queueoffice.queue_id, help="as listed")


def _configure_schedule(parser: argparse.ArgumentParser) -> None:
    live_flags(parser)
    parser.add_argument("-now", action="store_true", help="from now on, not from the time it has")
    parser.add_argument("duration", type=queueoffice.duration_s, help="such as 30m or 1h30m")


def _configure_kick(parser: argparse.ArgumentParser) -> None:
    live_flags(parser)
    parser.add_argument(
        "id", nargs="*", type=queueoffice.queue_id, help="as listed; without any: all messages"
    )


def _configure_transport(parser: argparse.ArgumentParser) -> None:
    live_flags(parser)
    parser.add_argument("name", help='of a transport in mox.conf; "" for routing rules')


def _configure_require_tls(parser: argparse.ArgumentParser) -> None:
    live_flags(parser)
    parser.add_argument("wanted", choices=tuple(_TLS), help="default: as the server offers it")


COMMANDS = [
    Command(
        ("queue", "list"),
        "List the messages that wait for delivery: id, when queued, sender, recipient, time until "
        "the next attempt, time since the last one, and its error.",
        _configure_list,
        _list,
    ),
    Command(
        ("queue", "hold"),
        "Hold messages: they stay in the queue and are not attempted. Without flags: all.",
        live_flags,
        _hold,
    ),
    Command(
        ("queue", "unhold"),
        "Let held messages be delivered again. Without flags: all.",
        live_flags,
        _unhold,
    ),
    Command(
        ("queue", "schedule"),
        "Move the next attempt of messages by a duration. Attempts still count. Without flags: all "
        "messages.",
        _configure_schedule,
        _schedule,
        dashed=DURATION,
    ),
    Command(
        ("queue", "kick"),
        "Try messages now instead of at their time. Their attempts still count.",
        _configure_kick,
        _kick,
    ),
    Command(
        ("queue", "transport"),
        "Send messages over a transport from now on, whatever the routes say. Without flags: all.",
        _configure_transport,
        _transport,
    ),
    Command(
        ("queue", "requiretls"),
        "Set whether messages may only go over verified TLS (yes), over anything (no), or over the "
        "best that there is (default). Without flags: all messages.",
        _configure_require_tls,
        _require_tls,
    ),
    Command(
        ("queue", "fail"),
        "Give messages up, as if they could not be delivered: senders are told. Without flags: "
        "all messages.",
        live_flags,
        _fail,
    ),
    Command(
        ("queue", "drop"),
        "Remove messages without telling their senders. Without flags: all messages.",
        live_flags,
        _drop,
    ),
    Command(
        ("queue", "dump"),
        "Write a queued message to standard output, as it goes to the next server.",
        _configure_dump,
        _dump,
    ),
]
