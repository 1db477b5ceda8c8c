"""Requests, responses and errors of the webapi, version 0.

Decoding requests is for mox.webapi.decoding: it fills in what is missing or null with the
defaults. Of responses a client must ignore fields that it does not know, of requests the server
refuses them; so NameAddress, which is in both, has a tolerant form for responses.
"""

from __future__ import annotations

from datetime import datetime
from enum import StrEnum
from typing import Annotated, Final

from msgspec import Meta as Doc
from msgspec import Struct

from mox.webapi.naming import json_name

# Text and HTML of a message are cut after so many octets of UTF-8.
MAX_TEXT_OCTETS: Final = 1 << 20
# Furthest that a first attempt can be put off: 1440 hours.
MAX_FUTURE_RELEASE_S: Final = 60 * 24 * 3600
# A repeated key within this time gives the first answer.
IDEMPOTENCY_HEADER: Final = "Idempotency-Key"
IDEMPOTENCY_WINDOW_S: Final = 24 * 3600
MAX_IDEMPOTENCY_KEY: Final = 255

Time = Annotated[datetime, Doc(tz=True)]


class ErrorCode(StrEnum):
    """What kind of error it is, for programs; the message beside it is for people."""

    PROTOCOL = "protocol"
    USER = "user"
    SERVER = "server"
    ERROR = "error"
    BAD_ADDRESS = "badAddress"
    MISSING_BODY = "missingBody"
    MULTIPLE_FROM = "multipleFrom"
    BAD_FROM = "badFrom"
    DOMAIN_DISABLED = "domainDisabled"
    NO_RECIPIENTS = "noRecipients"
    MESSAGE_LIMIT_REACHED = "messageLimitReached"
    RECIPIENT_LIMIT_REACHED = "recipientLimitReached"
    MESSAGE_TOO_LARGE = "messageTooLarge"
    MALFORMED_MESSAGE_ID = "malformedMessageID"
    SENT_OVER_QUOTA = "sentOverQuota"
    MESSAGE_NOT_FOUND = "messageNotFound"
    PART_NOT_FOUND = "partNotFound"
    IDEMPOTENCY_KEY_REUSED = "idempotencyKeyReused"


ERROR_MEANINGS: Final[dict[ErrorCode, str]] = {
    ErrorCode.PROTOCOL: "The HTTP form or the JSON in it is malformed.",
    ErrorCode.USER: "The call makes no sense as it is; the message says why.",
    ErrorCode.SERVER: "The server failed. The same call may work later.",
    ErrorCode.ERROR: "The suppression list has the address already, or does not have it.",
    ErrorCode.BAD_ADDRESS: "An email address is malformed.",
    ErrorCode.MISSING_BODY: "Neither Text nor HTML was given.",
    ErrorCode.MULTIPLE_FROM: "More than one From address was given.",
    ErrorCode.BAD_FROM: "The From address does not belong to the account.",
    ErrorCode.DOMAIN_DISABLED: "The domain of the From address is disabled for now.",
    ErrorCode.NO_RECIPIENTS: "No recipient was given.",
    ErrorCode.MESSAGE_LIMIT_REACHED: (
        "The account has sent as many messages as it may within 24 hours."
    ),
    ErrorCode.RECIPIENT_LIMIT_REACHED: (
        "The account has written to as many new recipients as it may within 24 hours."
    ),
    ErrorCode.MESSAGE_TOO_LARGE: "The message with its files is larger than the server allows.",
    ErrorCode.MALFORMED_MESSAGE_ID: "A MessageID needs to begin with `<` and end with `>`.",
    ErrorCode.SENT_OVER_QUOTA: (
        "The message was sent, but there was no room for its copy in the Sent mailbox."
    ),
    ErrorCode.MESSAGE_NOT_FOUND: "There is no message with this MsgID, or not any more.",
    ErrorCode.PART_NOT_FOUND: "The message has no part at this PartPath.",
    ErrorCode.IDEMPOTENCY_KEY_REUSED: (
        "The Idempotency-Key was used for another request within the last 24 hours."
    ),
}


class Error(Struct, frozen=True, rename=json_name):
    """Body of every response with status 400."""

    code: Annotated[str, Doc(description="One of the error codes.")]
    message: Annotated[str, Doc(description="What is wrong, in words.")]


# ---- shared


class NameAddress(Struct, frozen=True, rename=json_name, forbid_unknown_fields=True):
    """An email address with the name that is shown for it."""

    name: Annotated[str, Doc(description="Display name; empty for none.")] = ""
    address: Annotated[
        str, Doc(description="`localpart@domain`; the domain in Unicode or in IDNA's ASCII form.")
    ] = ""


class MessageAddress(NameAddress, frozen=True, rename=json_name, forbid_unknown_fields=False):
    """An email address with its display name, as found in a message."""


class Message(Struct, frozen=True, kw_only=True, rename=json_name):
    """The parts of a message that most programs want, decoded."""

    from_: Annotated[
        tuple[MessageAddress, ...], Doc(description="Authors, nearly always one.")
    ] = ()
    to: tuple[MessageAddress, ...] = ()
    cc: tuple[MessageAddress, ...] = ()
    bcc: Annotated[
        tuple[MessageAddress, ...], Doc(description="Only in copies of sent messages.")
    ] = ()
    reply_to: Annotated[
        tuple[MessageAddress, ...], Doc(description="Where replies should go instead of to From.")
    ] = ()
    message_id: Annotated[
        str, Doc(description="Message-ID with its `<>`; empty when the message has none.")
    ] = ""
    references: Annotated[
        tuple[str, ...],
        Doc(description="Message-IDs, with `<>`, of the conversation so far, oldest first."),
    ] = ()
    date: Annotated[
        Time | None, Doc(description="Of the Date header; null when absent or unreadable.")
    ] = None
    subject: str = ""
    text: Annotated[
        str,
        Doc(description="Plain text body, lines end in `\\n`; cut at 1 MiB. Empty when absent."),
    ] = ""
    html: Annotated[
        str, Doc(description="HTML body, not sanitised; cut at 1 MiB. Empty when absent.")
    ] = ""


class Structure(Struct, frozen=True, kw_only=True, rename=json_name):
    """One MIME part with the parts in it. An attached message is one part without parts."""

    content_type: Annotated[
        str,
        Doc(description="In lower case, such as `text/plain`; `/` when the part does not say."),
    ] = "/"
    content_type_params: Annotated[
        dict[str, str], Doc(description="Such as `charset`; names in lower case.")
    ] = {}
    content_id: Annotated[
        str, Doc(description="With its `<>`, by which HTML refers to inline images.")
    ] = ""
    content_disposition: Annotated[
        str, Doc(description="`inline`, `attachment`, or empty when the part does not say.")
    ] = ""
    filename: str = ""
    decoded_size: Annotated[
        int,
        Doc(description="Octets after decoding, lines ending in CRLF. 0 for a multipart."),
    ] = 0
    parts: Annotated[
        tuple[Structure, ...], Doc(description="In order; their indices make up a PartPath.")
    ] = ()


class Suppression(Struct, frozen=True, kw_only=True, rename=json_name):
    """An address that the account does not send to."""

    id: int
    created: Time
    account: str
    base_address: Annotated[
        str,
        Doc(
            description="The form that is compared: lower case, no dots, nothing after `+` or `-`."
        ),
    ]
    original_address: Annotated[str, Doc(description="As it was added.")]
    manual: Annotated[bool, Doc(description="Added by a person or program, not by a failure.")]
    reason: str


# ---- Send


class File(Struct, frozen=True, kw_only=True, rename=json_name, forbid_unknown_fields=True):
    """A file that goes along in a message. Large ones are better uploaded as multipart files."""

    name: Annotated[str, Doc(description="File name.")] = ""
    content_type: Annotated[
        str, Doc(description="Media type, such as `image/png`. Guessed when empty.")
    ] = ""
    content_id: Annotated[
        str, Doc(description="With its `<>`, by which the HTML refers to the file.")
    ] = ""
    data: Annotated[str, Doc(description="Content in base64.")] = ""


class SendRequest(Struct, frozen=True, kw_only=True, rename=json_name, forbid_unknown_fields=True):
    """A message to compose and send."""

    from_: Annotated[
        tuple[NameAddress, ...],
        Doc(description="At most one. By default the login address and the account's full name."),
    ] = ()
    to: tuple[NameAddress, ...] = ()
    cc: tuple[NameAddress, ...] = ()
    bcc: Annotated[
        tuple[NameAddress, ...], Doc(description="Recipients that the others do not see.")
    ] = ()
    reply_to: tuple[NameAddress, ...] = ()
    message_id: Annotated[str, Doc(description="With its `<>`. By default a new one is made.")] = ""
    references: Annotated[
        tuple[str, ...],
        Doc(description="Message-IDs, with `<>`, of the conversation, oldest first."),
    ] = ()
    date: Annotated[Time | None, Doc(description="For the Date header; null for now.")] = None
    subject: str = ""
    text: Annotated[
        str, Doc(description="Plain text body. At least one of Text and HTML is needed.")
    ] = ""
    html: Annotated[str, Doc(description="HTML body.")] = ""
    extra: Annotated[
        dict[str, str],
        Doc(description="Kept with the message in the queue and repeated in webhooks about it."),
    ] = {}
    headers: Annotated[
        tuple[tuple[str, str], ...],
        Doc(description="More header fields, as pairs of name and value, in order."),
    ] = ()
    alternative_files: Annotated[
        tuple[File, ...], Doc(description="Other forms of the body, such as a calendar event.")
    ] = ()
    inline_files: Annotated[
        tuple[File, ...], Doc(description="Files that the HTML shows, by their ContentID.")
    ] = ()
    attached_files: tuple[File, ...] = ()
    require_tls: Annotated[
        bool | None,
        Doc(
            description="true: only over verified TLS, from server to server (REQUIRETLS). "
            "false: deliver also where a policy demands TLS and it fails. null: as policies say."
        ),
    ] = None
    future_release: Annotated[
        Time | None, Doc(description="Do not deliver before; at most 60 days ahead.")
    ] = None
    save_sent: Annotated[bool, Doc(description="Keep a copy in the Sent mailbox.")] = False


class Submission(Struct, frozen=True, kw_only=True, rename=json_name):
    """One recipient's message in the queue."""

    address: Annotated[str, Doc(description="The recipient, as in the request.")]
    queue_msg_id: Annotated[int, Doc(description="Also in webhooks about the message.")]
    from_id: Annotated[
        str,
        Doc(description="Unique part of the sender address; empty unless configured for the login"),
    ]


class SendResult(Struct, frozen=True, kw_only=True, rename=json_name):
    """What became of a message: all recipients are in the queue."""

    message_id: Annotated[str, Doc(description="With its `<>`.")]
    submissions: Annotated[
        tuple[Submission, ...], Doc(description="In the order of To, CC and BCC.")
    ]


# ---- suppression list


class SuppressionListRequest(Struct, frozen=True, rename=json_name, forbid_unknown_fields=True):
    """Nothing to ask for."""


class SuppressionListResult(Struct, frozen=True, rename=json_name):
    """The account's list."""

    suppressions: Annotated[
        tuple[Suppression, ...], Doc(description="In the order of base addresses.")
    ] = ()


class SuppressionAddRequest(
    Struct, frozen=True, kw_only=True, rename=json_name, forbid_unknown_fields=True
):
    """An address for the list."""

    email_address: str = ""
    manual: Annotated[
        bool, Doc(description="Whether a person decided it, rather than a failure.")
    ] = False
    reason: str = ""


class SuppressionRemoveRequest(Struct, frozen=True, rename=json_name, forbid_unknown_fields=True):
    """An address to take off the list."""

    email_address: Annotated[str, Doc(description="Found by its base form.")] = ""


class SuppressionPresentRequest(Struct, frozen=True, rename=json_name, forbid_unknown_fields=True):
    """An address to look for."""

    email_address: Annotated[str, Doc(description="Found by its base form.")] = ""


class SuppressionPresentResult(Struct, frozen=True, rename=json_name):
    """Whether the list has the address."""

    present: bool = False


# ---- messages in mailboxes

MsgID = Annotated[
    int,
    Doc(
        description="Number of the message in the account, as in incoming webhooks. "
        "It stays the same when the message is moved.",
        ge=-(1 << 63),
        le=(1 << 63) - 1,
    ),
]
PartIndex = Annotated[int, Doc(ge=-(1 << 63), le=(1 << 63) - 1)]
Flags = Annotated[
    tuple[str, ...],
    Doc(
        description="Such as `\\Seen`, `\\Flagged`, `$Forwarded`, `$Junk`, or keywords of your own."
    ),
]


class Meta(Struct, frozen=True, kw_only=True, rename=json_name):
    """What the server knows of a message beyond its content."""

    size: Annotated[int, Doc(description="Octets of the whole message, lines ending in CRLF.")] = 0
    dsn: Annotated[bool, Doc(description="It is a notification about a delivery.")] = False
    flags: Annotated[tuple[str, ...], Doc(description="In lower case, well-known ones first.")] = ()
    mail_from: Annotated[str, Doc(description="SMTP sender; empty unless received by SMTP.")] = ""
    mail_from_validated: Annotated[bool, Doc(description="SPF passed for it.")] = False
    rcpt_to: Annotated[str, Doc(description="SMTP recipient.")] = ""
    msg_from: Annotated[str, Doc(description="Address of the From header.")] = ""
    msg_from_validated: Annotated[
        bool, Doc(description="Verified for the From address: DMARC, or its domain's DKIM or SPF.")
    ] = False
    dkim_verified_domains: Annotated[
        tuple[str, ...], Doc(description="Domains whose signatures were good.")
    ] = ()
    remote_ip: Annotated[str, Doc(description="Of the server that delivered it.")] = ""
    mailbox_name: Annotated[str, Doc(description="Where the message is, such as `Inbox`.")] = ""


class MessageGetRequest(Struct, frozen=True, rename=json_name, forbid_unknown_fields=True):
    """A message to show."""

    msg_id: MsgID = 0


class MessageGetResult(Struct, frozen=True, rename=json_name):
    """A message, decoded, with its structure and what is known of it."""

    message: Message
    structure: Structure
    meta: Meta


class MessageRawGetRequest(Struct, frozen=True, rename=json_name, forbid_unknown_fields=True):
    """A message to show as it is."""

    msg_id: MsgID = 0


class MessagePartGetRequest(
    Struct, frozen=True, kw_only=True, rename=json_name, forbid_unknown_fields=True
):
    """A part of a message."""

    msg_id: MsgID = 0
    part_path: Annotated[
        tuple[PartIndex, ...],
        Doc(
            description="Indices into Structure.Parts from the outside in, each from 0. "
            "Empty for the body of the whole message."
        ),
    ] = ()


class MessageDeleteRequest(Struct, frozen=True, rename=json_name, forbid_unknown_fields=True):
    """A message to remove."""

    msg_id: MsgID = 0


class MessageFlagsAddRequest(
    Struct, frozen=True, kw_only=True, rename=json_name, forbid_unknown_fields=True
):
    """Flags to set."""

    msg_id: MsgID = 0
    flags: Flags = ()


class MessageFlagsRemoveRequest(
    Struct, frozen=True, kw_only=True, rename=json_name, forbid_unknown_fields=True
):
    """Flags to clear."""

    msg_id: MsgID = 0
    flags: Flags = ()


class MessageMoveRequest(
    Struct, frozen=True, kw_only=True, rename=json_name, forbid_unknown_fields=True
):
    """A message and where to put it."""

    msg_id: MsgID = 0
    dest_mailbox_name: Annotated[
        str, Doc(description="Exact name of an existing mailbox, such as `Archive`.")
    ] = ""


class Empty(Struct, frozen=True, rename=json_name):
    """Nothing: it was done."""
