"""The index of queued messages by flow and time, and the questions that the queue process asks it.

A key is a hash of the flow, the time of the next attempt, and the message's id. So what is due is
found flow by flow, however many messages of one that goes nowhere are due as well; recipients of
one submission that can share a transaction are neighbours. Held messages are not in it.
"""

from __future__ import annotations

import hashlib
import struct
from collections.abc import Container
from dataclasses import dataclass
from typing import Final

import msgspec

from mox.store.env import Databases
from mox.store.outgoing_records import Flow, QueueId, QueueMessage

ID: Final = struct.Struct(">Q")
TIME_ID: Final = struct.Struct(">QQ")  # microseconds, id
_HASH_OCTETS: Final = 16
# Sorts after all entries of a flow.
_LAST: Final = b"\xff" * (TIME_ID.size + 1)
# RFC 5321 §4.5.3.1.8: a server must take 100 recipients in one transaction.
MAX_BUNDLE: Final = 100

_encode_flow = msgspec.msgpack.Encoder().encode
_decode_flow = msgspec.msgpack.Decoder(Flow).decode


def micros(seconds: float) -> int:
    return max(0, round(seconds * 1e6))


@dataclass(frozen=True, slots=True)
class FlowHead:
    """A flow that has messages: its key, and when the earliest of them is due."""

    key: bytes
    when: float
    _value: bytes

    @property
    def flow(self) -> Flow:
        return _decode_flow(self._value[ID.size :])


@dataclass(frozen=True, slots=True)
class Bundle:
    """Due messages that can share a transaction: of one submission, flow and time."""

    when: int  # microseconds
    ids: tuple[QueueId, ...]


def entry(msg: QueueMessage) -> tuple[bytes, bytes]:
    """Return the key and the value of a message's entry."""
    flow = _encode_flow(msg.flow)
    key = hashlib.blake2b(flow, digest_size=_HASH_OCTETS).digest()
    return key + TIME_ID.pack(micros(msg.next_attempt), msg.id), ID.pack(msg.base_id) + flow


def heads(dbs: Databases, after: bytes, limit: int) -> list[FlowHead]:
    """Return flows in the order of their keys, at most `limit`, from the one after `after`."""
    found: list[FlowHead] = []
    with dbs.env.begin() as txn, txn.cursor(db=dbs.queue_due) as cursor:
        there = cursor.set_range(after + _LAST) if after else cursor.first()
        while there and len(found) < limit:
            key, value = cursor.item()
            flow_key = key[:_HASH_OCTETS]
            when, _ = TIME_ID.unpack_from(key, _HASH_OCTETS)
            found.append(FlowHead(flow_key, when / 1e6, value))
            there = cursor.set_range(flow_key + _LAST)
    return found


def due(
    dbs: Databases, flow_key: bytes, now: float, limit: int, taken: Container[int]
) -> list[Bundle]:
    """Return what is due in one flow, earliest first: at most `limit` bundles, none `taken`."""
    end = micros(now)
    found: list[tuple[int, bytes, list[QueueId]]] = []  # when, id of the submission, ids
    with dbs.env.begin() as txn, txn.cursor(db=dbs.queue_due) as cursor:
        there = cursor.set_range(flow_key)
        while there:
            key, value = cursor.item()
            there = cursor.next()
            when, number = TIME_ID.unpack_from(key, _HASH_OCTETS)
            if when > end or not key.startswith(flow_key):
                break
            if number in taken:
                continue
            base = value[: ID.size]
            if not _joins(found, when, base):
                if len(found) == limit:
                    break
                found.append((when, base, []))
            found[-1][2].append(QueueId(number))
    return [Bundle(when, tuple(ids)) for when, _, ids in found]


def _joins(found: list[tuple[int, bytes, list[QueueId]]], when: int, base: bytes) -> bool:
    if not found or not any(base):
        return False
    last_when, last_base, ids = found[-1]
    return (last_when, last_base) == (when, base) and len(ids) < MAX_BUNDLE
