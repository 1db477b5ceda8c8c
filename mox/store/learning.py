"""Working off the backlog of the content filter: reading messages and changing counts (words.py).

One batch at a time: what is due is looked up, messages are read and split into tokens in the
thread pool, then one short transaction checks each message again and applies all that still
holds. So several processes may do this at once, and one that is killed anywhere repeats at most
the reading. Parameters are not known here: the caller gives them for each account.
"""

from __future__ import annotations

import itertools
import time
from collections.abc import Callable, Iterable, Iterator, Sequence
from dataclasses import dataclass, field
from typing import TYPE_CHECKING

from mox import logfmt, metrics
from mox.junk.mailboxflags import Mark
from mox.junk.params import Params
from mox.junk.tokens import MESSAGE_OCTETS, tokens
from mox.metrics import PANICS
from mox.store import records, relearning, words
from mox.store.breaks import take_break
from mox.store.errors import ErrorKind, StoreError
from mox.store.model import M_KEYWORDS, MailboxId, StoredMessage
from mox.store.reading import lookup
from mox.store.records import KEY_A, KEY_AMU
from mox.store.words import COUNTS, JunkState, Trained, trained_as, unpack_state, unpack_trained

if TYPE_CHECKING:
    import lmdb

    from mox.store.account import Account
    from mox.store.committer import WriteTxn
    from mox.store.env import Databases
    from mox.store.store import Store

log = logfmt.logger("store")

ParamsOf = Callable[[str], Params | None]  # by account name; None: no filter

# A batch holds the write lock for about 3 µs per token; others wait so long.
BATCH_MESSAGES = 32
_BATCH_TOKENS = 1500
# Of the time, for the keeper's work; and while others write.
_SHARE = 0.5
_SHARE_BESIDE = 0.08
# A message that cannot be read is left alone for so long.
_REST_S = 60.0

_trained = metrics.counter(
    "mox_junk_trained_total",
    "Messages that the content filters learnt (ham, junk) or took back (none).",
    ("as",),
)

# Keys of the backlog → time.monotonic() at which they are tried again.
Resting = dict[bytes, float]


@dataclass(slots=True)
class _Work:
    """One message of a batch: what it counts as now, and what it is to count as."""

    key: bytes
    mark: Mark  # wanted
    before: bytes | None  # record in `trained`
    old: Trained | None = None  # the same, when something is to change
    new: Trained | None = None
    packed: bytes = b""  # of `new`
    is_same: bool = False  # nothing to change but the backlog

    def set_new(self, new: Trained) -> None:
        self.new, self.packed = new, new.pack()

    @property
    def tokens(self) -> int:
        return sum(len(each.tokens) for each in (self.old, self.new) if each is not None)

    def replace(self, write: WriteTxn, changes: dict[str, list[int]], totals: list[int]) -> None:
        """Change the message's record, and add to `changes` and `totals` what that means."""
        for trained, sign in ((self.old, -1), (self.new, 1)):
            if trained is not None:
                side = 0 if trained.mark is Mark.HAM else 1
                totals[side] += sign
                for token in trained.tokens:
                    changes.setdefault(token, [0, 0])[side] += sign
        if self.new is None:
            write.delete(write.dbs.trained, self.key)
        else:
            write.put(write.dbs.trained, self.key, self.packed)


@dataclass(slots=True)
class _Batch:
    account: Account
    params: Params | None
    works: list[_Work] = field(default_factory=list)

    def apply(self, write: WriteTxn) -> list[Mark]:
        """Do what still holds; the rest stays in the backlog. Returns what was trained as."""
        account_key = KEY_A.pack(self.account.id)
        state = unpack_state(write.get(write.dbs.junk_state, account_key))
        if state.fingerprint != _fingerprint(self.params):
            return []
        changes: dict[str, list[int]] = {}
        totals = [0, 0]
        done: list[Mark] = []
        for work in self.works:
            if write.get(write.dbs.trained, work.key) != work.before:
                continue
            if _wanted(write.txn, write.dbs, work.key, self.params) is not work.mark:
                continue
            write.delete(write.dbs.training, work.key)
            if not work.is_same:
                work.replace(write, changes, totals)
                done.append(work.mark)
        if done:
            _add_counts(write, account_key, changes)
            fresh = JunkState(
                max(0, state.ham + totals[0]), max(0, state.spam + totals[1]), state.fingerprint
            )
            write.put(write.dbs.junk_state, account_key, fresh.pack())
        return done


def backlog(store: Store, account: Account | None = None) -> int:
    """How many messages wait to be looked at, of one account or of all."""
    prefix = b"" if account is None else KEY_A.pack(account.id)
    with store.dbs.env.begin() as txn, txn.cursor(db=store.dbs.training) as cursor:
        if not cursor.set_range(prefix):
            return 0
        keys = cursor.iternext(values=False)
        return sum(1 for _ in itertools.takewhile(lambda key: key.startswith(prefix), keys))


def learn(store: Store, params_of: ParamsOf, resting: Resting | None = None) -> int:
    """Work off the whole backlog; how many messages were looked at.

    Takes half of the time, and less than a tenth while others write. What fails is logged and put
    into `resting` for a while.
    """
    resting = {} if resting is None else resting
    total, last = 0, b""
    while keys := _due(store.dbs, last, resting):
        last, start = keys[-1], time.monotonic()
        for account_id, own in itertools.groupby(keys, lambda key: KEY_A.unpack(key[:4])[0]):
            account = store.account_by_id(account_id)
            if account is not None:
                total += _guarded(account, params_of(account.name), list(own), resting)
        worked_s = time.monotonic() - start
        take_break(store.dbs, worked_s, share=_SHARE, beside=_SHARE_BESIDE)
    return total


def learn_account(account: Account, params: Params | None) -> int:
    """Work off the backlog of one account; how many messages were looked at.

    Raises StoreError when a message cannot be read.
    """
    total, last, prefix = 0, b"", KEY_A.pack(account.id)
    while keys := _due(account.store.dbs, last or prefix, {}):
        own = [key for key in keys if key.startswith(prefix)]
        if own:
            total += _learn_some(account, params, own)
        if len(own) < len(keys):
            break
        last = own[-1]
    return total


def _due(dbs: Databases, after: bytes, resting: Resting) -> list[bytes]:
    now = time.monotonic()
    with dbs.env.begin() as txn, txn.cursor(db=dbs.training) as cursor:
        if not cursor.set_range(after + b"\0" if len(after) > 4 else after):
            return []
        keys = (bytes(key) for key in cursor.iternext(values=False))
        awake = (key for key in keys if resting.get(key, 0.0) <= now)
        return list(itertools.islice(awake, BATCH_MESSAGES))


def _guarded(
    account: Account, params: Params | None, keys: Sequence[bytes], resting: Resting
) -> int:
    """The border of a job: a message that cannot be learnt must not keep others from it."""
    try:
        return _learn_some(account, params, keys)
    except (StoreError, OSError) as e:
        is_full = isinstance(e, StoreError) and e.kind is ErrorKind.DISK_FULL
        if len(keys) == 1 or is_full:
            text = "content filter cannot learn from messages now, they will be tried again"
            log.error(text, err=e, account=account.name, count=len(keys))
            resting.update(dict.fromkeys(keys, time.monotonic() + _REST_S))
            return 0
    except Exception:
        if len(keys) == 1:
            PANICS.labels("store").inc()
            log.exception("unexpected error in learning a message", account=account.name)
            resting[keys[0]] = time.monotonic() + _REST_S
            return 0
    return sum(_guarded(account, params, [key], resting) for key in keys)


def _learn_some(account: Account, params: Params | None, keys: Sequence[bytes]) -> int:
    relearning.align(account, params)
    works: list[_Work] = []
    unread: list[tuple[_Work, StoredMessage]] = []
    for work in _plan(account.store.dbs, keys, params):
        if work.is_same or work.mark is Mark.NONE or work.new is not None:
            works.append(work)
        elif (message := _read(account, work.key)) is not None:
            works.append(work)
            unread.append((work, message))
        # Else it is gone, and its removal is what the backlog has to say next time.
    if unread:
        assert params is not None, "without a filter nothing is wanted"
        account.store.pool.apply(_read_tokens, (unread, params))
    for batch in _batches(account, params, works):
        for mark in account.store.write(batch.apply):
            _trained.labels(mark.value).inc()
    return len(keys)


def _plan(dbs: Databases, keys: Sequence[bytes], params: Params | None) -> list[_Work]:
    fingerprint = _fingerprint(params)
    works: list[_Work] = []
    with dbs.env.begin() as txn:
        for key in keys:
            before = lookup(txn, dbs.trained, key)
            mark = _wanted(txn, dbs, key, params)
            works.append(_work(key, mark, before, fingerprint))
    return works


def _work(key: bytes, mark: Mark, before: bytes | None, fingerprint: int) -> _Work:
    has, of = trained_as(before)
    if has is mark and (mark is Mark.NONE or of == fingerprint):
        return _Work(key, mark, before, is_same=True)
    work = _Work(key, mark, before, None if before is None else unpack_trained(before))
    if work.old is not None and mark is not Mark.NONE and of == fingerprint:
        work.set_new(Trained(mark, fingerprint, work.old.tokens))  # the other kind now
    return work


def _batches(account: Account, params: Params | None, works: Iterable[_Work]) -> Iterator[_Batch]:
    batch, count = _Batch(account, params), 0
    for work in works:
        batch.works.append(work)
        count += work.tokens
        if count >= _BATCH_TOKENS:
            yield batch
            batch, count = _Batch(account, params), 0
    if batch.works:
        yield batch


def _add_counts(write: WriteTxn, account_key: bytes, changes: dict[str, list[int]]) -> None:
    db = write.dbs.word
    for token in sorted(changes):
        ham, spam = changes[token]
        if not ham and not spam:
            continue
        key = account_key + token.encode()
        known = write.get(db, key)
        if known is not None:
            old = COUNTS.unpack(known)
            ham, spam = ham + old[0], spam + old[1]
        if ham <= 0 and spam <= 0:
            write.delete(db, key)
        else:
            write.put(db, key, COUNTS.pack(max(ham, 0), max(spam, 0)))


def _wanted(txn: lmdb.Transaction, dbs: Databases, key: bytes, params: Params | None) -> Mark:
    """What the message's flags ask for; NONE also when it is gone, or without filter."""
    mailbox = lookup(txn, dbs.mailbox, key[:8])
    if mailbox is None or params is None:
        return Mark.NONE
    with txn.cursor(db=dbs.message) as cursor:
        if not cursor.set_range_dup(key[:8], key[8:]):
            return Mark.NONE
        message = records.unpack_message(bytes(cursor.value()))
    if message[0] != int.from_bytes(key[8:], "big"):
        return Mark.NONE
    return words.wanted(records.decode_mailbox(mailbox).keywords, message[M_KEYWORDS])


def _fingerprint(params: Params | None) -> int:
    return params.fingerprint if params is not None else 0


def _read(account: Account, key: bytes) -> StoredMessage | None:
    _, mailbox_id, uid = KEY_AMU.unpack(key)
    try:
        message = account.read(MailboxId(mailbox_id), uid)
    except StoreError as e:
        if e.kind is ErrorKind.NOT_FOUND:
            return None
        raise
    return StoredMessage(message.data[:MESSAGE_OCTETS], message.wire)


def _read_tokens(messages: Iterable[tuple[_Work, StoredMessage]], params: Params) -> None:
    for work, message in messages:
        found = tokens(message.data, params, wire=message.wire)
        work.set_new(Trained(work.mark, params.fingerprint, found.words))


def align_all(store: Store, params_of: ParamsOf) -> None:
    """Make every account learn with its parameters; those without filter forget what they had.

    To be called when the configuration may have changed. What fails is logged.
    """
    for name in store.account_names():
        account = store.find_account(name)
        try:
            if account is not None:
                relearning.align(account, params_of(name))
        except (StoreError, OSError) as e:
            log.error("content filter cannot take its new parameters", err=e, account=name)


def retrain(account: Account, params: Params | None) -> int:
    """Forget everything and learn again from all messages; how many were looked at."""
    relearning.forget(account)
    relearning.align(account, params)
    return learn_account(account, params)
