"""Starting an account's content filter, changing its parameters, and forgetting all of it.

The state of an account names the parameters (by fingerprint) that it learns with. When the
configuration has others, every message that was or is to be trained goes into the backlog once
more: it is taken back with its old tokens and trained with its new ones, so the filter stays of
use meanwhile. 0 stands for no filter: counts that are still there are removed first.
"""

from __future__ import annotations

import itertools
from collections.abc import Sequence
from typing import TYPE_CHECKING

from mox import logfmt
from mox.junk.mailboxflags import Mark
from mox.junk.params import Params
from mox.store import words
from mox.store.model import M_KEYWORDS
from mox.store.reading import range_items
from mox.store.records import KEY_A, KEY_AMU
from mox.store.words import JunkState, read_state, unpack_state

log = logfmt.logger("store")

if TYPE_CHECKING:
    from mox.store.account import Account
    from mox.store.committer import WriteTxn

_AT_ONCE = 5000


def align(account: Account, params: Params | None) -> None:
    """Make the account learn with these parameters (None: not at all). Cheap when it does."""
    fingerprint = params.fingerprint if params is not None else 0
    known = read_state(account.store.dbs, account.id).fingerprint
    if known == fingerprint:
        return
    if known and fingerprint:
        log.info("content filter has other parameters, learns again", account=account.name)
    elif known:
        log.info("content filter is configured no more, is forgotten", account=account.name)
    if not known or not fingerprint:
        forget(account)
        known = 0
    if fingerprint:
        _put_all(account)
        account.store.write(lambda write: _set(write, account.id, known, fingerprint))


def forget(account: Account) -> None:
    """Remove all that the account's filter has learnt. A crash in between loses nothing else."""
    account.store.write(lambda write: _reset(write, account.id))
    while account.store.write(lambda write: _forget_some(write, account.id)):
        pass


def _reset(write: WriteTxn, account_id: int) -> None:
    write.put(write.dbs.junk_state, KEY_A.pack(account_id), JunkState().pack())


def _forget_some(write: WriteTxn, account_id: int) -> bool:
    """Remove some records; whether more may be left. Stops when it was done by another process."""
    key = KEY_A.pack(account_id)
    if unpack_state(write.get(write.dbs.junk_state, key)).fingerprint:
        return False
    left = _AT_ONCE
    for db in (write.dbs.trained, write.dbs.word):
        keys = [key for key, _ in itertools.islice(range_items(write.txn, db, key), left)]
        for each in keys:
            write.delete(db, each)
        left -= len(keys)
    return left == 0


def _set(write: WriteTxn, account_id: int, known: int, fingerprint: int) -> None:
    key = KEY_A.pack(account_id)
    state = unpack_state(write.get(write.dbs.junk_state, key))
    if state.fingerprint != known:
        return  # another process was faster
    if not known and any(True for _ in range_items(write.txn, write.dbs.trained, key)):
        return  # forgotten only in part
    fresh = JunkState(state.ham, state.spam, fingerprint)
    write.put(write.dbs.junk_state, key, fresh.pack())


def _put_all(account: Account) -> None:
    """Put all messages into the backlog that are trained or should be."""
    dbs = account.store.dbs
    with dbs.env.begin() as txn:
        keys = {key for key, _ in range_items(txn, dbs.trained, KEY_A.pack(account.id))}
    for mailbox in account.mailboxes():
        keys.update(
            KEY_AMU.pack(account.id, mailbox.id, message[0])
            for message in account.scan(mailbox.id)
            if words.wanted(mailbox.keywords, message[M_KEYWORDS]) is not Mark.NONE
        )
    ordered = sorted(keys)
    for start in range(0, len(ordered), _AT_ONCE):
        _put(account, ordered[start : start + _AT_ONCE])


def _put(account: Account, keys: Sequence[bytes]) -> None:
    def change(write: WriteTxn) -> None:
        for key in keys:
            write.put(write.dbs.training, key, b"")

    account.store.write(change)
