"""Annotations (RFC 5464): named values of mailboxes and of the account, kept in the index only."""

from __future__ import annotations

from collections.abc import Sequence
from typing import TYPE_CHECKING

import msgspec

from mox.store import records
from mox.store.account_txn import AccountTxn
from mox.store.errors import ErrorKind, StoreError
from mox.store.model import ChangeKind, MailboxId
from mox.store.reading import range_items
from mox.store.records import KEY_A, KEY_AM

if TYPE_CHECKING:
    from mox.store.account import Account
    from mox.store.committer import WriteTxn

# Stands for the account itself where a mailbox is expected.
ACCOUNT = MailboxId(0)

# Of an account: entries, and octets of their names and values together.
MAX_ENTRIES = 1000
MAX_OCTETS = 1_000_000


class Annotation(msgspec.Struct, frozen=True, omit_defaults=True):
    """The value of one entry; `binary` when it was given as literal8."""

    value: bytes
    binary: bool = False


class TooManyAnnotations(StoreError):
    """The account has as many annotations as it can have; nothing was changed."""

    def __init__(self) -> None:
        text = f"an account can have {MAX_ENTRIES} annotations of {MAX_OCTETS} octets together"
        super().__init__(ErrorKind.LIMIT, text)


_decode = msgspec.msgpack.Decoder(Annotation).decode


def annotations_of(account: Account, mailbox_id: MailboxId) -> dict[str, Annotation]:
    """All annotations of a mailbox, or of the account (ACCOUNT), by entry."""
    dbs = account.store.dbs
    prefix = KEY_AM.pack(account.id, mailbox_id)
    with dbs.env.begin() as txn:
        items = range_items(txn, dbs.annotation, prefix)
        return {key[8:].decode(): _decode(value) for key, value in items}


def annotate(
    account: Account, mailbox_id: MailboxId, changes: Sequence[tuple[str, Annotation | None]]
) -> None:
    """Set entries, or remove those with None; all or none. Raises TooManyAnnotations."""

    def change(write: WriteTxn) -> None:
        txn = AccountTxn(write, account.id)
        _change(txn, mailbox_id, changes)
        txn.save()

    account.store.committer.write(change)


def copy_annotations(account: Account, source: MailboxId, target: MailboxId) -> None:
    """Give a mailbox the annotations of another one."""
    found = annotations_of(account, source)
    if found:
        annotate(account, target, list(found.items()))


def _change(
    account: AccountTxn, mailbox_id: MailboxId, changes: Sequence[tuple[str, Annotation | None]]
) -> None:
    write, db = account.write, account.write.dbs.annotation
    mailbox = None if mailbox_id == ACCOUNT else account.mailbox(mailbox_id)
    changed: dict[str, None] = {}
    for entry, annotation in changes:
        key = KEY_AM.pack(account.id, mailbox_id) + entry.encode("ascii")
        value = None if annotation is None else records.encode(annotation)
        if write.get(db, key) == value:
            continue
        if value is None:
            write.delete(db, key)
        else:
            write.put(db, key, value)
        changed[entry] = None
    if changed:
        _check_limits(account)
        name = "" if mailbox is None else mailbox.record.name
        account.log(ChangeKind.ANNOTATED, mailbox, name=name, entries=tuple(changed))


def _check_limits(account: AccountTxn) -> None:
    """Raises TooManyAnnotations; what this operation wrote is taken back with it."""
    count = octets = 0
    items = range_items(account.write.txn, account.write.dbs.annotation, KEY_A.pack(account.id))
    for key, value in items:
        count += 1
        octets += len(key) + len(value)
    if count > MAX_ENTRIES or octets > MAX_OCTETS:
        raise TooManyAnnotations
