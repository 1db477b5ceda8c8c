"""Rules by which messages are held: those that are queued already, and those that come.

A rule names some of account, sender and recipient; a message that has all of what it names is
held. One that names nothing holds every message. Removing a rule releases nothing.
"""

from __future__ import annotations

import struct
from typing import TYPE_CHECKING, Final

import msgspec
from msgspec import structs

from mox.store.outgoing_records import QueueAddress, QueueMessage

if TYPE_CHECKING:
    from mox.store import Store
    from mox.store.committer import WriteTxn

ID: Final = struct.Struct(">Q")
_LAST_ID_KEY: Final = b"hold_rule_id"


class HoldRule(msgspec.Struct, frozen=True, kw_only=True, array_like=True):
    """Empty fields match everything. Domains and addresses are in Unicode and lower case."""

    id: int = 0
    account: str = ""
    sender_domain: str = ""
    recipient_domain: str = ""
    sender: str = ""
    recipient: str = ""

    @property
    def is_all(self) -> bool:
        return self == HoldRule(id=self.id)

    def matches(self, msg: QueueMessage) -> bool:
        wanted = (
            (self.account, msg.sender_account),
            (self.sender_domain, msg.sender.domain),
            (self.recipient_domain, msg.recipient.domain),
            (self.sender, _address(msg.sender)),
            (self.recipient, _address(msg.recipient)),
        )
        return all(not rule or rule == value for rule, value in wanted)


_encode = msgspec.msgpack.Encoder().encode
_decode = msgspec.msgpack.Decoder(HoldRule).decode


def _address(address: QueueAddress) -> str:
    return f"{address.localpart}@{address.domain}".lower()


def rules(store: Store) -> list[HoldRule]:
    """Return all rules, oldest first."""
    with store.dbs.env.begin() as txn, txn.cursor(db=store.dbs.hold_rule) as cursor:
        return [_decode(value) for value in cursor.iternext(keys=False)]


def add(store: Store, rule: HoldRule) -> HoldRule:
    """Add a rule for messages that come; returns it with its id."""

    def run(txn: WriteTxn) -> HoldRule:
        last = txn.get(txn.dbs.meta, _LAST_ID_KEY)
        new = structs.replace(rule, id=(ID.unpack(last)[0] if last else 0) + 1)
        txn.put(txn.dbs.hold_rule, ID.pack(new.id), _encode(new))
        txn.put(txn.dbs.meta, _LAST_ID_KEY, ID.pack(new.id))
        return new

    return store.write(run)


def remove(store: Store, id: int) -> bool:
    """Remove a rule; false when there is none with this id."""

    def run(txn: WriteTxn) -> bool:
        found = txn.get(txn.dbs.hold_rule, ID.pack(id)) is not None
        if found:
            txn.delete(txn.dbs.hold_rule, ID.pack(id))
        return found

    return store.write(run)


def in_force(txn: WriteTxn) -> list[HoldRule]:
    """Return the rules as a transaction sees them."""
    with txn.txn.cursor(db=txn.dbs.hold_rule) as cursor:
        return [_decode(value) for value in cursor.iternext(keys=False)]
