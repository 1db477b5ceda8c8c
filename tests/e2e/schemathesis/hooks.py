"""Makes of what schemathesis thinks of, when it means to be right, calls that can work.

Two of three times: else addresses that are none and messages that are not there stay.
"""

from __future__ import annotations

import json
from collections.abc import Callable
from zlib import crc32

import schemathesis

MESSAGES = 60
MAILBOXES = ("Archive", "Inbox", "Junk", "Trash")
FLAGS = ("\\Seen", "\\Flagged", "$Forwarded", "mine", "$Junk", "$NotJunk")


@schemathesis.hook
def before_call(
    context: schemathesis.HookContext, case: schemathesis.Case, kwargs: dict[str, object]
) -> None:
    if case.meta is None or not case.meta.generation.mode.is_positive or case.method != "POST":
        return
    number = crc32(repr(case.body).encode())
    if number % 3 == 0:
        return
    name = case.operation.path.rpartition("/")[2]
    if case.media_type == "application/json":
        case.body = _plausible(name, case.body, number)
    elif isinstance(case.body, dict) and isinstance(case.body.get("request"), str):
        case.body = {**case.body, "request": json.dumps(_plausible(name, {}, number))}


def _plausible(name: str, body: object, number: int) -> object:
    fields = dict(body) if isinstance(body, dict) else {}
    if name == "Send":
        return _message(fields, number)
    if name == "SuppressionList":
        return fields
    if name.startswith("Suppression"):
        return {**fields, "EmailAddress": f"user{number % 20}@example.org"}
    fields["MsgID"] = number % MESSAGES + 1
    if name == "MessageMove":
        fields["DestMailboxName"] = MAILBOXES[number % len(MAILBOXES)]
    if name.startswith("MessageFlags"):
        fields["Flags"] = _each(fields.get("Flags"), lambda n: FLAGS[n % len(FLAGS)])
    if name == "MessagePartGet":
        fields["PartPath"] = [number % 2]
    return fields


def _message(fields: dict[str, object], number: int) -> object:
    def address(number: int) -> object:
        return {"Name": f"N {number % 100}", "Address": f"user{number % 20}@example.org"}

    lists = {name: _each(fields.get(name), address) for name in ("CC", "BCC", "ReplyTo")}
    kept = {name: fields.get(name) for name in ("RequireTLS", "SaveSent", "Extra", "Date", "HTML")}
    return {**kept, **lists, "To": [address(number)], "Text": str(fields.get("Text")) or "x"}


def _each(items: object, make: Callable[[int], object]) -> list[object]:
    """As many as there are, made from what they are."""
    found = items if isinstance(items, list) else []
    return [make(crc32(repr(item).encode())) for item in found]
