"""Commands about webhooks: calls that wait, and calls that are over and remembered for a while."""

from __future__ import annotations

import argparse
import json
import time
from typing import TYPE_CHECKING

from mox.cli import queueoffice
from mox.cli.command import Command
from mox.cli.queueoffice import open_office, opened_store
from mox.errors import UserError
from mox.logfmt import go_duration, quote

if TYPE_CHECKING:
    from collections.abc import Callable

    from mox.store.hook_records import Hook, HookId, HookResult, RetiredHook
    from mox.store.hooks import Hooks
    from mox.store.hooks_select import HookFilter
    from mox.store.outgoing_select import Order

_STEP = 200
CANCELED = "canceled by admin"


def _filter_of(args: argparse.Namespace) -> HookFilter:
    from mox.store.hooks_select import HookFilter

    return HookFilter(
        ids=args.ids,
        account=args.account,
        event=args.event or "",
        submitted=args.submitted,
        next_attempt=getattr(args, "nextattempt", None),
        last_activity=getattr(args, "lastactivity", None),
    )


def _order_of(args: argparse.Namespace, default: str) -> Order:
    from mox.store.outgoing_select import Order, SortField

    sort: str = getattr(args, "sort", default)
    field = SortField.QUEUED if sort == "submitted" else SortField(sort)
    return Order(field=field, ascending=getattr(args, "asc", False), limit=args.n)


def _chosen(hooks: Hooks, args: argparse.Namespace) -> list[HookId]:
    from mox.store.hooks_select import select_hooks

    return select_hooks(hooks, _filter_of(args), _order_of(args, "nextattempt"))


def _in_steps(ids: list[HookId], change: Callable[[list[HookId]], int]) -> int:
    """Change in steps that leave the index to others in between."""
    return sum(change(ids[start : start + _STEP]) for start in range(0, len(ids), _STEP))


# ---- looking


def _list(args: argparse.Namespace) -> int:
    from mox.store.hooks import Hooks

    print("webhooks:")
    with opened_store(args) as store:
        hooks, now = Hooks(store), time.time()
        ids = _chosen(hooks, args)
        for id in ids:
            hook = hooks.get(id)
            if hook is not None:
                due = go_duration(round(hook.next_attempt - now))
                print(_line(hook, f"account:{hook.account} next {due}", now))
    if not ids:
        print("(none)")
    return 0


def _list_retired(args: argparse.Namespace) -> int:
    from mox.store.hooks import Hooks
    from mox.store.hooks_select import select_retired_hooks

    print("retired webhooks:")
    with opened_store(args) as store:
        hooks, now = Hooks(store), time.time()
        ids = select_retired_hooks(hooks, _filter_of(args), _order_of(args, "lastactivity"))
        for id in ids:
            hook = hooks.get_retired(id)
            if hook is not None:
                success = "success" if hook.success else "failure"
                print(_line(hook, f"{success} account:{hook.account}", now))
    if not ids:
        print("(none)")
    return 0


def _line(hook: Hook | RetiredHook, text: str, now: float) -> str:
    result = hook.results[-1] if hook.results else None
    last = go_duration(round(now - result.start)) if result is not None else ""
    error = result.error if result is not None else ""
    return (
        f"{hook.id:5} {queueoffice.second(hook.submitted)} {text} last {last} "
        f"error {quote(error)} url {hook.url}"
    )


def _print(args: argparse.Namespace) -> int:
    from mox.store.hook_records import HookId
    from mox.store.hooks import Hooks

    with opened_store(args) as store:
        hooks = Hooks(store)
        hook, body = hooks.get(HookId(args.id)), hooks.body(HookId(args.id))
    if hook is None:
        raise UserError("getting webhook: not found")
    # Authorization is for the receiver; whoever needs to see it looks into the configuration.
    _print_object(
        _start_of(hook, body, has_authorization=bool(hook.authorization))
        | {
            "Attempts": hook.attempts,
            "NextAttempt": queueoffice.json_time(hook.next_attempt),
            "Results": [_result(one) for one in hook.results],
        }
    )
    return 0


def _print_retired(args: argparse.Namespace) -> int:
    from mox.store.hook_records import HookId
    from mox.store.hooks import Hooks

    with opened_store(args) as store:
        hooks = Hooks(store)
        hook, body = hooks.get_retired(HookId(args.id)), hooks.body(HookId(args.id))
    if hook is None:
        raise UserError("getting retired webhook: not found")
    _print_object(
        _start_of(hook, body, has_authorization=hook.has_authorization)
        | {
            "SupersededByID": hook.superseded_by_id,
            "Attempts": hook.attempts,
            "Results": [_result(one) for one in hook.results],
            "Success": hook.success,
            "LastActivity": queueoffice.json_time(hook.last_activity),
            "KeepUntil": queueoffice.json_time(hook.keep_until),
        }
    )
    return 0


def _print_object(found: dict[str, object]) -> None:
    print(json.dumps(found, indent="\t", ensure_ascii=False))


def _start_of(
    hook: Hook | RetiredHook, body: bytes, *, has_authorization: bool
) -> dict[str, object]:
    """Return what live and retired calls share, with the names that programs know."""
    return {
        "ID": hook.id,
        "QueueMsgID": hook.queue_msg_id,
        "FromID": hook.from_id,
        "MessageID": hook.message_id,
        "Subject": hook.subject,
        "Extra": hook.extra or None,
        "Account": hook.account,
        "URL": hook.url,
        "Authorization": has_authorization,
        "IsIncoming": hook.is_incoming,
        "OutgoingEvent": hook.event,
        "Payload": body.decode("utf-8", "replace"),
        "Submitted": queueoffice.json_time(hook.submitted),
    }


def _result(result: HookResult) -> dict[str, object]:
    return {
        "Start": queueoffice.json_time(result.start),
        "Duration": round(result.duration_s * 1e9),
        "URL": result.url,
        "Success": result.success,
        "Code": result.code,
        "Error": result.error,
        "Response": result.response,
    }


# ---- changing


def _schedule(args: argparse.Namespace) -> int:
    from msgspec import structs

    from mox.store.hooks import Hooks

    now = time.time()

    def moved(hook: Hook) -> Hook:
        base = now if args.now else hook.next_attempt
        return structs.replace(hook, next_attempt=base + args.duration)

    with opened_store(args) as store:
        hooks = Hooks(store)
        count = _in_steps(_chosen(hooks, args), lambda step: hooks.update(step, moved))
    print(f"{count} webhook(s) rescheduled")
    return 0


def _cancel(args: argparse.Namespace) -> int:
    from mox.delivery.webhooks import keep_until
    from mox.store.hook_records import HookResult
    from mox.store.hooks import Hooks

    with open_office(args) as office:
        hooks, now = Hooks(office.store), time.time()
        result = HookResult(now, error=CANCELED)

        def cancel(step: list[HookId]) -> int:
            return hooks.cancel(
                step, result, lambda account: keep_until(office.config, account, now)
            )

        count = _in_steps(_chosen(hooks, args), cancel)
    print(f"{count} webhook(s)s marked as canceled")
    return 0


# ---- flags


def _shared_flags(parser: argparse.ArgumentParser) -> None:
    from mox.store.hook_records import INCOMING
    from mox.webapi.hooks import Event

    queueoffice.choice_flags(parser)
    events = (INCOMING, *(event.value for event in Event))
    parser.add_argument("-event", choices=events, metavar="event", help="incoming, or delivered, …")


def _live_flags(parser: argparse.ArgumentParser) -> None:
    _shared_flags(parser)
    queueoffice.next_attempt_flag(parser)


def _configure_list(parser: argparse.ArgumentParser) -> None:
    _live_flags(parser)
    queueoffice.sort_flags(parser, "nextattempt", "submitted", "queued")


def _configure_schedule(parser: argparse.ArgumentParser) -> None:
    _live_flags(parser)
    parser.add_argument("-now", action="store_true", help="from now on, not from the time it has")
    parser.add_argument("duration", type=queueoffice.duration_s, help="such as 30m or 1h30m")


def _configure_print(parser: argparse.ArgumentParser) -> None:
    parser.add_argument("id", type=queueoffice.queue_id, help="as listed")


def _configure_list_retired(parser: argparse.ArgumentParser) -> None:
    _shared_flags(parser)
    queueoffice.last_activity_flag(parser)
    queueoffice.sort_flags(parser, "lastactivity", "submitted", "queued")


COMMANDS = [
    Command(
        ("queue", "webhook", "list"),
        "List the webhooks that wait to be called: id, when the event happened, account, time "
        "until the next attempt, time since the last one, its error, and the URL.",
        _configure_list,
        _list,
    ),
    Command(
        ("queue", "webhook", "schedule"),
        "Move the next attempt of webhooks by a duration. Attempts still count. Without flags: all "
        "webhooks.",
        _configure_schedule,
        _schedule,
    ),
    Command(
        ("queue", "webhook", "cancel"),
        "Give webhooks up: they are not called any more. Without flags: all webhooks.",
        _live_flags,
        _cancel,
    ),
    Command(
        ("queue", "webhook", "print"),
        "Print all about a webhook that waits, with what is sent and the result of each attempt, "
        "as JSON.",
        _configure_print,
        _print,
    ),
    Command(
        ("queue", "webhook", "retired", "list"),
        "List webhooks that are over, as long as the account's KeepRetiredWebhookPeriod says: id, "
        "when the event happened, how it ended, account, time since the last attempt, its error, "
        "and the URL.",
        _configure_list_retired,
        _list_retired,
    ),
    Command(
        ("queue", "webhook", "retired", "print"),
        "Print all that is remembered about a webhook that is over, as JSON.",
        _configure_print,
        _print_retired,
    ),
]
