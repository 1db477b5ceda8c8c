"""From decisions to copies in mailboxes: what each recipient of a message is to get."""

from __future__ import annotations

from dataclasses import dataclass, field, replace
from functools import lru_cache
from typing import TYPE_CHECKING

import msgspec

from mox import metrics
from mox.address import Address, Path, parse_address
from mox.config.lookup import ToAccount, ToAlias
from mox.delivery import content, rejects, replies
from mox.delivery.arrival import Arrival, Decided, Outcome
from mox.delivery.decision import decide
from mox.delivery.facts import MessageFacts
from mox.delivery.inquiry import Inquiry
from mox.delivery.posting import refuse_posting
from mox.delivery.recipients import Recipient, members_to_deliver
from mox.delivery.steps.case import Case, Decision
from mox.delivery.trace import Trace
from mox.smtp.reply import Reply
from mox.store.errors import StoreError
from mox.store.model import Flag, Target
from mox.turns import give_turn

if TYPE_CHECKING:
    from prometheus_client import Counter

    from mox.config import Config
    from mox.config.account import Account as AccountConfig
    from mox.store import Store
    from mox.store.account import Account

_deliveries = metrics.counter(
    "mox_smtpserver_delivery_total",
    "Deliveries of incoming messages to recipients, by result.",
    ("result", "reason"),
)

# The loop gets a turn after so many decisions about one message.
_DECISIONS_AT_ONCE = 8


@lru_cache(maxsize=256)
def _delivered(result: str, reason: str) -> Counter:
    """Return the counter of one outcome; finding it by labels each time is slower."""
    return _deliveries.labels(result, reason)


@dataclass(slots=True)
class Plan:
    """One recipient on the way to its outcome: the copies to store, or the refusal.

    copies: what is kept of a refused message; whether that works changes nothing for the sender.
    """

    recipient: Recipient
    reply: Reply | None = None
    result: str = "delivered"
    reason: str = ""
    targets: list[Target] = field(default_factory=list)
    copies: list[Target] = field(default_factory=list)
    decided: list[Decided] = field(default_factory=list)
    error: StoreError | None = None

    def refuse(self, reply: Reply, result: str, reason: str = "") -> Plan:
        self.reply, self.result, self.reason = reply, result, reason
        return self

    def fail(self, error: StoreError, result: str) -> Plan:
        self.error = error
        return self.refuse(replies.from_store(error), result)

    @property
    def delays(self) -> bool:
        return any(each.decision.accept and each.decision.delays for each in self.decided)

    def outcome(self) -> Outcome:
        _delivered(self.result, self.reason).inc()
        return Outcome(
            self.recipient, self.reply, self.result, self.reason, self.error, tuple(self.decided)
        )


@dataclass(slots=True)
class Planner:
    """What all recipients of one message have in common."""

    store: Store
    config: Config
    arrival: Arrival
    facts: MessageFacts
    trace: Trace
    _decisions: int = 0
    _hash: bytes = b""  # of the message, once it was asked for

    def plan(self, recipient: Recipient) -> Plan:
        plan = Plan(recipient)
        match recipient.to:
            case None:
                return plan.refuse(replies.NO_SUCH_USER, "unknownuser")
            case ToAlias() as alias:
                return self._plan_alias(plan, alias)
            case ToAccount() as to:
                return self._plan_members(plan, [to])

    def _plan_alias(self, plan: Plan, alias: ToAlias) -> Plan:
        refusal = refuse_posting(alias, self.facts, self.config)
        if refusal is not None:
            reply, reason = refusal
            return plan.refuse(reply, "reject", reason)
        recipients, author = self.arrival.recipients, self.facts.header_from
        return self._plan_members(
            plan, list(members_to_deliver(alias, recipients, author, self.config))
        )

    def _plan_members(self, plan: Plan, members: list[ToAccount]) -> Plan:
        """Decide for each; one that takes the message takes it for all."""
        try:
            accounts = [self.store.account(member.account) for member in members]
        except StoreError as e:
            return plan.fail(e, "accounterror")
        decisions = [
            self._decide(plan, account, member)
            for account, member in zip(accounts, members, strict=True)
        ]
        if any(decision.accept for decision in decisions):
            decisions = [_taken_along(decision) for decision in decisions]
        elif decisions:
            first = decisions[0]
            plan.error = first.error
            plan.refuse(first.reply or replies.INTERNAL, _result(first), first.reason)
        for account, member, decision in zip(accounts, members, decisions, strict=True):
            plan.decided.append(Decided(member.account, plan.recipient.path, decision))
            if decision.accept:
                plan.reason = plan.reason or decision.reason
                plan.targets.append(self._target(plan, account, member, decision))
            else:
                self._add_copy(plan, account, member, decision)
        return plan

    def _add_copy(self, plan: Plan, account: Account, to: ToAccount, decision: Decision) -> None:
        config = self._account(to)
        copy = rejects.copy_of(config, decision)
        if copy is None:
            return
        try:
            rejects.clear_old(account, config, self.facts.received.when)
        except StoreError as e:
            plan.error = e
            return
        plan.copies.append(self._target(plan, account, to, copy))

    def _decide(self, plan: Plan, account: Account, to: ToAccount) -> Decision:
        self._decisions += 1
        if self._decisions % _DECISIONS_AT_ONCE == 0:
            give_turn()
        config = self._account(to)
        case = Case(
            facts=self.facts,
            to=to,
            account=config,
            path=plan.recipient.path,
            ask=Inquiry(account, config, to, self.arrival, self.facts),
            now=self.facts.received.when,
        )
        return decide(case)

    def _content_hash(self) -> bytes:
        if not self._hash:
            stored = self.arrival.spool.stored()
            if self.arrival.spool.is_large:
                self._hash = self.store.pool.apply(rejects.content_hash, (stored,))
            else:
                self._hash = rejects.content_hash(stored)
        return self._hash

    def _account(self, to: ToAccount) -> AccountConfig:
        return self.config.dynamic.accounts[to.account]

    def _target(self, plan: Plan, account: Account, to: ToAccount, decision: Decision) -> Target:
        path, config = plan.recipient.path, self._account(to)
        address = path if to is plan.recipient.to else _member_address(to, path)
        origin = decision.origin
        if decision.is_reject and origin is not None:
            origin = msgspec.structs.replace(origin, content_hash=self._content_hash())
        is_copy = decision.is_reject and not decision.accept
        return Target(
            account=account,
            mailbox=decision.mailbox,
            prefix=self.trace.prefix(decision, path, address),
            received=(self.facts.received.when, 0),
            flags=Flag.SEEN if decision.is_reject else Flag.NONE,
            quota=quota(self.config, to.account),
            marks=content.marks(config),
            origin=origin,
            destined=decision.destined,
            once=is_copy,
            most=rejects.most(config) if is_copy else 0,
        )


def _taken_along(decision: Decision) -> Decision:
    """A member of an alias gets what another member takes."""
    if decision.accept:
        return decision
    details = (*decision.details, "another member of the alias takes it")
    return replace(decision, accept=True, reply=None, details=details)


def _result(decision: Decision) -> str:
    if decision.reason == "high-rate":
        return "highrate"
    return "checkrates" if decision.error is not None else "reject"


def _member_address(member: ToAccount, path: Path) -> Path | Address:
    """Return the member's address; a catch-all member has none of its own."""
    return path if member.canonical.startswith("@") else parse_address(member.canonical)


def quota(config: Config, account: str) -> int:
    """Return the octets that an account may keep, 0 for no limit."""
    own: int = config.dynamic.accounts[account].quota_message_size
    return max(0, own or config.static.quota_message_size)
