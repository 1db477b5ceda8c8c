"""The queue inside a write transaction, and the layout of its keys and values.

Every change of a record keeps its entries in `queue_due` and `queue_file` in step.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING, Final

import lmdb
import msgspec
from msgspec import structs

from mox.store import (
    hold_rules,
    hooks_txn,
    outgoing_due,
    retired_recipients,
    retired_references,
    suppressions,
)
from mox.store.errors import ErrorKind, StoreError
from mox.store.hooks_txn import OutgoingHook
from mox.store.outgoing_due import ID, TIME_ID, micros
from mox.store.outgoing_records import (
    DELIVERING,
    AttemptResult,
    QueueId,
    QueueMessage,
    RetiredMessage,
)

if TYPE_CHECKING:
    from mox.store.committer import WriteTxn

_LAST_ID_KEY: Final = b"queue_id"
# Stands for the queue among the accounts that a commit touched.
QUEUE_BELL: Final = 0
# Of a retired message: anybody who knows its id can send notifications about it.
MAX_RESULTS: Final = 50
# Most retired records that one transaction removes.
EXPIRE_BATCH: Final = 1000

encode = msgspec.msgpack.Encoder().encode
decode = msgspec.msgpack.Decoder(QueueMessage).decode
decode_retired = msgspec.msgpack.Decoder(RetiredMessage).decode


class FromIdTaken(StoreError):
    """The chosen id in the envelope sender belongs to another message."""

    def __init__(self, from_id: str) -> None:
        super().__init__(ErrorKind.EXISTS, "fromid is in use by another message", from_id)


@dataclass(frozen=True, slots=True)
class Start:
    """An attempt about to begin: `when` is the time the message was due, as in its Bundle.

    With a `flow_key`, only if the message is still of that flow.
    """

    id: QueueId
    when: int
    next_attempt: float  # should this one not end
    flow_key: bytes = b""


@dataclass(frozen=True, slots=True)
class Outcome:
    """How an attempt for one message ended.

    Not `done`: it stays for `next_attempt`. Done: it leaves the queue; a record is kept until
    `keep_until` unless that is 0.
    """

    id: QueueId
    result: AttemptResult
    done: bool
    next_attempt: float = 0.0
    keep_until: float = 0.0
    dialed_ips: dict[str, tuple[str, ...]] | None = None  # None: as before
    hook: OutgoingHook | None = None  # to be called about it


def from_id_key(from_id: str) -> bytes:
    return from_id.encode()[:500]


def file_key(msg: QueueMessage) -> bytes:
    return msg.file.encode() + b"\0" + ID.pack(msg.id)


def has_file(cursor: lmdb.Cursor, file: str) -> bool:
    prefix = file.encode() + b"\0"
    return cursor.set_range(prefix) and bytes(cursor.key()).startswith(prefix)


def live(txn: WriteTxn, id: QueueId) -> QueueMessage | None:
    value = txn.get(txn.dbs.queue, ID.pack(id))
    return None if value is None else decode(value)


def add(
    txn: WriteTxn, messages: Sequence[QueueMessage], file: str, octets: bytes | None
) -> list[QueueId]:
    dbs = txn.dbs
    if octets is not None:
        txn.put(dbs.queue_content, file.encode(), octets)
    last = txn.get(dbs.meta, _LAST_ID_KEY)
    first = (ID.unpack(last)[0] if last else 0) + 1
    same = len({(m.sender, m.prefix) for m in messages}) == 1
    base = QueueId(first if same and len(messages) > 1 else 0)
    ids = [QueueId(first + i) for i in range(len(messages))]
    holding = hold_rules.in_force(txn)
    for id, message in zip(ids, messages, strict=True):
        hold = message.hold or any(rule.matches(message) for rule in holding)
        msg = structs.replace(message, id=id, base_id=base, file=file, hold=hold)
        if msg.from_id:
            _claim_from_id(txn, msg)
        txn.put(dbs.queue, ID.pack(id), encode(msg))
        txn.put(dbs.queue_file, file_key(msg), b"")
        if not msg.hold:
            txn.put(dbs.queue_due, *outgoing_due.entry(msg))
    txn.put(dbs.meta, _LAST_ID_KEY, ID.pack(ids[-1]))
    txn.touched.add(QUEUE_BELL)
    return ids


def _claim_from_id(txn: WriteTxn, msg: QueueMessage) -> None:
    key = from_id_key(msg.from_id)
    if txn.get(txn.dbs.queue_from_id, key) is not None:
        raise FromIdTaken(msg.from_id)
    txn.put(txn.dbs.queue_from_id, key, ID.pack(msg.id))


def replace(txn: WriteTxn, old: QueueMessage, new: QueueMessage) -> None:
    """Store a changed record. Who makes it due earlier rings the bell, too."""
    dbs = txn.dbs
    if not old.hold:
        txn.delete(dbs.queue_due, outgoing_due.entry(old)[0])
    txn.put(dbs.queue, ID.pack(new.id), encode(new))
    if not new.hold:
        txn.put(dbs.queue_due, *outgoing_due.entry(new))


def start(txn: WriteTxn, begun: Start, now: float) -> QueueMessage | None:
    """Count an attempt; None when the record was removed, held or rescheduled since it was due."""
    msg = live(txn, begun.id)
    if msg is None or msg.hold or micros(msg.next_attempt) != begun.when:
        return None
    if begun.flow_key and not outgoing_due.entry(msg)[0].startswith(begun.flow_key):
        return None  # it has got another transport
    new = structs.replace(
        msg,
        attempts=msg.attempts + 1,
        last_attempt=now,
        next_attempt=begun.next_attempt,
        results=(*msg.results, AttemptResult(now, error=DELIVERING)),
    )
    replace(txn, msg, new)
    return new


def finish(txn: WriteTxn, msg: QueueMessage, outcome: Outcome) -> set[str]:
    """Apply an outcome; returns the file if nothing uses it any more."""
    earlier = msg.results
    if earlier and earlier[-1].error == DELIVERING:
        earlier = earlier[:-1]
    changes: dict[str, object] = {"results": (*earlier, outcome.result)}
    if outcome.dialed_ips is not None:
        changes["dialed_ips"] = outcome.dialed_ips
    if not outcome.done:
        changes["next_attempt"] = outcome.next_attempt
    new = structs.replace(msg, **changes)
    if not outcome.done:
        replace(txn, msg, new)
        add_hook(txn, outcome.hook)
        return set()
    return _retire(txn, new, outcome)


def _retire(txn: WriteTxn, msg: QueueMessage, outcome: Outcome) -> set[str]:
    dbs, key = txn.dbs, ID.pack(msg.id)
    txn.delete(dbs.queue, key)
    txn.delete(dbs.queue_due, outgoing_due.entry(msg)[0])
    txn.delete(dbs.queue_file, file_key(msg))
    now = outcome.result.start + outcome.result.duration_s
    suppressing = not outcome.result.success and _suppress(
        txn, msg, outcome.result, now, suppressions.FROM_QUEUE
    )
    add_hook(txn, outcome.hook, suppressing=suppressing)
    if outcome.keep_until:
        retired = RetiredMessage.of(
            msg, success=outcome.result.success, now=now, keep_until=outcome.keep_until
        )
        txn.put(dbs.retired, key, encode(retired))
        txn.put(dbs.retired_until, TIME_ID.pack(micros(outcome.keep_until), msg.id), b"")
        retired_recipients.put(txn, retired)
        retired_references.put(txn, retired)
    elif msg.from_id:
        txn.delete(dbs.queue_from_id, from_id_key(msg.from_id))
    with txn.txn.cursor(db=dbs.queue_file) as cursor:
        if has_file(cursor, msg.file):
            return set()
    return set() if txn.delete(dbs.queue_content, msg.file.encode()) else {msg.file}


def add_hook(txn: WriteTxn, hook: OutgoingHook | None, *, suppressing: bool = False) -> None:
    """Have an application called about a message, if one wants to be."""
    if hook is not None:
        hooks_txn.add_outgoing(txn, hook, suppressing=suppressing)


def _suppress(
    txn: WriteTxn,
    msg: QueueMessage | RetiredMessage,
    result: AttemptResult,
    now: float,
    source: str,
) -> bool:
    """Put the recipient of a failed message on the suppression list, if that is due.

    Returns whether it is there only now.
    """
    return suppressions.note_failure(
        txn,
        msg.sender_account,
        msg.recipient,
        code=result.code,
        secode=result.secode,
        source=source,
        now=now,
        in_a_row=retired_recipients.have_failed(
            txn, msg.sender_account, msg.recipient, besides=msg.id
        ),
    )


@dataclass(frozen=True, slots=True)
class Feedback:
    """What another server told later about a message. `failed`: it did not arrive.

    `hook` is to be called about it.
    """

    id: QueueId
    result: AttemptResult
    failed: bool = False
    hook: OutgoingHook | None = None


def note_feedback(txn: WriteTxn, told: Feedback) -> None:
    """Add what was told to a retired message, if it is still kept.

    That it did not arrive counts against its recipient.
    """
    key = ID.pack(told.id)
    value = txn.get(txn.dbs.retired, key)
    if value is None:
        return
    old, result = decode_retired(value), told.result
    results = (*old.results, result)[-MAX_RESULTS:]
    new = structs.replace(old, results=results, last_activity=result.start)
    txn.put(txn.dbs.retired, key, encode(new))
    suppressing = told.failed and _suppress(txn, old, result, result.start, suppressions.FROM_DSN)
    add_hook(txn, told.hook, suppressing=suppressing)


def expire(txn: WriteTxn, now: int) -> int:
    dbs = txn.dbs
    keys: list[bytes] = []
    with txn.txn.cursor(db=dbs.retired_until) as cursor:
        for key in cursor.iternext(values=False):
            if TIME_ID.unpack(key)[0] > now or len(keys) == EXPIRE_BATCH:
                break
            keys.append(bytes(key))
    for key in keys:
        value = txn.get(dbs.retired, key[8:])
        if value is not None:
            msg = decode_retired(value)
            retired_recipients.delete(txn, msg)
            retired_references.delete(txn, msg)
            if msg.from_id:
                txn.delete(dbs.queue_from_id, from_id_key(msg.from_id))
        txn.delete(dbs.retired, key[8:])
        txn.delete(dbs.retired_until, key)
    return len(keys)
