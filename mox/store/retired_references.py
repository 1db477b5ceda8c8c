"""Retired messages by what a notification about them can name: Message-ID and envelope id.

A key is a hash of account, kind and value, then the message's id. The recipients of one message
share its entries' prefix.
"""

from __future__ import annotations

import hashlib
from collections.abc import Iterator
from typing import TYPE_CHECKING, Final

from mox.store.outgoing_due import ID
from mox.store.outgoing_records import QueueId, RetiredMessage

if TYPE_CHECKING:
    from mox.store.committer import WriteTxn
    from mox.store.env import Databases

_HASH_OCTETS: Final = 16
_MESSAGE_ID, _ENVELOPE_ID = "m", "e"
# Recipients of one message that are looked through.
_MAX_FOUND: Final = 1000


def put(txn: WriteTxn, msg: RetiredMessage) -> None:
    for prefix in _prefixes(msg):
        txn.put(txn.dbs.retired_ref, prefix + ID.pack(msg.id), b"")


def delete(txn: WriteTxn, msg: RetiredMessage) -> None:
    for prefix in _prefixes(msg):
        txn.delete(txn.dbs.retired_ref, prefix + ID.pack(msg.id))


def by_message_id(dbs: Databases, account: str, message_id: str) -> list[QueueId]:
    """Return the ids of an account's retired messages with this Message-ID."""
    return _find(dbs, _prefix(account, _MESSAGE_ID, _bare(message_id)))


def by_envelope_id(dbs: Databases, account: str, envelope_id: str) -> list[QueueId]:
    """Return the ids of an account's retired messages with this ENVID (RFC 3461 §4.4)."""
    return _find(dbs, _prefix(account, _ENVELOPE_ID, envelope_id))


def _find(dbs: Databases, prefix: bytes) -> list[QueueId]:
    found: list[QueueId] = []
    with dbs.env.begin() as txn, txn.cursor(db=dbs.retired_ref) as cursor:
        there = cursor.set_range(prefix)
        while there and len(found) < _MAX_FOUND and bytes(cursor.key()).startswith(prefix):
            found.append(QueueId(ID.unpack_from(cursor.key(), _HASH_OCTETS)[0]))
            there = cursor.next()
    return found


def _prefixes(msg: RetiredMessage) -> Iterator[bytes]:
    if msg.message_id:
        yield _prefix(msg.sender_account, _MESSAGE_ID, _bare(msg.message_id))
    if msg.envid:
        yield _prefix(msg.sender_account, _ENVELOPE_ID, msg.envid)


def _bare(message_id: str) -> str:
    return message_id.strip().removeprefix("<").removesuffix(">")


def _prefix(account: str, kind: str, value: str) -> bytes:
    text = f"{account}\0{kind}{value}".encode("utf-8", "surrogatepass")
    return hashlib.blake2b(text, digest_size=_HASH_OCTETS).digest()
