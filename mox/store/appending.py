"""APPEND and REPLACE: putting messages into a mailbox that a client has brought."""

from __future__ import annotations

from collections.abc import Sequence
from functools import partial
from typing import TYPE_CHECKING

from mox.store import journal, maildir, messages, records
from mox.store.account_txn import AccountTxn
from mox.store.committer import WriteTxn
from mox.store.durable import FileWrite
from mox.store.errors import ErrorKind, Moved, StoreError
from mox.store.model import Appended, ChangeKind, Flag, MailboxId, NewMessage, Timestamp
from mox.store.preparing import Prepared, file_of, prepare, retrying

if TYPE_CHECKING:
    from mox.junk.mailboxflags import MailboxFlags
    from mox.store.account import Account


def append(
    account: Account,
    mailbox_id: MailboxId,
    new: Sequence[NewMessage],
    quota: int,
    marks: MailboxFlags | None,
    replaced: tuple[MailboxId, int] | None = None,
) -> tuple[Appended, list[tuple[int, str]]]:
    """Add messages in one operation: all get in, with one modseq, or none (RFC 3502).

    `replaced`: a message that goes in the same operation (RFC 8508); the second result has its
    file, to be put away.
    """
    store = account.store
    prepared = [prepare(store, b"", message.spool) for message in new]

    def attempt() -> tuple[Appended, list[tuple[int, str]]]:
        directory = account.directory(mailbox_id)
        incoming = []
        for message, ready in zip(new, prepared, strict=True):
            path = maildir.cur_path(ready.base, message.flags, 0)
            incoming.append(_appended(path, ready, message.flags, message.keywords, message))
        files = [
            file_of(store, directory, each.path, ready)
            for each, ready in zip(incoming, prepared, strict=True)
        ]
        change = partial(
            _append_txn, account.id, mailbox_id, directory, incoming, files, quota, marks, replaced
        )
        try:
            return store.committer.write(change, files)
        except Moved:
            account.restore_directory(mailbox_id)
            raise

    return retrying(attempt)


def _appended(
    path: str, ready: Prepared, flags: Flag, keywords: tuple[str, ...], message: NewMessage
) -> messages.Incoming:
    received: Timestamp = message.received
    return messages.Incoming(
        path, received[0], received[1], ready.wire_size, ready.facts, int(flags), keywords
    )


def _append_txn(
    account_id: int,
    mailbox_id: MailboxId,
    directory: str,
    incoming: Sequence[messages.Incoming],
    files: Sequence[FileWrite],
    quota: int,
    marks: MailboxFlags | None,
    replaced: tuple[MailboxId, int] | None,
    write: WriteTxn,
) -> tuple[Appended, list[tuple[int, str]]]:
    account = AccountTxn(write, account_id)
    mailbox = account.mailbox_in(mailbox_id, directory, (each.path for each in incoming))
    gone = _expunge_replaced(account, replaced) if replaced is not None else []
    messages.check_quota(account, sum(each.size for each in incoming), quota)
    uids = tuple(messages.add(account, mailbox, each, marks) for each in incoming)
    for uid, file in zip(uids, files, strict=True):
        journal.keep(write, account.id, mailbox.id, uid, file)
    account.log(ChangeKind.ADDED, mailbox, records.ranges(uids))
    mailbox.note_own_files("cur", write.mtimes.get(f"{directory}/cur"))
    account.save()
    return Appended(mailbox.record.uidvalidity, uids, account.modseq), gone


def _expunge_replaced(
    account: AccountTxn, replaced: tuple[MailboxId, int]
) -> list[tuple[int, str]]:
    """Remove the message that new ones take the place of. Raises StoreError when it is gone."""
    source = account.mailbox(replaced[0])
    message = source.get(replaced[1])
    if message is None:
        raise StoreError(ErrorKind.NOT_FOUND, "the message to be replaced is gone")
    return messages.expunge(account, source, [message])
