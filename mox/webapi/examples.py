"""An example of each call, for documentation: what is asked, and what may come back."""

from __future__ import annotations

from dataclasses import dataclass
from datetime import UTC, datetime
from typing import Final

import msgspec
from msgspec import Struct

from mox.webapi import types
from mox.webapi.hookexamples import HOOK_EXAMPLES
from mox.webapi.types import MessageAddress, NameAddress

Json = None | bool | int | float | str | list["Json"] | dict[str, "Json"]


@dataclass(frozen=True, slots=True)
class Example:
    """`response` is None for methods that give octets."""

    request: Struct
    response: Struct | None


_WHEN: Final = datetime(2026, 11, 23, 12, 55, 40, tzinfo=UTC)
_DONE: Final = types.Empty()

EXAMPLES: Final[dict[str, Example]] = {
    "Send": Example(
        types.SendRequest(
            to=(NameAddress(name="Ada", address="ada@example.org"),),
            subject="Your order",
            text="Your order is on its way.\n",
            extra={"order": "42"},
        ),
        types.SendResult(
            message_id="<IMcLgAwXpcPE2-Hh6sRPJw@mail.example.com>",
            submissions=(
                types.Submission(
                    address="ada@example.org", queue_msg_id=7, from_id="euSvcsknhPHGvRJfjNdhFA"
                ),
            ),
        ),
    ),
    "SuppressionList": Example(
        types.SuppressionListRequest(),
        types.SuppressionListResult(
            (
                types.Suppression(
                    id=5,
                    created=_WHEN,
                    account="shop",
                    base_address="adalovelace@example.org",
                    original_address="Ada.Lovelace+orders@example.org",
                    manual=False,
                    reason="delivery failure from queue: 550 5.1.1 no such user",
                ),
            )
        ),
    ),
    "SuppressionAdd": Example(
        types.SuppressionAddRequest(
            email_address="ada@example.org", manual=True, reason="asked by telephone"
        ),
        _DONE,
    ),
    "SuppressionRemove": Example(
        types.SuppressionRemoveRequest(email_address="ada@example.org"), _DONE
    ),
    "SuppressionPresent": Example(
        types.SuppressionPresentRequest(email_address="ada@example.org"),
        types.SuppressionPresentResult(present=True),
    ),
    "MessageGet": Example(
        types.MessageGetRequest(msg_id=28),
        types.MessageGetResult(
            types.Message(
                from_=(MessageAddress(name="Ada", address="ada@example.org"),),
                to=(MessageAddress(name="", address="shop@example.com"),),
                message_id="<z41vnR6sWb9KdYtMf-aZQg@example.org>",
                references=("<IMcLgAwXpcPE2-Hh6sRPJw@mail.example.com>",),
                date=_WHEN,
                subject="Re: Your order",
                text="Thank you!\n",
            ),
            types.Structure(
                content_type="text/plain",
                content_type_params={"charset": "utf-8"},
                decoded_size=12,
            ),
            types.Meta(
                size=1796,
                flags=("\\seen",),
                mail_from="ada@example.org",
                mail_from_validated=True,
                rcpt_to="shop@example.com",
                msg_from="ada@example.org",
                msg_from_validated=True,
                dkim_verified_domains=("example.org",),
                remote_ip="192.0.2.25",
                mailbox_name="Inbox",
            ),
        ),
    ),
    "MessageRawGet": Example(types.MessageRawGetRequest(msg_id=28), None),
    "MessagePartGet": Example(types.MessagePartGetRequest(msg_id=28, part_path=(1,)), None),
    "MessageDelete": Example(types.MessageDeleteRequest(msg_id=28), _DONE),
    "MessageFlagsAdd": Example(
        types.MessageFlagsAddRequest(msg_id=28, flags=("\\Seen", "answered-by-robot")), _DONE
    ),
    "MessageFlagsRemove": Example(
        types.MessageFlagsRemoveRequest(msg_id=28, flags=("\\Seen",)), _DONE
    ),
    "MessageMove": Example(types.MessageMoveRequest(msg_id=28, dest_mailbox_name="Archive"), _DONE),
}


def brief(value: Struct) -> dict[str, Json]:
    """Return a request without what has its default."""
    shown: dict[str, Json] = {}
    for field in msgspec.structs.fields(value):
        content = getattr(value, field.name)
        if field.required or content != field.default:
            shown[field.encode_name] = _shown(content)
    return shown


def _shown(value: object) -> Json:
    if isinstance(value, Struct):
        return brief(value)
    if isinstance(value, tuple):
        return [_shown(item) for item in value]
    plain: Json = msgspec.to_builtins(value)
    return plain


def hook_json(name: str) -> str:
    """Return the body of a webhook's call, indented."""
    return _indented(msgspec.to_builtins(HOOK_EXAMPLES[name]))


def request_json(method: str) -> str:
    """Return the example's request, indented."""
    return _indented(brief(EXAMPLES[method].request))


def response_json(method: str) -> str:
    """Return the example's response, indented; empty for a method that gives octets."""
    response = EXAMPLES[method].response
    return "" if response is None else _indented(msgspec.to_builtins(response))


def _indented(value: Json) -> str:
    return msgspec.json.format(msgspec.json.encode(value), indent=2).decode()
