"""Accounts of domains.conf: addresses, junk filter, limits, webhooks."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from datetime import timedelta
from typing import Annotated

from mox.config.destination import Destination
from mox.config.schema import Field
from mox.config.transport import Route


@dataclass(frozen=True, slots=True, kw_only=True)
class OutgoingWebhook:
    """Calls about what becomes of sent messages."""

    url: Annotated[
        str, Field("URL", "Address to POST to.", example="https://app.example.org/mox/out")
    ]
    authorization: Annotated[
        str,
        Field("Authorization", "Value of the Authorization header.", example="Bearer secret"),
    ] = ""
    events: Annotated[
        tuple[str, ...],
        Field(
            "Events",
            "Which events to call for: delivered, suppressed, delayed, failed, relayed, expanded, "
            "canceled, unrecognized. Without it all.",
            example="failed",
        ),
    ] = ()


@dataclass(frozen=True, slots=True, kw_only=True)
class IncomingWebhook:
    """Calls about received messages."""

    url: Annotated[
        str, Field("URL", "Address to POST to.", example="https://app.example.org/mox/in")
    ]
    authorization: Annotated[
        str,
        Field("Authorization", "Value of the Authorization header.", example="Bearer secret"),
    ] = ""


@dataclass(frozen=True, slots=True, kw_only=True)
class SubjectPass:
    """Way in for people whose message looked like junk: a word to put into the subject."""

    period: Annotated[
        timedelta,
        Field(
            "Period",
            "How long the word that a refused sender is given lets a message in. 0s turns it off.",
            example="12h0m0s",
        ),
    ]


@dataclass(frozen=True, slots=True, kw_only=True)
class AutomaticJunkFlags:
    """Flags for the junk filter that follow from where a message is moved to."""

    enabled: Annotated[bool, Field("Enabled", "Set flags when messages are moved.", example="true")]
    junk_mailbox_regexp: Annotated[
        str,
        Field(
            "JunkMailboxRegexp",
            "Mailboxes that mean junk. Patterns are applied to the mailbox name in lower case, in "
            "the order of these fields.",
            example="^(junk|spam)",
        ),
    ] = ""
    neutral_mailbox_regexp: Annotated[
        str,
        Field(
            "NeutralMailboxRegexp",
            "Mailboxes that mean nothing.",
            example="^(inbox|introbox|neutral|postmaster|dmarc|tlsrpt|rejects)",
        ),
    ] = ""
    not_junk_mailbox_regexp: Annotated[
        str,
        Field(
            "NotJunkMailboxRegexp",
            "Mailboxes that mean wanted mail. Without it all that the others do not match.",
            example="^archive",
        ),
    ] = ""


@dataclass(frozen=True, slots=True, kw_only=True)
class JunkParams:
    """How the junk filter reads words."""

    onegrams: Annotated[bool, Field("Onegrams", "Learn single words.", example="true")] = False
    twograms: Annotated[bool, Field("Twograms", "Learn pairs of words.")] = False
    threegrams: Annotated[bool, Field("Threegrams", "Learn triples of words.")] = False
    max_power: Annotated[
        float,
        Field(
            "MaxPower",
            "How close to sure a single word can be, above 0 and at most 0.5: 0.01 means between "
            "1 % and 99 %.",
            example="0.01",
        ),
    ]
    top_words: Annotated[
        int,
        Field("TopWords", "How many of the most telling words decide.", example="10"),
    ]
    ignore_words: Annotated[
        float,
        Field(
            "IgnoreWords",
            "Ignore words that say little: those within this distance of one half, from 0 to 0.5.",
            example="0.1",
        ),
    ] = 0.0
    rare_words: Annotated[
        int,
        Field(
            "RareWords",
            "Words seen at most this often count as a little telling only.",
            example="2",
        ),
    ] = 0


@dataclass(frozen=True, slots=True, kw_only=True)
class JunkFilter:
    """Filter that learns from the user's own mail."""

    threshold: Annotated[
        float,
        Field(
            "Threshold",
            "Probability, from 0 to 1, above which a message is junk.",
            example="0.95",
        ),
    ]
    params: Annotated[JunkParams, Field("Params", "How messages are read.")]


@dataclass(frozen=True, slots=True, kw_only=True)
class Account:
    """A user with mailboxes, password and addresses."""

    outgoing_webhook: Annotated[
        OutgoingWebhook | None,
        Field("OutgoingWebhook", "Call an address about what becomes of sent messages."),
    ] = None
    incoming_webhook: Annotated[
        IncomingWebhook | None,
        Field("IncomingWebhook", "Call an address about received messages."),
    ] = None
    from_id_login_addresses: Annotated[
        tuple[str, ...],
        Field(
            "FromIDLoginAddresses",
            "Logins with these addresses send each message from an address of its own, so that "
            "bounces can be matched with what was sent. The domain needs a catch-all separator.",
            example="mjl@example.org",
        ),
    ] = ()
    keep_retired_message_period: Annotated[
        timedelta,
        Field(
            "KeepRetiredMessagePeriod",
            "How long to remember messages that left the queue, without their content.",
            example="168h0m0s",
        ),
    ] = timedelta()
    keep_retired_webhook_period: Annotated[
        timedelta,
        Field(
            "KeepRetiredWebhookPeriod",
            "How long to remember webhook calls that are finished.",
            example="168h0m0s",
        ),
    ] = timedelta()
    login_disabled: Annotated[
        str,
        Field(
            "LoginDisabled",
            "Refuse logins, with this text. Mail is still received.",
            example="closed on request",
        ),
    ] = ""
    domain: Annotated[
        str,
        Field("Domain", "Default domain, for messages from the account.", example="example.org"),
    ]
    description: Annotated[
        str, Field("Description", "For your own notes.", example="works upstairs")
    ] = ""
    full_name: Annotated[
        str, Field("FullName", "Name to send messages with.", example="Mox Jones Longly")
    ] = ""
    destinations: Annotated[
        Mapping[str, Destination],
        Field(
            "Destinations",
            "Addresses whose mail the account gets; they can be used to log in and to send. "
            "@domain stands for all addresses there that are not given otherwise. nil as value "
            "means default settings.",
            key="mjl@example.org",
        ),
    ] = field(default_factory=dict)
    subject_pass: Annotated[
        SubjectPass,
        Field(
            "SubjectPass",
            "Tell senders whose message is refused as junk a word that lets it in when put into "
            "the subject.",
        ),
    ] = SubjectPass(period=timedelta())
    quota_message_size: Annotated[
        int,
        Field(
            "QuotaMessageSize",
            "Most bytes of messages. 0 means as in mox.conf, less than 0 means no limit.",
        ),
    ] = 0
    rejects_mailbox: Annotated[
        str,
        Field(
            "RejectsMailbox",
            "Keep copies of refused messages in this mailbox for a while, so that a wrong decision "
            "can be noticed.",
            example="Rejects",
        ),
    ] = ""
    keep_rejects: Annotated[
        bool, Field("KeepRejects", "Do not remove old messages from that mailbox.")
    ] = False
    introbox: Annotated[
        str,
        Field(
            "Introbox",
            "Mailbox for messages from senders that wrote for the first time, instead of Inbox.",
            example="Introbox",
        ),
    ] = ""
    automatic_junk_flags: Annotated[
        AutomaticJunkFlags,
        Field("AutomaticJunkFlags", "Teach the junk filter by moving messages."),
    ] = AutomaticJunkFlags(enabled=False)
    junk_filter: Annotated[
        JunkFilter | None,
        Field("JunkFilter", "Filter that learns from what the user calls junk. Without it: none."),
    ] = None
    max_outgoing_messages_per_day: Annotated[
        int,
        Field(
            "MaxOutgoingMessagesPerDay",
            "Most messages that the account can send within 24 hours, counted by recipients. "
            "Protects the server's reputation when a password is stolen.",
        ),
    ] = 1000
    max_first_time_recipients_per_day: Annotated[
        int,
        Field(
            "MaxFirstTimeRecipientsPerDay",
            "Most recipients within 24 hours that the account never wrote to before.",
        ),
    ] = 200
    no_first_time_sender_delay: Annotated[
        bool,
        Field(
            "NoFirstTimeSenderDelay",
            "Do not delay messages from senders that nothing is known of.",
        ),
    ] = False
    no_custom_password: Annotated[
        bool,
        Field("NoCustomPassword", "The user can only get generated passwords, not choose one."),
    ] = False
    imap_capabilities_disabled: Annotated[
        tuple[str, ...],
        Field(
            "IMAPCapabilitiesDisabled",
            "IMAP extensions not to announce to mail programs of the account, in capitals.",
            example="NOTIFY",
        ),
    ] = ()
    routes: Annotated[
        tuple[Route, ...],
        Field("Routes", "For messages from this account, tried first."),
    ] = ()
