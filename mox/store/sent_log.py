"""What each account sent within the last day, for limits that stop a stolen account.

Two databases: `sent_log` has one entry per recipient of each message, for a day; `sent_to` has,
for each recipient ever, when the account first wrote there, and the counts of the first.
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
_COUNTS: Final = struct.Struct(">II")  # live entries: all, and those to new recipients
WINDOW_S: Final = 24 * 3600
_WINDOW: Final = WINDOW_S * 1_000_000
# Most old entries that one message removes; until they are gone they count.
_PRUNE: Final = 10_000
# An entry is one of these and the recipient.
_NEW, _KNOWN = b"n", b"k"


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
    """Note a message to `recipients` (Unicode addresses). Raises SendLimitReached.

    The entries are counted as they come and go, so that the cost does not grow with the day.
    """
    micros = round(now * 1e6)
    all_sent, new_sent = _prune(txn, account_id, micros - _WINDOW)
    new = {name for name in recipients if not _is_known(txn, account_id, name)}
    all_sent, new_sent = all_sent + len(recipients), new_sent + len(new)
    if all_sent > limits.messages:
        raise SendLimitReached(first_time=False, limit=limits.messages)
    if new_sent > limits.first_time:
        raise SendLimitReached(first_time=True, limit=limits.first_time)
    while txn.get(txn.dbs.sent_log, _KEY.pack(account_id, micros, 0)) is not None:
        micros += 1  # another message in the same microsecond
    for number, recipient in enumerate(recipients):
        mark = _NEW if recipient in new else _KNOWN
        key = _KEY.pack(account_id, micros, number)
        txn.put(txn.dbs.sent_log, key, mark + recipient.encode())
        if recipient in new:
            new.discard(recipient)
            txn.put(txn.dbs.sent_to, _first_key(account_id, recipient), _FIRST.pack(micros))
    _set_counts(txn, account_id, all_sent, new_sent)


def _is_known(txn: WriteTxn, account_id: int, recipient: str) -> bool:
    return txn.get(txn.dbs.sent_to, _first_key(account_id, recipient)) is not None


def _first_key(account_id: int, recipient: str) -> bytes:
    digest = hashlib.blake2b(recipient.encode(), digest_size=16).digest()
    return KEY_A.pack(account_id) + digest


def _set_counts(txn: WriteTxn, account_id: int, all_sent: int, new_sent: int) -> None:
    txn.put(txn.dbs.sent_to, KEY_A.pack(account_id), _COUNTS.pack(all_sent, new_sent))


def _prune(txn: WriteTxn, account_id: int, oldest: int) -> tuple[int, int]:
    """Remove entries before `oldest`; returns the counts of those that stay."""
    counts = txn.get(txn.dbs.sent_to, KEY_A.pack(account_id))
    all_sent, new_sent = _COUNTS.unpack(counts) if counts else (0, 0)
    prefix = KEY_A.pack(account_id)
    with txn.txn.cursor(db=txn.dbs.sent_log) as cursor:
        found = cursor.set_range(prefix)
        for _ in range(_PRUNE):
            key = bytes(cursor.key()) if found else b""
            if not key.startswith(prefix) or _KEY.unpack(key)[1] >= oldest:
                break
            all_sent -= 1
            new_sent -= bytes(cursor.value()).startswith(_NEW)
            found = cursor.delete()
    return all_sent, new_sent
