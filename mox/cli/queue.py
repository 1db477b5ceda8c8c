"""Commands about the queue of outgoing mail; they work whether the server runs or not."""

from __future__ import annotations

import argparse
import time
from collections.abc import Callable
from datetime import UTC, datetime
from typing import TYPE_CHECKING

from mox.cli.command import Command, Globals, no_arguments
from mox.cli.owner import become_owner
from mox.errors import UserError
from mox.logfmt import go_duration, quote

if TYPE_CHECKING:
    from mox.store.outgoing import Outgoing
    from mox.store.outgoing_records import QueueMessage

# Records in memory at a time.
_SLICE = 500


def _list(args: argparse.Namespace) -> int:
    return _with_queue(args, _print_all)


def _print_all(queue: Outgoing) -> int:
    now = time.time()
    last = 0
    while messages := queue.messages(last, _SLICE):
        for msg in messages:
            print(_line(msg, now))
        last = messages[-1].id
    if not last:
        print("(none)")
    return 0


def _line(msg: QueueMessage, now: float) -> str:
    queued = datetime.fromtimestamp(int(msg.queued), UTC).isoformat().replace("+00:00", "Z")
    due = "hold" if msg.hold else go_duration(round(msg.next_attempt - now))
    last = go_duration(round(now - msg.last_attempt)) if msg.last_attempt else "-"
    error = msg.results[-1].error if msg.results else ""
    return (
        f"{msg.id:5} {queued} from:{msg.sender.path()} to:{msg.recipient.path()} "
        f"next {due} last {last} error {quote(error)}"
    )


def _kick(args: argparse.Namespace) -> int:
    return _with_queue(args, lambda queue: _kick_those(queue, args.id))


def _kick_those(queue: Outgoing, ids: list[int]) -> int:
    from msgspec import structs

    from mox.store.outgoing_records import QueueId

    now = time.time()
    wanted = [QueueId(id) for id in ids] or [msg.id for msg in queue.messages()]
    missing = [str(id) for id in wanted if ids and queue.get(id) is None]
    if missing:
        raise UserError(f"not in the queue: {', '.join(missing)}")
    changed = queue.update(wanted, lambda msg: structs.replace(msg, next_attempt=now))
    print(f"{len(changed)} messages will be tried now")
    return 0


def _with_queue(args: argparse.Namespace, work: Callable[[Outgoing], int]) -> int:
    from mox.config import read_data_dir
    from mox.store import open_store
    from mox.store.outgoing import Outgoing

    given: Globals = args.globals
    data_dir = read_data_dir(given.config)
    become_owner(data_dir)
    store = open_store(data_dir)
    try:
        return work(Outgoing(store))
    finally:
        store.close()


def _configure_kick(parser: argparse.ArgumentParser) -> None:
    parser.add_argument("id", nargs="*", type=int, help="as listed; without any: all messages")


COMMANDS = [
    Command(
        ("queue", "list"),
        "List the messages that wait for delivery: id, when queued, sender, recipient, time until "
        "the next attempt, time since the last one, and its error.",
        no_arguments,
        _list,
    ),
    Command(
        ("queue", "kick"),
        "Try messages now instead of at their time. Their attempts still count.",
        _configure_kick,
        _kick,
    ),
]
