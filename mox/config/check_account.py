"""What must hold for an account beyond its addresses: mailboxes, rules, junk filter, webhooks."""

from __future__ import annotations

from urllib.parse import urlsplit

from mox.config.account import Account, IncomingWebhook, JunkFilter, OutgoingWebhook
from mox.config.check_transport import check_routes
from mox.config.destination import Destination, Ruleset
from mox.config.names import (
    account_problem,
    check_domain,
    check_mailbox,
    check_pattern,
    check_reply_text,
)
from mox.config.report import Scope
from mox.config.static import Static
from mox.webapi.hooks import Event

WEBHOOK_EVENTS = tuple(event.value for event in Event)


def check_account(name: str, account: Account, static: Static, scope: Scope) -> None:
    """Report what is wrong with one account."""
    if problem := account_problem(name):
        scope.error(problem)
    check_domain(scope, account.domain, "Domain")
    _check_account_mailboxes(account, scope)
    check_reply_text(scope, account.login_disabled, "LoginDisabled")
    _check_junk_patterns(account, scope.at("AutomaticJunkFlags"))
    if account.junk_filter is not None:
        _check_junk_filter(account.junk_filter, scope.at("JunkFilter"))
    _check_webhooks(account, scope)
    _check_limits(account, scope)
    for address, destination in account.destinations.items():
        if destination != _PLAIN_DESTINATION:
            _check_destination(destination, scope.at("Destinations", address))
    check_routes(account.routes, static, scope.at("Routes"))


_PLAIN_DESTINATION = Destination()


def _check_account_mailboxes(account: Account, scope: Scope) -> None:
    if account.rejects_mailbox:
        check_mailbox(scope, account.rejects_mailbox, "RejectsMailbox", not_inbox=True)
    if account.introbox:
        check_mailbox(scope, account.introbox, "Introbox", not_inbox=True)
        if account.introbox == account.rejects_mailbox:
            scope.error("must not be the RejectsMailbox", "Introbox")


def _check_limits(account: Account, scope: Scope) -> None:
    counts = {
        "MaxOutgoingMessagesPerDay": account.max_outgoing_messages_per_day,
        "MaxFirstTimeRecipientsPerDay": account.max_first_time_recipients_per_day,
        "KeepRetiredMessagePeriod": account.keep_retired_message_period.total_seconds(),
        "KeepRetiredWebhookPeriod": account.keep_retired_webhook_period.total_seconds(),
    }
    for field, value in counts.items():
        if value < 0:
            scope.error("must not be negative", field)
    for index, capability in enumerate(account.imap_capabilities_disabled):
        if not capability or capability != capability.upper() or not capability.isascii():
            scope.error("must be in capitals", "IMAPCapabilitiesDisabled", index)


def _check_junk_patterns(account: Account, scope: Scope) -> None:
    flags = account.automatic_junk_flags
    check_pattern(scope, flags.junk_mailbox_regexp, "JunkMailboxRegexp")
    check_pattern(scope, flags.neutral_mailbox_regexp, "NeutralMailboxRegexp")
    check_pattern(scope, flags.not_junk_mailbox_regexp, "NotJunkMailboxRegexp")


def _check_junk_filter(junk_filter: JunkFilter, scope: Scope) -> None:
    if not 0 <= junk_filter.threshold <= 1:
        scope.error("must be from 0 to 1", "Threshold")
    params, at = junk_filter.params, scope.at("Params")
    if not 0 < params.max_power <= 0.5:
        # 0 would let one word decide for ever.
        at.error("must be above 0 and at most 0.5", "MaxPower")
    if not 0 <= params.ignore_words <= 0.5:
        at.error("must be from 0 to 0.5", "IgnoreWords")
    if params.top_words < 0:
        at.error("must not be negative", "TopWords")
    if params.rare_words < 0:
        at.error("must not be negative", "RareWords")


def _check_webhooks(account: Account, scope: Scope) -> None:
    if account.outgoing_webhook is not None:
        at = scope.at("OutgoingWebhook")
        _check_call(at, account.outgoing_webhook)
        for index, event in enumerate(account.outgoing_webhook.events):
            if event not in WEBHOOK_EVENTS:
                known = ", ".join(WEBHOOK_EVENTS)
                at.error(f"unknown event {event!r}: one of {known}", "Events", index)
    if account.incoming_webhook is not None:
        _check_call(scope.at("IncomingWebhook"), account.incoming_webhook)


def _check_call(scope: Scope, webhook: OutgoingWebhook | IncomingWebhook) -> None:
    check_http_url(scope, webhook.url, "URL")
    if not webhook.authorization.isprintable():
        scope.error("must not have control characters", "Authorization")


def check_http_url(scope: Scope, text: str, field: str) -> None:
    """Report what is not an address with http or https and a host."""
    try:
        parts = urlsplit(text)
        is_good = parts.scheme in ("http", "https") and bool(parts.hostname)
        # Reading the port checks it.
        is_good = is_good and (parts.port is None or parts.port > 0)
        is_good = is_good and text.isprintable() and " " not in text
    except ValueError:
        is_good = False
    if not is_good:
        scope.error("must be an address with http or https", field)


def _check_destination(destination: Destination, scope: Scope) -> None:
    check_mailbox(scope, destination.mailbox, "Mailbox")
    if destination.smtp_error:
        _check_smtp_error(destination, scope)
    check_reply_text(
        scope, destination.message_auth_required_smtp_error, "MessageAuthRequiredSMTPError"
    )
    for index, ruleset in enumerate(destination.rulesets):
        _check_ruleset(ruleset, scope.at("Rulesets", index))


def _check_smtp_error(destination: Destination, scope: Scope) -> None:
    check_reply_text(scope, destination.smtp_error, "SMTPError")
    if destination.smtp_error.split(" ", 1)[0] not in ("421", "550"):
        scope.error("must begin with 421 or 550", "SMTPError")
    if destination.mailbox != _PLAIN_DESTINATION.mailbox or destination.rulesets:
        scope.error("cannot be used together with Mailbox and Rulesets", "SMTPError")


def _check_ruleset(ruleset: Ruleset, scope: Scope) -> None:
    conditions = (
        ruleset.smtp_mail_from_regexp,
        ruleset.msg_from_regexp,
        ruleset.verified_domain,
        ruleset.headers_regexp,
    )
    if not any(conditions):
        scope.error("at least one condition is needed")
    check_pattern(scope, ruleset.smtp_mail_from_regexp, "SMTPMailFromRegexp")
    check_pattern(scope, ruleset.msg_from_regexp, "MsgFromRegexp")
    _check_header_patterns(ruleset, scope)
    for field, text in (
        ("VerifiedDomain", ruleset.verified_domain),
        ("ListAllowDomain", ruleset.list_allow_domain),
    ):
        if text:
            check_domain(scope, text, field)
    if ruleset.is_forward:
        _check_forward(ruleset, scope)
    if ruleset.accept_rejects_to_mailbox:
        mailbox = ruleset.accept_rejects_to_mailbox
        check_mailbox(scope, mailbox, "AcceptRejectsToMailbox", not_inbox=True)
    check_mailbox(scope, ruleset.mailbox, "Mailbox")


def _check_header_patterns(ruleset: Ruleset, scope: Scope) -> None:
    for name, value in ruleset.headers_regexp.items():
        check_pattern(scope, name, "HeadersRegexp", name)
        check_pattern(scope, value, "HeadersRegexp", name)
        if name != name.lower() or value != value.lower():
            scope.error("patterns for headers must be in lower case", "HeadersRegexp", name)


def _check_forward(ruleset: Ruleset, scope: Scope) -> None:
    if not ruleset.smtp_mail_from_regexp or not ruleset.verified_domain:
        scope.error("needs SMTPMailFromRegexp and VerifiedDomain", "IsForward")
    if ruleset.list_allow_domain:
        scope.error("cannot be used together with ListAllowDomain", "IsForward")
