"""The decision about one incoming message for one destination.

Each decision carries its reason and what was found on the way: both are logged, and written into
X-Mox-Reason; the reason is counted. Nothing is accepted and then hidden: what looks like junk is
refused, with a temporary error that tells a spammer nothing, and a copy can be kept for the user.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import replace
from typing import Final

import msgspec

from mox.delivery import replies
from mox.delivery.facts import origin_of
from mox.delivery.rulesets import find_ruleset
from mox.delivery.steps import content, policy, rate, sender
from mox.delivery.steps.case import Case, Decision, State
from mox.store.errors import StoreError

Step = Callable[[State], Decision | None]

# The first that comes to a decision ends it.
_STEPS: Final[tuple[Step, ...]] = (
    policy.own_user,
    rate.rate,
    policy.mailing_list,
    policy.forward,
    policy.dmarc,
    policy.authentication_required,
    sender.earlier_mail,
    sender.spf,
    sender.reverse_name,
    content.subjectpass,
    content.content,
    content.blocklists,
)


def decide(case: Case) -> Decision:
    """Decide about a message. Trouble of the store puts it off; it is in the decision's `error`."""
    ruleset = find_ruleset(case.to.destination, case.facts)
    state = State(
        case,
        origin_of(case.facts, case.path),
        ruleset.mailbox if ruleset else case.to.destination.mailbox,
        ruleset,
    )
    if case.facts.header_from is None:
        state.note("message has no usable From address")
    try:
        decision = _run(state)
    except StoreError as e:
        reply = replies.from_store(e)
        return state.reject("reputation-error", reply, keeps_copy=False, error=e)
    return _accept_reject(state, decision)


def _run(state: State) -> Decision:
    for step in _STEPS:
        decision = step(state)
        if decision is not None:
            return decision
    return content.stranger(state)


def _accept_reject(state: State, decision: Decision) -> Decision:
    """Take in what was to be refused, where a ruleset has a mailbox for that."""
    ruleset = state.ruleset
    if decision.accept or not decision.keeps_copy or ruleset is None:
        return decision
    if not ruleset.accept_rejects_to_mailbox:
        return decision
    return as_reject(decision, ruleset.accept_rejects_to_mailbox, accept=True)


def as_reject(decision: Decision, mailbox: str, *, accept: bool) -> Decision:
    """Return the decision to put a refused message into `mailbox`, for the user to look at."""
    assert decision.origin is not None, "every decision has one"
    return replace(
        decision,
        accept=accept,
        mailbox=mailbox,
        destined=decision.destined or decision.mailbox,
        origin=msgspec.structs.replace(decision.origin, is_reject=True),
        is_reject=True,
        reply=None if accept else decision.reply,
    )
