"""Commands about messages that have left the queue and are remembered for a while."""

from __future__ import annotations

import argparse
import json
import time
from typing import TYPE_CHECKING

from mox.cli import queueoffice
from mox.cli.command import Command
from mox.cli.queueoffice import filter_of, json_time, opened_store, order_of
from mox.errors import UserError
from mox.logfmt import go_duration, quote

if TYPE_CHECKING:
    from mox.store.outgoing_records import AttemptResult, QueueAddress, RetiredMessage


def _list(args: argparse.Namespace) -> int:
    from mox.store.outgoing import Outgoing
    from mox.store.outgoing_select import SortField, select_retired

    print("retired messages:")
    with opened_store(args) as store:
        queue, now = Outgoing(store), time.time()
        ids = select_retired(queue, filter_of(args), order_of(args, SortField.LAST_ACTIVITY))
        for id in ids:
            msg = queue.get_retired(id)
            if msg is not None:
                print(_line(msg, now))
    if not ids:
        print("(none)")
    return 0


def _line(msg: RetiredMessage, now: float) -> str:
    last = go_duration(round(now - msg.last_attempt)) if msg.last_attempt else ""
    error = msg.results[-1].error if msg.results else ""
    return (
        f"{msg.id:5} {queueoffice.second(msg.queued)} "
        f"{'success' if msg.success else 'failure'} "
        f"from:{queueoffice.shown(msg.sender.path())} "
        f"to:{queueoffice.shown(msg.recipient.path())} "
        f"last {last} error {quote(error)}"
    )


def _print(args: argparse.Namespace) -> int:
    from mox.store.outgoing import Outgoing
    from mox.store.outgoing_records import QueueId

    with opened_store(args) as store:
        queue = Outgoing(store)
        msg = queue.get_retired(QueueId(args.id))
    if msg is None:
        raise UserError("getting retired message: not found")
    print(json.dumps(_object(msg), indent="\t", ensure_ascii=False))
    return 0


def _object(msg: RetiredMessage) -> dict[str, object]:
    """Return a record with the names and units that programs of the web API know."""
    return {
        "ID": msg.id,
        "BaseID": msg.base_id,
        "Queued": json_time(msg.queued),
        "SenderAccount": msg.sender_account,
        "SenderLocalpart": msg.sender.localpart,
        "SenderDomainStr": msg.sender.domain,
        "FromID": msg.from_id,
        "RecipientLocalpart": msg.recipient.localpart,
        "RecipientDomain": _domain(msg.recipient),
        "RecipientDomainStr": msg.recipient.domain,
        "Attempts": msg.attempts,
        "MaxAttempts": msg.max_attempts,
        "DialedIPs": msg.dialed_ips or None,
        "LastAttempt": json_time(msg.last_attempt) if msg.last_attempt else None,
        "Results": [_result(one) for one in msg.results],
        "Has8bit": msg.has_8bit,
        "SMTPUTF8": msg.smtputf8,
        "IsDMARCReport": msg.is_dmarc_report,
        "IsTLSReport": msg.is_tls_report,
        "Size": msg.size,
        "MessageID": msg.message_id,
        "Subject": msg.subject,
        "Transport": msg.transport,
        "RequireTLS": msg.require_tls,
        "FutureReleaseRequest": msg.future_release,
        "Extra": msg.extra or None,
        "LastActivity": json_time(msg.last_activity),
        "RecipientAddress": str(msg.recipient.path()),
        "Success": msg.success,
        "KeepUntil": json_time(msg.keep_until),
    }


def _result(result: AttemptResult) -> dict[str, object]:
    return {
        "Start": json_time(result.start),
        "Duration": round(result.duration_s * 1e9),
        "Success": result.success,
        "Code": result.code,
        "Secode": result.secode,
        "Error": result.error,
    }


def _domain(address: QueueAddress) -> dict[str, object]:
    different = address.unicode if address.unicode != address.ascii else ""
    return {"IP": address.ip, "Domain": {"ASCII": address.ascii, "Unicode": different}}


def _configure_list(parser: argparse.ArgumentParser) -> None:
    queueoffice.retired_flags(parser)
    queueoffice.sort_flags(parser, "lastactivity", "queued")


def _configure_print(parser: argparse.ArgumentParser) -> None:
    parser.add_argument("id", type=queueoffice.queue_id, help="as listed")


COMMANDS = [
    Command(
        ("queue", "retired", "list"),
        "List messages that have left the queue, as long as the account's "
        "KeepRetiredMessagePeriod says: id, when queued, how it ended, sender, recipient, time "
        "since the last attempt, and its error.",
        _configure_list,
        _list,
    ),
    Command(
        ("queue", "retired", "print"),
        "Print all that is remembered about a message that has left the queue, with the result of "
        "each attempt, as JSON.",
        _configure_print,
        _print,
    ),
]
