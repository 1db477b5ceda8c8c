"""What happens to mail for one address of an account: mailbox, rules, errors."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Annotated

from mox.config.schema import Field


@dataclass(frozen=True, slots=True, kw_only=True)
class Ruleset:
    """Where a message goes: all conditions that are set must match, the first ruleset wins."""

    smtp_mail_from_regexp: Annotated[
        str,
        Field(
            "SMTPMailFromRegexp",
            "Pattern for the sender's address in SMTP.",
            example="^bounces@lists[.]example[.]net$",
        ),
    ] = ""
    msg_from_regexp: Annotated[
        str,
        Field(
            "MsgFromRegexp",
            "Pattern for the address in the From header.",
            example="^newsletter@example[.]net$",
        ),
    ] = ""
    verified_domain: Annotated[
        str,
        Field(
            "VerifiedDomain",
            "The message comes from this domain, as SPF or DKIM proves.",
            example="lists.example.net",
        ),
    ] = ""
    headers_regexp: Annotated[
        Mapping[str, str],
        Field(
            "HeadersRegexp",
            "Pattern for a header name to pattern for its value, both in lower case.",
            key="^list-id$",
            example="<name[.]lists[.]example[.]net>",
        ),
    ] = field(default_factory=dict)
    is_forward: Annotated[
        bool,
        Field(
            "IsForward",
            "The message is forwarded by a trusted server, whose own reputation must not suffer. "
            "Needs SMTPMailFromRegexp and VerifiedDomain.",
        ),
    ] = False
    list_allow_domain: Annotated[
        str,
        Field(
            "ListAllowDomain",
            "The message comes over a mailing list of this domain: skip the junk checks when that "
            "is proven by SPF or DKIM.",
            example="lists.example.net",
        ),
    ] = ""
    accept_rejects_to_mailbox: Annotated[
        str,
        Field(
            "AcceptRejectsToMailbox",
            "Accept messages that would be refused, and put them into this mailbox.",
            example="Spam",
        ),
    ] = ""
    mailbox: Annotated[str, Field("Mailbox", "Where to deliver.", example="Lists/name")]
    comment: Annotated[str, Field("Comment", "For your own notes.", example="my list")] = ""


@dataclass(frozen=True, slots=True, kw_only=True)
class Destination:
    """What happens to mail for one address."""

    mailbox: Annotated[str, Field("Mailbox", "Mailbox for messages that no ruleset matches.")] = (
        "Inbox"
    )
    rulesets: Annotated[
        tuple[Ruleset, ...],
        Field("Rulesets", "Other mailboxes by properties of the message."),
    ] = ()
    smtp_error: Annotated[
        str,
        Field(
            "SMTPError",
            "Refuse mail for this address, with this text. It begins with 421 for a temporary, "
            "with 550 for a final error.",
            example="550 no more mail here",
        ),
    ] = ""
    message_auth_required_smtp_error: Annotated[
        str,
        Field(
            "MessageAuthRequiredSMTPError",
            "Refuse messages whose From is not proven by SPF or DKIM, with this text.",
            example="message must be signed",
        ),
    ] = ""
    full_name: Annotated[
        str,
        Field(
            "FullName",
            "Name to send with from this address, instead of that of the account.",
            example="Example support",
        ),
    ] = ""
