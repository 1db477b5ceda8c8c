"""What each account sent within the last day, for limits that stop a stolen account.

Two databases: `sent_log` has one entry per recipient of each message, for a day; `sent_to` has,
for each recipient ever, when the account first wrote there.
"""

from __future__ import annotations

import hashlib
import struct
from collections.abc import Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING, Final

from mox.errors import UserError
from mox.store.records import KEY_A

if TYPE_CHECKING:
    from mox.store.committer import WriteTxn

_KEY: Final = struct.Struct(">IQI")  # account, microseconds, number
_FIRST: Final = struct.Struct(">Q")
WINDOW_S: Final = 24 * 3600
_WINDOW: Final = WINDOW_S * 1_000_000
# Old entries removed with each message; more than a message adds on average.
_PRUNE: Final = 50


@dataclass(frozen=True, slots=True)
class SendLimits:
    """Most recipients within 24 hours: of all messages, and ones never written to before."""

    messages: int
    first_time: int


class SendLimitReached(UserError):
    """The account has sent as much as it may within 24 hours."""

    def __init__(self, *, first_time: bool, limit: int) -> None:
        what = "number of new/first-time recipients" if first_time else "max number of messages"
        super().__init__(
            f"{what} ({limit}) over past 24h reached, try increasing per-account setting"
        )
        self.first_time = first_time
        self.limit = limit


def record(
    txn: WriteTxn, account_id: int, recipients: Sequence[str], now: float, limits: SendLimits
) -> None:
    """Note a message to `recipients` (Unicode addresses). Raises SendLimitReached."""
    micros = round(now * 1e6)
    window = _within_window(txn, account_id, micros)
    total = len(window) + len(recipients)
    if total > limits.messages:
        raise SendLimitReached(first_time=False, limit=limits.messages)
    if total >= limits.first_time:
        used = {*window, *recipients}
        if _count_first_time(txn, account_id, used, micros) > limits.first_time:
            raise SendLimitReached(first_time=True, limit=limits.first_time)
    _prune(txn, account_id, micros)
    while txn.get(txn.dbs.sent_log, _KEY.pack(account_id, micros, 0)) is not None:
        micros += 1  # another message in the same microsecond
    for number, recipient in enumerate(recipients):
        txn.put(txn.dbs.sent_log, _KEY.pack(account_id, micros, number), recipient.encode())
        key = _first_key(account_id, recipient)
        if txn.get(txn.dbs.sent_to, key) is None:
            txn.put(txn.dbs.sent_to, key, _FIRST.pack(micros))


def _first_key(account_id: int, recipient: str) -> bytes:
    digest = hashlib.blake2b(recipient.encode(), digest_size=16).digest()
    return KEY_A.pack(account_id) + digest


def _within_window(txn: WriteTxn, account_id: int, micros: int) -> list[str]:
    found: list[str] = []
    prefix = KEY_A.pack(account_id)
    with txn.txn.cursor(db=txn.dbs.sent_log) as cursor:
        if cursor.set_range(_KEY.pack(account_id, max(0, micros - _WINDOW), 0)):
            for key, value in cursor:
                if bytes(key[:4]) != prefix:
                    break
                found.append(bytes(value).decode())
    return found


def _count_first_time(txn: WriteTxn, account_id: int, recipients: set[str], micros: int) -> int:
    count = 0
    for recipient in recipients:
        first = txn.get(txn.dbs.sent_to, _first_key(account_id, recipient))
        if first is None or _FIRST.unpack(first)[0] >= micros - _WINDOW:
            count += 1
    return count


def _prune(txn: WriteTxn, account_id: int, micros: int) -> None:
    prefix, oldest = KEY_A.pack(account_id), micros - _WINDOW
    with txn.txn.cursor(db=txn.dbs.sent_log) as cursor:
        if not cursor.set_range(prefix):
            return
        for _ in range(_PRUNE):
            key = bytes(cursor.key())
            if not key.startswith(prefix) or _KEY.unpack(key)[1] >= oldest:
                return
            cursor.delete()
