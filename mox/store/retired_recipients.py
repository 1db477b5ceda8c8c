"""Which retired messages an account sent to an address, and whether they arrived.

A key is a hash of account and address, the time of the last attempt, and the id. It answers
whether the latest messages to an address all failed.
"""

from __future__ import annotations

import hashlib
from typing import TYPE_CHECKING, Final

from mox.store.outgoing_due import TIME_ID, micros
from mox.store.outgoing_records import QueueAddress, QueueId, RetiredMessage

if TYPE_CHECKING:
    from mox.store.committer import WriteTxn

_HASH_OCTETS: Final = 16
_ARRIVED, _FAILED = b"1", b"0"
# Failures before the one at hand that make an address suspect.
_BEFORE: Final = 2


def put(txn: WriteTxn, msg: RetiredMessage) -> None:
    txn.put(txn.dbs.retired_to, _key(msg), _ARRIVED if msg.success else _FAILED)


def delete(txn: WriteTxn, msg: RetiredMessage) -> None:
    txn.delete(txn.dbs.retired_to, _key(msg))


def have_failed(txn: WriteTxn, account: str, recipient: QueueAddress, besides: QueueId) -> bool:
    """Say whether the two latest messages of an account to an address, besides one, failed."""
    prefix = _prefix(account, recipient)
    failed = 0
    with txn.txn.cursor(db=txn.dbs.retired_to) as cursor:
        # To the last entry of the prefix, and backwards from there.
        after = cursor.set_range(prefix + b"\xff" * (TIME_ID.size + 1))
        there = cursor.prev() if after else cursor.last()
        while there and failed < _BEFORE and bytes(cursor.key()).startswith(prefix):
            if TIME_ID.unpack_from(cursor.key(), _HASH_OCTETS)[1] != besides:
                if bytes(cursor.value()) != _FAILED:
                    return False
                failed += 1
            there = cursor.prev()
    return failed == _BEFORE


def _key(msg: RetiredMessage) -> bytes:
    when = TIME_ID.pack(micros(msg.last_attempt), msg.id)
    return _prefix(msg.sender_account, msg.recipient) + when


def _prefix(account: str, recipient: QueueAddress) -> bytes:
    text = f"{account}\0{recipient.localpart}@{recipient.ascii_domain}"
    return hashlib.blake2b(text.encode(), digest_size=_HASH_OCTETS).digest()
