"""Rebuild an account's index from its Maildir: `mox reindex`.

Messages that the index knows keep their uids; their overview, size and counters are made anew.
Files it does not know become messages, entries without file go. Where the index has been lost,
everything gets new uids under new UIDVALIDITYs, so that clients download again. Where messages
came from is read from the fields that they got on delivery.
"""

from __future__ import annotations

import os
from collections.abc import Sequence
from dataclasses import dataclass
from functools import partial
from pathlib import Path

import msgspec

from mox.message import index_facts
from mox.store import history_txn, mailfiles, messages, records
from mox.store.account import Account
from mox.store.account_txn import AccountTxn, MailboxTxn
from mox.store.committer import WriteTxn
from mox.store.errors import ErrorKind, StoreError
from mox.store.maildir import INBOX
from mox.store.model import M_EMAIL_ID, M_FLAGS, M_SIZE, MailboxId, MessageTuple
from mox.store.origin import Origin
from mox.store.originreading import read_origin
from mox.store.records import FILE_IS_WIRE, HAS_ORIGIN, KEY_AE, KEY_CONTENT, OVERVIEW, SUMMARY
from mox.store.settling import restore
from mox.store.store import Store, open_store

_AT_ONCE = 500
# Special uses of mailboxes that messages are moved to.
FILED = frozenset({"\\Archive", "\\Junk", "\\Trash"})

# A message's record, its size, what the index keeps of it, and where it came from.
_Fresh = tuple[MessageTuple, int, messages.Kept, Origin | None]


@dataclass(slots=True)
class Report:
    mailboxes: int = 0
    messages: int = 0
    changed: int = 0  # whose entry was wrong


def reindex(data_dir: Path, name: str) -> Report:
    """Rebuild the index of account `name`; the server may run meanwhile.

    Raises StoreError when there is no such account directory or the disk fails.
    """
    if name != os.path.basename(name) or not (data_dir / "accounts" / name / "Maildir").is_dir():
        text = f"no Maildir for account {name!r}"
        raise StoreError(ErrorKind.NOT_FOUND, text, f"looked in {data_dir}/accounts")
    store = open_store(data_dir)
    try:
        restore(store)
        return reindex_account(store, store.account(name))
    finally:
        store.close()


def reindex_account(store: Store, account: Account) -> Report:
    report = Report()
    account.finish_intents()
    for mailbox in account.mailboxes():
        account.mend(mailbox.id)
        report.mailboxes += 1
        uids = account.uids(mailbox.id)
        for start in range(0, len(uids), _AT_ONCE):
            some = uids[start : start + _AT_ONCE]
            report.changed += _rebuild(store, account, mailbox.id, some)
        store.write(partial(_recount, account.id, mailbox.id))
        report.messages += len(uids)
    store.write(partial(_recount_account, account.id))
    return report


def _rebuild(store: Store, account: Account, mailbox_id: MailboxId, uids: Sequence[int]) -> int:
    """Make overview, summary and size of some messages anew; how many differed."""
    directory = account.directory(mailbox_id)
    work: list[tuple[MessageTuple, str]] = []
    for message in account.select(mailbox_id, uids):
        path = account.path(mailbox_id, message[0])
        if path is not None:
            work.append((message, f"{directory}/{path}"))
    fresh = store.pool.apply(_read_facts, (work,))
    old = account.overviews([message[M_EMAIL_ID] for message, *_ in fresh])
    wrong = [
        (message, size, kept)
        for (message, size, kept, _), was in zip(fresh, old, strict=True)
        if size != message[M_SIZE] or was != records.unpack_overview(kept.overview)
    ]

    def change(write: WriteTxn) -> None:
        txn = AccountTxn(write, account.id)
        mailbox = txn.mailbox(mailbox_id)
        for message, size, kept in wrong:
            present = mailbox.get(message[0])
            if present is not None:
                key = KEY_CONTENT.pack(account.id, message[M_EMAIL_ID], OVERVIEW)
                write.put(write.dbs.content, key, kept.overview)
                mailbox.replace(present, (*present[:7], size, present[8], present[9]))
        for message, _, kept, origin in fresh:
            if origin is not None:
                _add_origin(mailbox, message[0], origin)
            key = KEY_CONTENT.pack(account.id, message[M_EMAIL_ID], SUMMARY)
            write.put(write.dbs.content, key, kept.summary)
            write.delete(write.dbs.text, KEY_AE.pack(account.id, message[M_EMAIL_ID]))
        # The keeper makes the text index of the mailbox anew.
        write.delete(write.dbs.text_mark, mailbox.key)
        txn.save()

    store.write(change)
    return len(wrong)


def _read_facts(work: list[tuple[MessageTuple, str]]) -> list[_Fresh]:
    result: list[_Fresh] = []
    for message, path in work:
        found = mailfiles.read_regular(path)
        if found is not None:
            wire = bool(message[M_FLAGS] & FILE_IS_WIRE)
            facts = index_facts(found[0], wire=wire)
            is_known = message[M_FLAGS] & HAS_ORIGIN
            origin = None if is_known else read_origin(found[0], wire=wire)
            result.append((message, facts.size, messages.kept(facts), origin))
    return result


def _add_origin(mailbox: MailboxTxn, uid: int, origin: Origin) -> None:
    """Give a message the facts of its delivery back."""
    present = mailbox.get(uid)
    if present is None or present[M_FLAGS] & HAS_ORIGIN:
        return
    first = mailbox.id
    if FILED.intersection(mailbox.record.special_use):
        # Its own mailbox says nothing of where it was delivered: most likely to INBOX.
        first = mailbox.account.mailbox_id(INBOX) or first
    changed = (*present[:8], present[M_FLAGS] | HAS_ORIGIN, present[9])
    mailbox.replace(present, changed)
    history_txn.put(mailbox, changed, msgspec.structs.replace(origin, mailbox_orig=first))


def _recount(account_id: int, mailbox_id: MailboxId, write: WriteTxn) -> None:
    account = AccountTxn(write, account_id)
    mailbox = account.mailbox(mailbox_id)
    mailbox.recount()
    account.save()


def _recount_account(account_id: int, write: WriteTxn) -> None:
    account = AccountTxn(write, account_id)
    account.recount()
    account.save()
