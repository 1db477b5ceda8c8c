"""COPY and MOVE: messages that are there already get into another mailbox."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from functools import partial
from typing import TYPE_CHECKING

from mox.store import copying, journal, maildir, messages
from mox.store.account_txn import AccountTxn, now
from mox.store.committer import WriteTxn
from mox.store.durable import sync_file
from mox.store.errors import ErrorKind, Moved, StoreError
from mox.store.foresight import CopiedLetters
from mox.store.linking import Links, make_links
from mox.store.model import M_SAVED, M_SIZE, Copied, Mailbox, MailboxId, MessageTuple, ModSeq
from mox.store.preparing import retrying
from mox.store.removing import Leftovers

if TYPE_CHECKING:
    from mox.junk.mailboxflags import MailboxFlags
    from mox.store.account import Account


def copy(
    account: Account,
    source_id: MailboxId,
    uids: Sequence[int],
    target_id: MailboxId,
    quota: int,
    marks: MailboxFlags | None,
    *,
    move: bool,
) -> tuple[Copied, Leftovers]:
    """COPY, or MOVE (RFC 6851): hard links, then the records; the old names are for the caller."""
    store = account.store
    chosen: dict[int, str] = {}

    def attempt() -> tuple[Copied, Leftovers]:
        source, target = _existing(account, source_id), _existing(account, target_id)
        letters = CopiedLetters(source, target, marks)
        plan = _CopyPlan(
            account.directory(source_id), account.directory(target_id), letters, target.keywords
        )
        try:
            store.pool.apply(_link, (account, source_id, uids, chosen, plan))
            if plan.links is None:
                return Copied(target.uidvalidity, (), (), ModSeq(0)), Leftovers(plan.source_dir)
            change = partial(_copy_txn, account.id, source_id, target_id, plan, quota, marks, move)
            result, gone = store.committer.write(change)
        except Exception as e:  # not when we are killed: the committer may have the job still
            if plan.links is not None:
                store.pool.apply(plan.links.take_back)
            if isinstance(e, Moved):
                account.mend(source_id)
                account.restore_directory(target_id)
            raise
        finally:
            if plan.links is not None:
                plan.links.close()
        return result, Leftovers(plan.source_dir, gone, result.modseq)

    return retrying(attempt)


@dataclass(slots=True)
class _CopyPlan:
    """What is copied from where to where, and the links that there are for it."""

    source_dir: str
    target_dir: str
    letters: CopiedLetters
    keywords: Sequence[str]  # of the target
    duplicates: Sequence[copying.Duplicate] = ()
    links: Links | None = None


def _link(
    account: Account,
    source_id: MailboxId,
    uids: Sequence[int],
    chosen: dict[int, str],
    plan: _CopyPlan,
) -> None:
    """Make the links. Runs in the thread pool.

    chosen: paths by uid, the same at each attempt, so that what a scan met keeps its record.
    """
    sources = account.select(source_id, uids)
    paths = account.paths(source_id, [message[0] for message in sources])
    for message, old_path in zip(sources, paths, strict=True):
        if message[0] not in chosen:
            chosen[message[0]] = plan.letters.path(message, _new_base(message, old_path))
    plan.duplicates = [copying.Duplicate(message, chosen[message[0]]) for message in sources]
    if plan.duplicates:
        _await_files(account, plan, paths)
        pairs = [(path, each.path) for path, each in zip(paths, plan.duplicates, strict=True)]
        keywords = plan.keywords if plan.letters.has_keywords else ()
        plan.links = make_links(plan.source_dir, plan.target_dir, pairs, keywords)


def _await_files(account: Account, plan: _CopyPlan, paths: Sequence[str]) -> None:
    """Make those files durable that may not be: links to them cannot be restored after a crash."""
    store = account.store
    with store.dbs.env.begin() as txn:
        durable_before = journal.durable_before(txn, store.dbs, now())
    if durable_before is not None:
        for duplicate, path in zip(plan.duplicates, paths, strict=True):
            if duplicate.source[M_SAVED] >= durable_before:
                sync_file(f"{plan.source_dir}/{path}")


def _existing(account: Account, mailbox_id: MailboxId) -> Mailbox:
    mailbox = account.mailbox_by_id(mailbox_id)
    if mailbox is None:
        raise StoreError(ErrorKind.NOT_FOUND, "no such mailbox")
    return mailbox


def _new_base(message: MessageTuple, old_path: str) -> str:
    stored = maildir.stated_size(maildir.split_name(old_path[4:])[0]) or message[M_SIZE]
    return maildir.base_name(stored, message[M_SIZE])


def _copy_txn(
    account_id: int,
    source_id: MailboxId,
    target_id: MailboxId,
    plan: _CopyPlan,
    quota: int,
    marks: MailboxFlags | None,
    move: bool,
    write: WriteTxn,
) -> tuple[Copied, list[str]]:
    duplicates, links = plan.duplicates, plan.links
    assert links is not None, "made before"
    account = AccountTxn(write, account_id)
    source = account.mailbox(source_id)
    target = account.mailbox_in(target_id, plan.target_dir)
    links.check_place(plan.target_dir)
    if not move:
        messages.check_quota(account, sum(d.source[7] for d in duplicates), quota)
    dest_uids = copying.copy(account, source, target, duplicates, marks)
    source_uids = tuple(duplicate.source[0] for duplicate in duplicates)
    gone: list[str] = []
    if move:
        moved = {s: (int(target_id), d) for s, d in zip(source_uids, dest_uids, strict=True)}
        present = messages.select(source, source_uids)
        gone = [path for _, path in messages.expunge(account, source, present, moved)]
    target.note_own_files("cur", links.times)
    account.save()
    result = Copied(target.record.uidvalidity, source_uids, tuple(dest_uids), account.modseq)
    return result, gone
