"""Where the messages with an email id are: the way from an account-wide number to a mailbox.

All copies of a message share its number. The place where it got it is with its content, and stays
there when the message has left: no uid is given twice, so that a look at it tells. The places of
copies, and of messages that were moved, are in `place`, and go away with them.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Final, NamedTuple

from mox.store.many import delete_many, put_many
from mox.store.model import M_EMAIL_ID, M_SAVED, M_UID, MailboxId, MessageTuple
from mox.store.reading import lookup, range_items
from mox.store.records import (
    FIRST_PLACE,
    KEY_AE,
    KEY_AEMU,
    KEY_AM,
    KEY_CONTENT,
    KEYED_MESSAGE,
    MESSAGE,
    PLACE,
)

if TYPE_CHECKING:
    from collections.abc import Iterable

    from mox.store.account import Account
    from mox.store.committer import WriteTxn

# Largest email id that a key can have.
_MAX_ID: Final = (1 << 63) - 1


class Place(NamedTuple):
    """A message of a mailbox."""

    mailbox_id: MailboxId
    message: MessageTuple


def put(
    write: WriteTxn, account_id: int, mailbox_id: int, messages: Iterable[MessageTuple]
) -> None:
    """Note where messages are that did not get their email ids there."""
    keys = _keys(account_id, mailbox_id, messages)
    put_many(write, write.dbs.place, [(key, b"") for key in keys])


def delete(
    write: WriteTxn, account_id: int, mailbox_id: int, messages: Iterable[MessageTuple]
) -> None:
    """Forget the places of messages that leave the mailbox."""
    delete_many(write, write.dbs.place, _keys(account_id, mailbox_id, messages))


def delete_all(write: WriteTxn, account_id: int, mailbox_id: int) -> None:
    """Forget the places in a mailbox that goes; its records are still there."""
    key = KEY_AM.pack(account_id, mailbox_id)
    with write.txn.cursor(db=write.dbs.message) as cursor:
        block = cursor.getmulti([key], True, MESSAGE.size, True)
    delete(write, account_id, mailbox_id, KEYED_MESSAGE.iter_unpack(block))


def _keys(account_id: int, mailbox_id: int, messages: Iterable[MessageTuple]) -> list[bytes]:
    pack = KEY_AEMU.pack
    return [pack(account_id, m[M_EMAIL_ID], mailbox_id, m[M_UID]) for m in messages]


def find(account: Account, email_id: int) -> Place | None:
    """Return where a message is; of several copies, the one that is longest in its mailbox."""
    return min(find_all(account, email_id), key=lambda place: place.message[M_SAVED], default=None)


def find_all(account: Account, email_id: int) -> list[Place]:
    """Return where all copies of a message are."""
    if not 0 < email_id <= _MAX_ID:
        return []
    found = []
    for mailbox_id, uid in _recorded(account, email_id):
        message = account.message(MailboxId(mailbox_id), uid)
        # A message that a scan took in and a delivery then recognised has got another number.
        if message is not None and message[M_EMAIL_ID] == email_id:
            found.append(Place(MailboxId(mailbox_id), message))
    return found


def _recorded(account: Account, email_id: int) -> list[tuple[int, int]]:
    """(mailbox, uid) of the places that are noted."""
    dbs = account.store.dbs
    with dbs.env.begin() as txn:
        first = lookup(txn, dbs.content, KEY_CONTENT.pack(account.id, email_id, FIRST_PLACE))
        items = range_items(txn, dbs.place, KEY_AE.pack(account.id, email_id))
        later = [KEY_AEMU.unpack(key)[2:] for key, _ in items]
    return later if first is None else [PLACE.unpack(first), *later]
