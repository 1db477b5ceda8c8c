"""The methods of the webapi: names, types and documentation."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Final

from msgspec import Struct

from mox.webapi import types
from mox.webapi.types import ErrorCode

# Below the configured path of the service.
VERSION: Final = "v0"

# Multipart file fields of Send, and the fields of its request that they add to.
FILE_FIELDS: Final = {
    "alternativefile": "alternative_files",
    "inlinefile": "inline_files",
    "attachedfile": "attached_files",
}

_COMMON: Final = (ErrorCode.PROTOCOL, ErrorCode.USER, ErrorCode.SERVER)


@dataclass(frozen=True, slots=True, kw_only=True)
class Method:
    """One method. `response` is None when it gives octets instead of JSON."""

    name: str
    request: type[Struct]
    response: type[Struct] | None
    summary: str
    description: str
    errors: tuple[ErrorCode, ...] = ()  # besides protocol, user and server

    @property
    def error_codes(self) -> tuple[ErrorCode, ...]:
        return (*_COMMON, *self.errors)


_ALL: Final = (
    Method(
        name="Send",
        request=types.SendRequest,
        response=types.SendResult,
        summary="Compose a message and put it into the queue for its recipients.",
        description=(
            "The message is composed from text, HTML and files, signed, and queued for all "
            "recipients or for none. Webhooks tell what becomes of it. Instead of in base64, "
            "files can be uploaded as multipart/form-data: `alternativefile`, `inlinefile` and "
            "`attachedfile`, each as often as needed, with Content-Type and Content-ID of the "
            "part taken over. With a header Idempotency-Key a repeated call within 24 hours "
            "gives the first answer and sends nothing."
        ),
        errors=(
            ErrorCode.BAD_ADDRESS,
            ErrorCode.MISSING_BODY,
            ErrorCode.MULTIPLE_FROM,
            ErrorCode.BAD_FROM,
            ErrorCode.DOMAIN_DISABLED,
            ErrorCode.NO_RECIPIENTS,
            ErrorCode.MESSAGE_LIMIT_REACHED,
            ErrorCode.RECIPIENT_LIMIT_REACHED,
            ErrorCode.MESSAGE_TOO_LARGE,
            ErrorCode.MALFORMED_MESSAGE_ID,
            ErrorCode.SENT_OVER_QUOTA,
            ErrorCode.IDEMPOTENCY_KEY_REUSED,
        ),
    ),
    Method(
        name="SuppressionList",
        request=types.SuppressionListRequest,
        response=types.SuppressionListResult,
        summary="List the addresses that the account does not send to.",
        description=(
            "Addresses get on the list when mail to them fails for good, or with SuppressionAdd. "
            "Messages to them fail at once, with the event `suppressed`."
        ),
    ),
    Method(
        name="SuppressionAdd",
        request=types.SuppressionAddRequest,
        response=types.Empty,
        summary="Add an address to the suppression list.",
        description="It is an error, with the code `error`, when its base form is on the list.",
        errors=(ErrorCode.BAD_ADDRESS, ErrorCode.ERROR),
    ),
    Method(
        name="SuppressionRemove",
        request=types.SuppressionRemoveRequest,
        response=types.Empty,
        summary="Remove an address from the suppression list.",
        description="It is an error, with the code `error`, when its base form is not on the list.",
        errors=(ErrorCode.BAD_ADDRESS, ErrorCode.ERROR),
    ),
    Method(
        name="SuppressionPresent",
        request=types.SuppressionPresentRequest,
        response=types.SuppressionPresentResult,
        summary="Say whether an address is on the suppression list.",
        description="The address is looked for by its base form.",
        errors=(ErrorCode.BAD_ADDRESS,),
    ),
    Method(
        name="MessageGet",
        request=types.MessageGetRequest,
        response=types.MessageGetResult,
        summary="Get a message in parsed form.",
        description=(
            "Text and HTML are decoded; attachments and inline files are in the structure, and "
            "MessagePartGet returns their content."
        ),
        errors=(ErrorCode.MESSAGE_NOT_FOUND,),
    ),
    Method(
        name="MessageRawGet",
        request=types.MessageRawGetRequest,
        response=None,
        summary="Get a message in its original form.",
        description="The answer is the message itself, with CRLF line ends, not JSON.",
        errors=(ErrorCode.MESSAGE_NOT_FOUND,),
    ),
    Method(
        name="MessagePartGet",
        request=types.MessagePartGetRequest,
        response=None,
        summary="Get one part of a message, such as an attachment.",
        description=(
            "The answer is the content of the part, not JSON: base64 or quoted-printable is "
            "undone, text keeps its charset."
        ),
        errors=(ErrorCode.MESSAGE_NOT_FOUND, ErrorCode.PART_NOT_FOUND),
    ),
    Method(
        name="MessageDelete",
        request=types.MessageDeleteRequest,
        response=types.Empty,
        summary="Remove a message for good.",
        description="It does not go to the Trash mailbox first; for that there is MessageMove.",
        errors=(ErrorCode.MESSAGE_NOT_FOUND,),
    ),
    Method(
        name="MessageFlagsAdd",
        request=types.MessageFlagsAddRequest,
        response=types.Empty,
        summary="Set flags on a message.",
        description="`$Junk` and `$NotJunk` train the junk filter as in other mail programs.",
        errors=(ErrorCode.MESSAGE_NOT_FOUND,),
    ),
    Method(
        name="MessageFlagsRemove",
        request=types.MessageFlagsRemoveRequest,
        response=types.Empty,
        summary="Clear flags on a message.",
        description="`$Junk` and `$NotJunk` train the junk filter as in other mail programs.",
        errors=(ErrorCode.MESSAGE_NOT_FOUND,),
    ),
    Method(
        name="MessageMove",
        request=types.MessageMoveRequest,
        response=types.Empty,
        summary="Move a message to another mailbox.",
        description="Its MsgID stays the same.",
        errors=(ErrorCode.MESSAGE_NOT_FOUND,),
    ),
)

# In alphabetical order, as they are listed for people.
METHODS: Final[dict[str, Method]] = {
    method.name: method for method in sorted(_ALL, key=lambda method: method.name)
}
