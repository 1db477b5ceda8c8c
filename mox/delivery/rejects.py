"""Copies of refused messages in the Rejects mailbox: kept once, for two weeks, a thousand at most.

The user looks there when something is missing; filing a message says that it was wanted.
"""

from __future__ import annotations

import hashlib
from mmap import mmap
from typing import TYPE_CHECKING, Final

from mox.delivery.decision import as_reject
from mox.delivery.steps.case import Decision
from mox.store.errors import ErrorKind, StoreError
from mox.store.model import M_RECEIVED, M_UID

if TYPE_CHECKING:
    from mox.config.account import Account as AccountConfig
    from mox.store.account import Account

KEEP_S: Final = 14 * 86400
MAX_MESSAGES: Final = 1000

_PIECE: Final = 1 << 20
# Why no copy is kept, without anything being wrong.
EXPECTED: Final = frozenset({ErrorKind.EXISTS, ErrorKind.LIMIT, ErrorKind.OVER_QUOTA})


def copy_of(config: AccountConfig, decision: Decision) -> Decision | None:
    """Return the decision to keep a copy of a refused message, None when it is not to be kept."""
    if decision.accept or not decision.keeps_copy or not config.rejects_mailbox:
        return None
    return as_reject(decision, config.rejects_mailbox, accept=False)


def content_hash(data: bytes | mmap) -> bytes:
    """Hash a message in stored form, without the fields that we add."""
    digest = hashlib.sha256()
    for start in range(0, len(data), _PIECE):
        digest.update(data[start : start + _PIECE])
    return digest.digest()


def most(config: AccountConfig) -> int:
    """Return how many messages the mailbox takes, 0 for any number."""
    return 0 if config.keep_rejects else MAX_MESSAGES


def clear_old(account: Account, config: AccountConfig, now: int) -> None:
    """Remove what has been kept long enough."""
    box = account.mailbox(config.rejects_mailbox)
    if config.keep_rejects or box is None or not box.messages:
        return
    old = [m[M_UID] for m in account.scan(box.id) if m[M_RECEIVED] < now - KEEP_S]
    if old:
        account.remove(box.id, old[:MAX_MESSAGES])


def forget(account: Account, config: AccountConfig, message_id: str) -> None:
    """Remove copies of a message that was accepted in the end."""
    if not config.rejects_mailbox or not message_id:
        return
    box_id = account.mailbox_id(config.rejects_mailbox)
    uids = account.history(None).rejects(box_id, message_id) if box_id is not None else []
    if box_id is not None and uids:
        account.remove(box_id, uids)


def is_expected(error: StoreError) -> bool:
    return error.kind in EXPECTED
