"""Where the messages with an email id are: the way from an account-wide number to a mailbox.

All copies of a message share its number. An account of before there was this index gets it at the
first question.
"""

from __future__ import annotations

from functools import partial
from typing import TYPE_CHECKING, Final, NamedTuple

from mox.store.many import delete_many, put_many
from mox.store.model import M_EMAIL_ID, M_SAVED, M_UID, MailboxId, MessageTuple
from mox.store.reading import range_items
from mox.store.records import KEY_A, KEY_AE, KEY_AEMU, KEY_AM, KEYED_MESSAGE

if TYPE_CHECKING:
    from collections.abc import Sequence

    import lmdb

    from mox.store.account import Account
    from mox.store.committer import WriteTxn

# Largest email id that a key can have.
_MAX_ID: Final = (1 << 63) - 1


class Place(NamedTuple):
    """A message of a mailbox."""

    mailbox_id: MailboxId
    message: MessageTuple


def put(write: WriteTxn, account_id: int, mailbox_id: int, message: MessageTuple) -> None:
    key = KEY_AEMU.pack(account_id, message[M_EMAIL_ID], mailbox_id, message[M_UID])
    write.put(write.dbs.place, key, b"")


def delete(write: WriteTxn, account_id: int, mailbox_id: int, message: MessageTuple) -> None:
    key = KEY_AEMU.pack(account_id, message[M_EMAIL_ID], mailbox_id, message[M_UID])
    write.delete(write.dbs.place, key)


def put_all(
    write: WriteTxn, account_id: int, mailbox_id: int, messages: Sequence[MessageTuple]
) -> None:
    """The same as put() for many messages."""
    keys = _keys(account_id, mailbox_id, messages)
    put_many(write, write.dbs.place, [(key, b"") for key in keys])


def delete_some(
    write: WriteTxn, account_id: int, mailbox_id: int, messages: Sequence[MessageTuple]
) -> None:
    """The same as delete() for many messages."""
    delete_many(write, write.dbs.place, _keys(account_id, mailbox_id, messages))


def _keys(account_id: int, mailbox_id: int, messages: Sequence[MessageTuple]) -> list[bytes]:
    pack = KEY_AEMU.pack
    return [pack(account_id, m[M_EMAIL_ID], mailbox_id, m[M_UID]) for m in messages]


def mark_complete(write: WriteTxn, account_id: int) -> None:
    """All messages of the account have their places."""
    write.put(write.dbs.place, KEY_A.pack(account_id), b"")


def find(account: Account, email_id: int) -> Place | None:
    """Return where a message is; of several copies, the one that is longest in its mailbox."""
    if not 0 < email_id <= _MAX_ID:
        return None
    dbs = account.store.dbs
    with dbs.env.begin() as txn:
        is_complete = txn.get(KEY_A.pack(account.id), db=dbs.place) is not None
        keys = [key for key, _ in range_items(txn, dbs.place, KEY_AE.pack(account.id, email_id))]
    if not is_complete:
        account.store.write(partial(_complete, account.id))
        return find(account, email_id)
    found = []
    for key in keys:
        mailbox_id, uid = KEY_AEMU.unpack(key)[2:]
        message = account.message(MailboxId(mailbox_id), uid)
        if message is not None:
            found.append(Place(MailboxId(mailbox_id), message))
    return min(found, key=lambda place: place.message[M_SAVED], default=None)


def _complete(account_id: int, write: WriteTxn) -> None:
    prefix = KEY_A.pack(account_id)
    for key, _ in list(range_items(write.txn, write.dbs.mailbox, prefix)):
        for message in _messages(write.txn, write.dbs.message, key):
            put(write, account_id, KEY_AM.unpack(key)[1], message)
    mark_complete(write, account_id)


def delete_all(write: WriteTxn, account_id: int, mailbox_id: int) -> None:
    """Forget the places in a mailbox that goes; its records are still there."""
    key = KEY_AM.pack(account_id, mailbox_id)
    for message in _messages(write.txn, write.dbs.message, key):
        delete(write, account_id, mailbox_id, message)


def _messages(txn: lmdb.Transaction, db: lmdb._Database, key: bytes) -> list[MessageTuple]:
    with txn.cursor(db=db) as cursor:
        block = cursor.getmulti([key], True, KEYED_MESSAGE.size - len(key), True)
    return list(KEYED_MESSAGE.iter_unpack(block))
