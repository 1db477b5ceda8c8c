"""Incoming mail at the end of DATA: decide for each recipient, store in one batch, say how it went.

Order as seen by the sender: a loop or only unknown recipients end it at once; else each recipient
is decided on, all that are accepted are stored durably together, and one reply tells the result.
When it worked for some only, the sender hears of the others by a DSN.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Final

from mox import metrics
from mox.address import Address, Path, parse_address
from mox.config.lookup import ToAccount, ToAlias
from mox.delivery import content, replies, special
from mox.delivery.decision import Decision, MessageFacts, decide
from mox.delivery.headers import Headers
from mox.delivery.recipients import Recipient, may_post, members_to_deliver
from mox.delivery.special import Stage
from mox.delivery.trace import stored_prefix
from mox.message.trace import Received
from mox.smtp.reply import Reply
from mox.store.errors import StoreError
from mox.store.model import Delivered, Target

if TYPE_CHECKING:
    from mox.config import Config
    from mox.store import Store
    from mox.store.spool import Spool

# RFC 5321 §6.3: loops show as many Received fields; at least 100 must be let through.
MAX_RECEIVED: Final = 100
UNKNOWN_DELAY_S: Final = 5.0

_deliveries = metrics.counter(
    "mox_smtpserver_delivery_total",
    "Deliveries of incoming messages to recipients, by result.",
    ("result", "reason"),
)


@dataclass(frozen=True, slots=True)
class Arrival:
    """A complete message of another server with its envelope."""

    reverse_path: Path
    recipients: tuple[Recipient, ...]
    spool: Spool
    received: Received  # facts of the trace field, without recipient
    has_8bit: bool = False


@dataclass(frozen=True, slots=True)
class Outcome:
    """What became of the message for one recipient. `reply` None: delivered."""

    recipient: Recipient
    reply: Reply | None
    result: str  # label of the metric
    reason: str
    error: StoreError | None = None  # why it could not be stored, for the log


@dataclass(frozen=True, slots=True)
class Result:
    """What the sender is told (after `delay_s`), and the outcomes behind it.

    `bounces`: failed recipients that the sender must be told of by a DSN.
    """

    reply: Reply
    facts: MessageFacts
    outcomes: tuple[Outcome, ...] = ()
    delay_s: float = 0.0

    @property
    def delivered(self) -> int:
        return sum(outcome.reply is None for outcome in self.outcomes)

    @property
    def bounces(self) -> tuple[Outcome, ...]:
        failed = tuple(outcome for outcome in self.outcomes if outcome.reply is not None)
        return failed if len(failed) < len(self.outcomes) else ()


@dataclass(slots=True)
class _Plan:
    """One recipient on the way to its outcome: the copies to store, or the refusal."""

    recipient: Recipient
    reply: Reply | None = None
    result: str = "delivered"
    reason: str = ""
    targets: list[Target] = field(default_factory=list)
    error: StoreError | None = None

    def refuse(self, reply: Reply, result: str, reason: str = "") -> _Plan:
        self.reply, self.result, self.reason = reply, result, reason
        return self

    def outcome(self) -> Outcome:
        _deliveries.labels(self.result, self.reason).inc()
        return Outcome(self.recipient, self.reply, self.result, self.reason, self.error)

    def fail(self, error: StoreError, result: str) -> _Plan:
        self.error = error
        return self.refuse(replies.from_store(error), result)


def deliver(store: Store, config: Config, arrival: Arrival, *, localserve: bool) -> Result:
    """Deliver a message; returns once what is accepted is durable. Never raises StoreError."""
    headers = Headers(arrival.spool.stored())
    facts = MessageFacts(
        reverse_path=arrival.reverse_path,
        header_from=headers.single_from(),
        message_id=headers.message_id,
        size=arrival.spool.size,
        received_fields=headers.count(b"received"),
        has_8bit=arrival.has_8bit,
    )
    if facts.received_fields > MAX_RECEIVED:
        return Result(replies.LOOP, facts)
    if all(recipient.to is None for recipient in arrival.recipients):
        plans = [_Plan(r).refuse(replies.NO_SUCH_USER, "unknownuser") for r in arrival.recipients]
        outcomes = tuple(plan.outcome() for plan in plans)
        return Result(replies.NO_SUCH_USER, facts, outcomes, UNKNOWN_DELAY_S)
    planner = _Planner(store, config, arrival, facts)
    plans = [planner.plan(recipient) for recipient in arrival.recipients]
    delay_s = _apply_special(plans) if localserve else 0.0
    _store(store, plans, arrival.spool)
    outcomes = tuple(plan.outcome() for plan in plans)
    failures = [outcome.reply for outcome in outcomes if outcome.reply is not None]
    if len(failures) < len(outcomes):
        return Result(replies.DELIVERED, facts, outcomes, delay_s)
    return Result(replies.combine_failures(failures), facts, outcomes, delay_s)


@dataclass(frozen=True, slots=True)
class _Planner:
    """What all recipients of one message have in common."""

    store: Store
    config: Config
    arrival: Arrival
    facts: MessageFacts

    def plan(self, recipient: Recipient) -> _Plan:
        plan = _Plan(recipient)
        match recipient.to:
            case None:
                return plan.refuse(replies.NO_SUCH_USER, "unknownuser")
            case ToAlias() as alias:
                return self._plan_alias(plan, alias)
            case ToAccount() as to:
                decision = decide(self.facts, to.destination.mailbox)
                if not decision.accept:
                    return plan.refuse(
                        decision.reply or replies.INTERNAL, "reject", decision.reason
                    )
                plan.reason = decision.reason
                return self._add_target(plan, to, recipient.path, decision)

    def _plan_alias(self, plan: _Plan, alias: ToAlias) -> _Plan:
        author = self.facts.header_from
        if not may_post(alias, author, self.config):
            return plan.refuse(replies.POSTING_DENIED, "reject", "posting-denied")
        members = list(members_to_deliver(alias, self.arrival.recipients, author, self.config))
        decisions = [decide(self.facts, member.destination.mailbox) for member in members]
        if decisions and not any(decision.accept for decision in decisions):
            first = decisions[0]
            return plan.refuse(first.reply or replies.INTERNAL, "reject", first.reason)
        for member, decision in zip(members, decisions, strict=True):
            plan.reason = plan.reason or decision.reason
            self._add_target(plan, member, _member_address(member, plan.recipient.path), decision)
        return plan

    def _add_target(
        self, plan: _Plan, to: ToAccount, address: Path | Address, decision: Decision
    ) -> _Plan:
        try:
            account = self.store.account(to.account)
        except StoreError as e:
            return plan.fail(e, "accounterror")
        arrival = self.arrival
        prefix = stored_prefix(
            arrival.received, decision, arrival.reverse_path, plan.recipient.path, address
        )
        target = Target(
            account=account,
            mailbox=decision.mailbox,
            prefix=prefix,
            received=(arrival.received.when, 0),
            quota=quota(self.config, to.account),
            marks=content.marks(self.config.dynamic.accounts[to.account]),
        )
        plan.targets.append(target)
        return plan


def _member_address(member: ToAccount, path: Path) -> Path | Address:
    """Return the member's address; a catch-all member has none of its own."""
    return path if member.canonical.startswith("@") else parse_address(member.canonical)


def quota(config: Config, account: str) -> int:
    """Return the octets that an account may keep, 0 for no limit."""
    own: int = config.dynamic.accounts[account].quota_message_size
    return max(0, own or config.static.quota_message_size)


def _apply_special(plans: Sequence[_Plan]) -> float:
    """Make special localparts fail; returns how long to wait before the reply."""
    delay_s = 0.0
    for plan in plans:
        localpart = plan.recipient.path.localpart
        # The queue of localserve delivers to here: a failure meant for it happens here, too.
        failure = special.failure(localpart)
        if failure is not None and special.stage_of(localpart) in (Stage.DATA, Stage.QUEUE):
            plan.targets.clear()
            plan.refuse(Reply(failure.code, failure.enhanced, failure.text), "reject", "localserve")
            delay_s = max(delay_s, failure.delay_s)
    return delay_s


def _store(store: Store, plans: Sequence[_Plan], spool: Spool) -> None:
    """Store all copies in one durable batch and put failures into the plans.

    A recipient has got the message when at least one of its copies was stored.
    """
    targets = [target for plan in plans for target in plan.targets]
    if not targets:
        return
    results: Sequence[Delivered | StoreError]
    try:
        results = store.deliver(targets, spool)
    except StoreError as e:
        results = [e] * len(targets)
    remaining = iter(results)
    for plan in plans:
        own = [next(remaining) for _ in plan.targets]
        errors = [result for result in own if isinstance(result, StoreError)]
        if own and len(errors) == len(own):
            plan.fail(errors[0], "delivererror")
