"""Summaries of messages: sort keys, ids, preview. Kept at delivery, made when one is missing."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import TYPE_CHECKING

from mox.message import Summary, index_facts
from mox.store import records
from mox.store.errors import MessageGone
from mox.store.model import M_EMAIL_ID, M_UID
from mox.store.records import KEY_CONTENT, SUMMARY

if TYPE_CHECKING:
    from mox.store.account import Account
    from mox.store.committer import WriteTxn
    from mox.store.model import MailboxId, MessageTuple

_EMPTY = Summary()
_KEEP_AT_ONCE = 500


def summaries(
    account: Account,
    mailbox_id: MailboxId,
    messages: Sequence[MessageTuple],
    pace: Callable[[], None],
) -> list[Summary]:
    """The summary of each message; one that is gone has an empty one.

    Reads the files of messages that have none yet, and keeps what it finds. `pace` is called
    between files.
    """
    pack, account_id = KEY_CONTENT.pack, account.id
    keys = [pack(account_id, message[M_EMAIL_ID], SUMMARY) for message in messages]
    dbs = account.store.dbs
    # Copies share one summary, and it is decoded once.
    distinct = list(dict.fromkeys(keys))
    with dbs.env.begin() as txn, txn.cursor(db=dbs.content) as cursor:
        found = {key: records.decode_summary(value) for key, value in cursor.getmulti(distinct)}
    if len(found) < len(distinct):
        _add_missing(account, mailbox_id, messages, keys, found, pace)
    return [found.get(key, _EMPTY) for key in keys]


def _add_missing(
    account: Account,
    mailbox_id: MailboxId,
    messages: Sequence[MessageTuple],
    keys: Sequence[bytes],
    found: dict[bytes, Summary],
    pace: Callable[[], None],
) -> None:
    made: dict[bytes, bytes] = {}
    for key, message in zip(keys, messages, strict=True):
        if key in found:
            continue
        try:
            stored = account.read(mailbox_id, message[M_UID])
        except MessageGone:
            continue
        found[key] = index_facts(stored.data, wire=stored.wire).summary
        made[key] = records.encode(found[key])
        if len(made) >= _KEEP_AT_ONCE:
            _keep(account, made)
            made = {}
        pace()
    if made:
        _keep(account, made)


def _keep(account: Account, made: dict[bytes, bytes]) -> None:
    def change(write: WriteTxn) -> None:
        for key, value in made.items():
            write.put(write.dbs.content, key, value)

    account.store.later_write(change)
