"""What else is true once a message is in a mailbox: written in the same transaction as the message.

Notes about messages that were sent before, and calls of applications.
"""

from __future__ import annotations

import time
from collections.abc import Sequence
from dataclasses import dataclass, replace
from typing import TYPE_CHECKING

from mox.delivery import feedback
from mox.delivery.arrival import Arrival
from mox.delivery.feedback import Told
from mox.delivery.plans import Plan
from mox.delivery.received import Received
from mox.store import hooks_txn, outgoing_txn
from mox.store.hooks_txn import IncomingHook
from mox.store.model import Target

if TYPE_CHECKING:
    from mox.config import Config
    from mox.delivery.facts import MessageFacts
    from mox.store import Store
    from mox.store.committer import WriteTxn


@dataclass(frozen=True, slots=True)
class _Followup:
    """What follows from the delivery of one copy."""

    told: Told
    call: IncomingHook | None

    def __call__(self, txn: WriteTxn, email_id: int) -> None:
        for note in self.told.notes:
            outgoing_txn.note_feedback(txn, note)
        if self.call is not None:
            hooks_txn.add_incoming(txn, self.call, email_id)


def attach(
    store: Store, config: Config, arrival: Arrival, facts: MessageFacts, plans: Sequence[Plan]
) -> None:
    """Give the copies of accepted recipients what follows from their delivery."""
    accepted = [plan for plan in plans if plan.reply is None and plan.targets]
    found = feedback.what_is_told(
        store,
        config,
        facts.headers,
        arrival.spool,
        [plan.recipient for plan in accepted],
        time.time(),
        has_sender=not arrival.reverse_path.is_null,
    )
    received = Received(store, config, arrival, facts)
    for plan, told in zip(accepted, found, strict=True):
        plan.targets[:] = [
            _with_followup(target, received, plan, told if n == 0 else Told())
            for n, target in enumerate(plan.targets)
        ]


def _with_followup(target: Target, received: Received, plan: Plan, told: Told) -> Target:
    # What came to the unique address of a sent message is told as an event of that message.
    call = None if told.is_answer else received.call(target, plan.recipient.path)
    if call is None and not told.notes:
        return target
    return replace(target, then=_Followup(told, call))
