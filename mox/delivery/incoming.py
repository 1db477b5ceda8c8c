"""Incoming mail at the end of DATA: decide for each recipient, store in one batch, say how it went.

Order as seen by the sender: a loop or only unknown recipients end it at once; else the message is
authenticated, each recipient is decided on, all that are accepted are stored durably together, and
one reply tells the result. When it worked for some only, the sender hears of the others by a DSN.
"""

from __future__ import annotations

import random
from collections.abc import Sequence
from dataclasses import replace
from typing import TYPE_CHECKING, Final

from mox.address import parse_domain
from mox.delivery import evaluations, followups, rejects, replies, special
from mox.delivery.arrival import Arrival, Foreign, Result
from mox.delivery.authenticate import Client
from mox.delivery.facts import MessageFacts
from mox.delivery.headers import Headers
from mox.delivery.plans import Plan, Planner
from mox.delivery.special import Stage
from mox.delivery.trace import Trace
from mox.mailauth.authresclaims import without_claims
from mox.mailauth.results import Authentication
from mox.smtp.reply import Reply
from mox.store.errors import StoreError
from mox.store.model import Delivered

if TYPE_CHECKING:
    from mox.config import Config
    from mox.store import Store

# RFC 5321 §6.3: loops show as many Received fields; at least 100 must be let through.
MAX_RECEIVED: Final = 100
UNKNOWN_DELAY_S: Final = 5.0


def deliver(store: Store, config: Config, arrival: Arrival, *, localserve: bool) -> Result:
    """Deliver a message; returns once what is accepted is durable. Never raises StoreError."""
    try:
        headers = Headers(arrival.spool.octets())
    except StoreError as e:
        return _not_stored(arrival, _facts(arrival, Headers(b"")), e)
    facts = _facts(arrival, headers)
    if headers.count(b"received") > MAX_RECEIVED:
        return Result(replies.LOOP, facts)
    if all(recipient.to is None for recipient in arrival.recipients):
        plans = [Plan(r).refuse(replies.NO_SUCH_USER, "unknownuser") for r in arrival.recipients]
        outcomes = tuple(plan.outcome() for plan in plans)
        return Result(replies.NO_SUCH_USER, facts, outcomes, UNKNOWN_DELAY_S)
    if arrival.foreign is not None:
        try:
            facts = _authenticated(config, arrival, arrival.foreign, facts)
        except StoreError as e:
            return _not_stored(arrival, facts, e)
    trace = Trace(facts, arrival.reverse_path)
    planner = Planner(store, config, arrival, facts, trace)
    plans = [planner.plan(recipient) for recipient in arrival.recipients]
    delay_s = _apply_special(plans) if localserve else _stranger_delay(arrival, plans)
    followups.attach(store, config, arrival, facts, plans)
    _store(store, plans, arrival)
    _forget_rejects(store, config, plans, facts.message_id)
    outcomes = tuple(plan.outcome() for plan in plans)
    failures = [outcome.reply for outcome in outcomes if outcome.reply is not None]
    has_failed = len(failures) == len(outcomes)
    reply = replies.combine_failures(failures) if has_failed else replies.DELIVERED
    result = Result(reply, facts, outcomes, delay_s)
    evaluations.keep(store, config, result)
    return result


def _not_stored(arrival: Arrival, facts: MessageFacts, error: StoreError) -> Result:
    plans = [Plan(recipient).fail(error, "delivererror") for recipient in arrival.recipients]
    outcomes = tuple(plan.outcome() for plan in plans)
    return Result(replies.from_store(error), facts, outcomes)


def _facts(arrival: Arrival, headers: Headers) -> MessageFacts:
    return MessageFacts(
        reverse_path=arrival.reverse_path,
        header_from=headers.single_from(),
        message_id=headers.message_id,
        size=arrival.spool.size,
        headers=headers,
        received=arrival.received,
        has_8bit=arrival.has_8bit,
    )


def _authenticated(
    config: Config, arrival: Arrival, foreign: Foreign, facts: MessageFacts
) -> MessageFacts:
    """Add what message authentication finds, and remove what claims to have been found by us."""
    client = Client.of(arrival.received, arrival.reverse_path)
    found: Authentication
    if foreign.is_exempt:
        found = foreign.checks.of_program_under_test(client, config, arrival.spool)
    else:
        found = foreign.checks.authenticate(client, arrival.spool, facts.headers, foreign.ahead)
    # After the signatures have been verified: they may be for such a field.
    section = facts.headers.section
    ours = {arrival.received.hostname, parse_domain(config.static.hostname)}
    kept = without_claims(section, ours)
    if kept != section:
        arrival.spool.replace_start(len(section), kept)
    is_sampled = random.random() * 100 < found.dmarc.percent
    return replace(facts, authentication=found, is_sampled=is_sampled)


def _stranger_delay(arrival: Arrival, plans: Sequence[Plan]) -> float:
    """Return how long a sender waits of whom some recipient that took the message knows nothing."""
    delays = arrival.foreign is not None and any(plan.delays for plan in plans)
    return arrival.foreign.first_time_delay_s if arrival.foreign and delays else 0.0


def _apply_special(plans: Sequence[Plan]) -> float:
    """Make special localparts fail; returns how long to wait before the reply."""
    delay_s = 0.0
    for plan in plans:
        localpart = plan.recipient.path.localpart
        # The queue of localserve delivers to here: a failure meant for it happens here, too.
        failure = special.failure(localpart)
        if failure is not None and special.stage_of(localpart) in (Stage.DATA, Stage.QUEUE):
            plan.targets.clear()
            plan.copies.clear()
            plan.refuse(Reply(failure.code, failure.enhanced, failure.text), "reject", "localserve")
            delay_s = max(delay_s, failure.delay_s)
    return delay_s


def _store(store: Store, plans: Sequence[Plan], arrival: Arrival) -> None:
    """Store all copies in one durable batch and put failures into the plans.

    A recipient has got the message when at least one of its copies was stored.
    """
    targets = [target for plan in plans for target in (*plan.targets, *plan.copies)]
    if not targets:
        return
    results: Sequence[Delivered | StoreError]
    try:
        results = store.deliver(targets, arrival.spool)
    except StoreError as e:
        results = [e] * len(targets)
    remaining = iter(results)
    for plan in plans:
        own = [next(remaining) for _ in plan.targets]
        errors = [result for result in own if isinstance(result, StoreError)]
        if own and len(errors) == len(own):
            plan.fail(errors[0], "delivererror")
        for result in [next(remaining) for _ in plan.copies]:
            if isinstance(result, StoreError) and not rejects.is_expected(result):
                plan.error = plan.error or result


def _forget_rejects(store: Store, config: Config, plans: Sequence[Plan], message_id: str) -> None:
    """Remove what was kept of earlier attempts with a message that got in now."""
    for plan in plans:
        if plan.reply is None:
            for decided in plan.decided:
                if not decided.decision.is_reject:
                    account = store.account(decided.account)
                    own = config.dynamic.accounts[decided.account]
                    rejects.forget(account, own, message_id)
