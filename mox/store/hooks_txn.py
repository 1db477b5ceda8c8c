"""Webhooks inside a write transaction, so that an event and the call about it are one change.

Every change of a record keeps its entries in `hook_due` and `hook_msg` in step.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Final

import msgspec
from msgspec import structs

from mox.store import hooks_due
from mox.store.hook_records import Hook, HookId, HookResult, RetiredHook
from mox.store.notify import HOOKS
from mox.store.outgoing_due import ID, TIME_ID, micros
from mox.store.outgoing_records import DELIVERING
from mox.webapi.hooks import Outgoing, encode, with_msg_id

if TYPE_CHECKING:
    from mox.store.committer import WriteTxn

_LAST_ID_KEY: Final = b"hook_id"
# Most retired records that one transaction removes.
EXPIRE_BATCH: Final = 1000
# Added to the result of a call that was made when the next event happened.
_SUPERSEDED: Final = " (superseded)"
# Of a retired record: results are added to it only by calls that were under way.
_MAX_RESULTS: Final = 50

encode_record = msgspec.msgpack.Encoder().encode
decode_hook = msgspec.msgpack.Decoder(Hook).decode
decode_retired = msgspec.msgpack.Decoder(RetiredHook).decode


@dataclass(frozen=True, slots=True)
class OutgoingHook:
    """A call about a sent message, complete but for what the transaction finds out.

    One about the same message that still waits is superseded, and kept until
    `keep_superseded_until` unless that is 0.
    """

    hook: Hook
    payload: Outgoing
    keep_superseded_until: float = 0.0


@dataclass(frozen=True, slots=True)
class IncomingHook:
    """A call about a received message; `body` lacks the MsgID."""

    hook: Hook
    body: bytes


@dataclass(frozen=True, slots=True)
class HookStart:
    """An attempt about to begin: `when` is the time the call was due, in microseconds."""

    id: HookId
    when: int
    next_attempt: float  # should this one not succeed


@dataclass(frozen=True, slots=True)
class HookOutcome:
    """How an attempt ended. Done: it leaves, and a record is kept until `keep_until` unless 0."""

    id: HookId
    result: HookResult
    done: bool
    keep_until: float = 0.0


@dataclass(frozen=True, slots=True)
class HookRelease:
    """An attempt that was recorded as begun and is not made: all is as before."""

    start: HookStart


def live(txn: WriteTxn, id: int) -> Hook | None:
    value = txn.get(txn.dbs.hook, ID.pack(id))
    return None if value is None else decode_hook(value)


# ---- new ones


def add_outgoing(txn: WriteTxn, new: OutgoingHook, *, suppressing: bool) -> HookId:
    """Add a call about a sent message, in place of one that still waits."""
    payload = structs.replace(new.payload, suppressing=True) if suppressing else new.payload
    return _add(txn, new.hook, encode(payload), new.keep_superseded_until)


def add_incoming(txn: WriteTxn, new: IncomingHook, email_id: int) -> HookId:
    """Add a call about a message that was stored under this number."""
    return _add(txn, new.hook, with_msg_id(new.body, email_id), 0.0)


def _add(txn: WriteTxn, hook: Hook, body: bytes, keep_superseded_until: float) -> HookId:
    dbs = txn.dbs
    last = txn.get(dbs.meta, _LAST_ID_KEY)
    id = HookId((ID.unpack(last)[0] if last else 0) + 1)
    txn.put(dbs.meta, _LAST_ID_KEY, ID.pack(id))
    if hook.queue_msg_id:
        _supersede(txn, hook, id, keep_superseded_until)
        txn.put(dbs.hook_msg, ID.pack(hook.queue_msg_id), ID.pack(id))
    hook = structs.replace(hook, id=id)
    txn.put(dbs.hook, ID.pack(id), encode_record(hook))
    txn.put(dbs.hook_body, ID.pack(id), body)
    txn.put(dbs.hook_due, hooks_due.entry(hook), b"")
    txn.touched.add(HOOKS)
    return id


def _supersede(txn: WriteTxn, hook: Hook, by: HookId, keep_until: float) -> None:
    known = txn.get(txn.dbs.hook_msg, ID.pack(hook.queue_msg_id))
    old = live(txn, ID.unpack(known)[0]) if known is not None else None
    if old is not None:
        retired = RetiredHook.of(
            old, success=False, now=hook.submitted, keep_until=keep_until, superseded_by=by
        )
        _retire(txn, old, retired)


# ---- changes


def replace(txn: WriteTxn, old: Hook, new: Hook) -> None:
    """Store a changed record."""
    if old.next_attempt != new.next_attempt:
        txn.delete(txn.dbs.hook_due, hooks_due.entry(old))
        txn.put(txn.dbs.hook_due, hooks_due.entry(new), b"")
    txn.put(txn.dbs.hook, ID.pack(new.id), encode_record(new))


def start(txn: WriteTxn, begun: HookStart, now: float) -> tuple[Hook, bytes] | None:
    """Count an attempt; returns what to send.

    None when the call was superseded, canceled or rescheduled since it was due.
    """
    hook = live(txn, begun.id)
    if hook is None or micros(hook.next_attempt) != begun.when:
        return None
    new = structs.replace(
        hook,
        attempts=hook.attempts + 1,
        next_attempt=begun.next_attempt,
        results=(*hook.results, HookResult(now, url=hook.url, error=DELIVERING)),
    )
    replace(txn, hook, new)
    body = txn.get(txn.dbs.hook_body, ID.pack(hook.id))
    assert body is not None, "a webhook without body"
    return new, body


def finish(txn: WriteTxn, outcome: HookOutcome) -> None:
    """Apply an outcome. A call that was superseded or canceled meanwhile remembers it, too."""
    hook = live(txn, outcome.id)
    if hook is None:
        _finish_retired(txn, outcome)
        return
    new = structs.replace(hook, results=(*_ended(hook.results), outcome.result))
    if not outcome.done:
        replace(txn, hook, new)
        return
    result = outcome.result
    now = result.start + result.duration_s
    retired = RetiredHook.of(new, success=result.success, now=now, keep_until=outcome.keep_until)
    _retire(txn, hook, retired)


def release(txn: WriteTxn, released: HookRelease) -> None:
    """Take the start of an attempt back."""
    begun = released.start
    hook = live(txn, begun.id)
    if hook is not None:
        is_as_begun = micros(hook.next_attempt) == micros(begun.next_attempt)
        new = structs.replace(
            hook,
            attempts=hook.attempts - 1,
            # Else an administrator has moved it meanwhile.
            next_attempt=begun.when / 1e6 if is_as_begun else hook.next_attempt,
            results=_ended(hook.results),
        )
        replace(txn, hook, new)
        txn.touched.add(HOOKS)
        return
    retired = _retired(txn, begun.id)
    if retired is not None:
        changed = structs.replace(
            retired, attempts=retired.attempts - 1, results=_without_begun(retired.results)
        )
        txn.put(txn.dbs.hook_retired, ID.pack(begun.id), encode_record(changed))


def cancel(txn: WriteTxn, hook: Hook, result: HookResult, keep_until: float) -> None:
    """End a call that waits."""
    new = structs.replace(hook, results=(*hook.results, result))
    retired = RetiredHook.of(new, success=False, now=result.start, keep_until=keep_until)
    _retire(txn, hook, retired)


def expire(txn: WriteTxn, now: int) -> int:
    """Remove retired records whose time is over (microseconds), a batch; returns how many."""
    dbs = txn.dbs
    keys: list[bytes] = []
    with txn.txn.cursor(db=dbs.hook_until) as cursor:
        for key in cursor.iternext(values=False):
            if TIME_ID.unpack(key)[0] > now or len(keys) == EXPIRE_BATCH:
                break
            keys.append(bytes(key))
    for key in keys:
        txn.delete(dbs.hook_retired, key[8:])
        txn.delete(dbs.hook_body, key[8:])
        txn.delete(dbs.hook_until, key)
    return len(keys)


# ---- ends


def _retire(txn: WriteTxn, hook: Hook, retired: RetiredHook) -> None:
    dbs, key = txn.dbs, ID.pack(hook.id)
    txn.delete(dbs.hook, key)
    txn.delete(dbs.hook_due, hooks_due.entry(hook))
    if hook.queue_msg_id:
        txn.delete(dbs.hook_msg, ID.pack(hook.queue_msg_id))
    if retired.keep_until:
        txn.put(dbs.hook_retired, key, encode_record(retired))
        txn.put(dbs.hook_until, TIME_ID.pack(micros(retired.keep_until), hook.id), b"")
    else:
        txn.delete(dbs.hook_body, key)


def _finish_retired(txn: WriteTxn, outcome: HookOutcome) -> None:
    retired = _retired(txn, outcome.id)
    if retired is None:
        return
    result = outcome.result
    if retired.superseded_by_id:
        result = structs.replace(result, error=f"{result.error}{_SUPERSEDED}".strip())
    changed = structs.replace(
        retired,
        results=(*_without_begun(retired.results), result)[-_MAX_RESULTS:],
        last_activity=result.start + result.duration_s,
    )
    txn.put(txn.dbs.hook_retired, ID.pack(outcome.id), encode_record(changed))


def _retired(txn: WriteTxn, id: HookId) -> RetiredHook | None:
    value = txn.get(txn.dbs.hook_retired, ID.pack(id))
    return None if value is None else decode_retired(value)


def _ended(results: tuple[HookResult, ...]) -> tuple[HookResult, ...]:
    """Return the results without that of the attempt under way."""
    return results[:-1] if results and results[-1].error == DELIVERING else results


def _without_begun(results: tuple[HookResult, ...]) -> tuple[HookResult, ...]:
    """The same for a record whose end was noted behind the attempt under way."""
    for place in range(len(results) - 1, -1, -1):
        if results[place].error == DELIVERING:
            return (*results[:place], *results[place + 1 :])
    return results
