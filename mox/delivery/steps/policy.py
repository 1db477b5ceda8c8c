"""What others decided beforehand: mailing lists, forwards, DMARC policies, our own users."""

from __future__ import annotations

from typing import Final

import msgspec

from mox.address import parse_domain
from mox.delivery.rulesets import allows_list, is_at_or_below
from mox.delivery.steps.case import Decision, State
from mox.mailauth.results import DMARCStatus
from mox.smtp.reply import Reply

# RFC 7372 §3.2: 5.7.26 for several failed authentication checks.
DMARC_POLICY: Final = "dmarc-policy"
DMARC_REJECT: Final = Reply(550, "5.7.26", "rejecting per dmarc policy")


def own_user(state: State) -> Decision | None:
    """Take in what one of our users wrote: the login proved who it is."""
    return state.accept("local") if state.case.facts.authentication is None else None


def mailing_list(state: State) -> Decision | None:
    """Take in what comes over a list that the user reads, whatever else is said about it."""
    ruleset = state.ruleset
    if ruleset is None or not ruleset.list_allow_domain:
        return None
    if not allows_list(ruleset, state.case.facts):
        state.note(f"not proven to be from the list at {ruleset.list_allow_domain}")
        return None
    state.overrides.append("mailing_list")
    state.origin = msgspec.structs.replace(state.origin, is_mailing_list=True)
    return state.accept("list-allow")


def forward(state: State) -> None:
    """Do not hold against a forwarding server what it passes on, nor count it in its favour."""
    ruleset = state.ruleset
    if ruleset is None or not ruleset.is_forward:
        return
    state.overrides.append("forwarded")
    state.note("forwarded, so the sending server does not count")
    forwarder = parse_domain(ruleset.verified_domain)
    origin = state.origin
    kept = tuple(
        name for name in origin.dkim_domains if not is_at_or_below(parse_domain(name), forwarder)
    )
    state.origin = msgspec.structs.replace(
        origin,
        networks=(),
        ehlo_domain="",
        mail_from_domain="",
        dkim_domains=kept,
        original_ehlo_domain=origin.ehlo_domain,
        original_mail_from_domain=origin.mail_from_domain,
        original_dkim_domains=origin.dkim_domains,
        is_forward=True,
    )


def dmarc(state: State) -> Decision | None:
    """Refuse what the domain in From asks to refuse."""
    found = state.case.facts.authentication
    assert found is not None, "mail of our own users is accepted before"
    if not found.dmarc.rejects:
        return None
    if not state.case.facts.is_sampled:
        # RFC 7489 §6.6.4: the policy is for a part of the messages.
        state.overrides.append("sampled_out")
        state.note("dmarc policy is not for this message, by its percentage")
    elif not state.is_forward:
        return state.reject(DMARC_POLICY, DMARC_REJECT)
    return None


def authentication_required(state: State) -> Decision | None:
    """Refuse a From that nobody vouches for, where the destination wants that."""
    text = state.case.to.destination.message_auth_required_smtp_error
    found = state.case.facts.authentication
    assert found is not None, "mail of our own users is accepted before"
    if not text or state.origin.from_validated:
        return None
    if found.dmarc.status is DMARCStatus.TEMPERROR:
        reply = Reply(451, "4.7.26", f"transient verification error: {text}")
    else:
        reply = Reply(550, "5.7.26", text)
    return state.reject("msg-auth-required", reply)
