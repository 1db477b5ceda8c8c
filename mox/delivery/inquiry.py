"""The questions of a decision, answered for one account: history, content filter, block lists."""

from __future__ import annotations

import random
from dataclasses import dataclass
from typing import TYPE_CHECKING

from mox.config.lookup import ToAccount
from mox.delivery import content, passes
from mox.delivery.arrival import Arrival
from mox.delivery.facts import MessageFacts
from mox.mailauth.dnsbl import DNSBLResult
from mox.store.arrivals import Rate

if TYPE_CHECKING:
    from mox.config.account import Account as AccountConfig
    from mox.junk import Classification
    from mox.store.account import Account
    from mox.store.history import History


@dataclass(frozen=True, slots=True)
class Inquiry:
    """See mox.delivery.steps.case.Questions."""

    account: Account
    config: AccountConfig
    to: ToAccount
    arrival: Arrival
    facts: MessageFacts

    def history(self, mailbox: str) -> History:
        return self.account.history(self.account.mailbox_id(mailbox))

    def rate(self, network: bytes, now: int) -> Rate:
        return self.account.history(None).rate(network, now)

    def classify(self) -> Classification | None:
        params = content.params(self.config)
        if params is None:
            return None
        return content.classify(self.account, params, self.arrival.spool.stored())

    def blocklisted(self) -> DNSBLResult | None:
        foreign, client = self.arrival.foreign, self.facts.received.remote_ip
        if foreign is None or client is None or not foreign.dns_blocklists:
            return None
        return foreign.checks.blocklisted(foreign.dns_blocklists, client)

    def subjectpass_problem(self) -> str:
        author = self.facts.header_from
        if author is None:
            return "no single address in From"
        return passes.problem(
            self.account,
            self.to.canonical,
            author,
            self.facts.subject,
            self.facts.received.when,
            self.config.subject_pass.period,
        )

    def subjectpass_offer(self) -> str:
        author = self.facts.header_from
        assert author is not None, "only a sender with a From address is told"
        return passes.offer(self.account, self.to.canonical, author, self.facts.received.when)

    def chance(self) -> float:
        return random.random()
