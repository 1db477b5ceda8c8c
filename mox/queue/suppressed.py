"""Messages that are not attempted: their recipients are on the suppression list of the account."""

from __future__ import annotations

from collections.abc import Sequence
from typing import TYPE_CHECKING

from mox.queue.delivery import Delivery
from mox.queue.verdict import Verdict
from mox.store import suppressions

if TYPE_CHECKING:
    from mox.store import Store
    from mox.store.outgoing_records import QueueId, QueueMessage


def suppressed(store: Store, messages: Sequence[QueueMessage]) -> dict[QueueId, Delivery]:
    """Return what becomes of those messages of an attempt that are not to be delivered."""
    if suppressions.is_empty(store):
        return {}
    return {msg.id: _refusal(msg) for msg in messages if _is_suppressed(store, msg)}


def _is_suppressed(store: Store, msg: QueueMessage) -> bool:
    account = store.find_account(msg.sender_account)
    if account is None:
        return False
    return suppressions.lookup(store, account.id, msg.recipient.path()) is not None


def _refusal(msg: QueueMessage) -> Delivery:
    # No code: nobody refused it, so it does not count as a failure of the address.
    error = (
        f"not delivering to recipient address {msg.recipient.path()}: address is on suppression "
        f"list of account {msg.sender_account}"
    )
    return Delivery(Verdict(permanent=True, secode="1.0", error=error, suppressed=True))
