"""Removing messages: the records in one transaction, then the files.

Files of expunged messages go to where sessions that still show them find them; old names of moved
ones just go. Until that is done the mailbox's record says that it is under way.
"""

from __future__ import annotations

import os
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from functools import partial
from typing import TYPE_CHECKING

from mox import logfmt
from mox.store import maildir, messages
from mox.store.account_txn import AccountTxn
from mox.store.errors import StoreError
from mox.store.linking import opened
from mox.store.mailfiles import close_file, mtimes_in, paths_of_bases, unlink_in
from mox.store.model import MailboxId, ModSeq

if TYPE_CHECKING:
    from mox.store.account import Account
    from mox.store.committer import WriteTxn

log = logfmt.logger("store")

# Takes paths away from below a directory's descriptor; those that were not there.
_Take = Callable[[int, Sequence[str]], list[str]]


@dataclass(frozen=True, slots=True)
class Leftovers:
    """Old names of messages that were moved, below the directory where they were."""

    directory: str
    paths: Sequence[str] = ()
    modseq: int = 0  # of the move


def expunge_txn(
    account_id: int,
    mailbox_id: MailboxId,
    uids: Sequence[int] | None,
    deleted_only: bool,
    write: WriteTxn,
) -> tuple[list[tuple[int, str]], ModSeq]:
    account = AccountTxn(write, account_id)
    mailbox = account.mailbox(mailbox_id)
    if deleted_only:
        files = messages.expunge_deleted(account, mailbox, uids)
    else:
        files = messages.expunge(account, mailbox, messages.select(mailbox, uids))
    modseq = account.modseq if files else ModSeq(0)
    account.save()
    return files, modseq


def expunged_name(mailbox_id: int, uid: int) -> str:
    """Name under expunged/ of a removed message's file."""
    return f"{mailbox_id}.{uid}"


def put_away(
    account: Account,
    expunged_dir: str,
    mailbox_id: MailboxId,
    files: list[tuple[int, str]],
    modseqs: Sequence[int],
) -> None:
    """Move files of expunged messages to where sessions that still show them find them.

    modseqs: of the removals. Waits.
    """

    uids = {_base(path): uid for uid, path in files}

    def take(source: int, paths: Sequence[str]) -> list[str]:
        try:
            target = os.open(expunged_dir, os.O_PATH | os.O_DIRECTORY | os.O_CLOEXEC)
        except OSError as e:
            log.warn("keeping removed messages for those that still show them", err=e)
            return unlink_in(source, paths)
        try:
            return [
                path
                for path in paths
                if not _put_away(source, path, target, expunged_name(mailbox_id, uids[_base(path)]))
            ]
        finally:
            close_file(target)

    directory = account.present_directory(mailbox_id)
    _take_away(account, mailbox_id, directory, [path for _, path in files], modseqs, take)


def remove_moved(account: Account, mailbox_id: MailboxId, leftovers: Sequence[Leftovers]) -> None:
    """Unlink the old names of moved messages. Waits."""
    by_directory: dict[str, list[Leftovers]] = {}
    for each in leftovers:
        if each.paths:
            by_directory.setdefault(each.directory, []).append(each)
    for directory, some in by_directory.items():
        paths = [path for each in some for path in each.paths]
        modseqs = [each.modseq for each in some]
        _take_away(account, mailbox_id, directory, paths, modseqs, unlink_in)


def _take_away(
    account: Account,
    mailbox_id: MailboxId,
    directory: str | None,
    paths: Sequence[str],
    modseqs: Sequence[int],
    take: _Take,
) -> None:
    """Do so, and note that the directories changed by our hand."""
    if directory is None:
        return  # the mailbox was deleted, and the files with it
    times = account.store.pool.apply(_timed_take, (directory, paths, take))
    if times is not None:
        note = partial(_note_removals, account.id, mailbox_id, modseqs, times)
        account.store.write(note, durable=False)


def _timed_take(
    directory: str, paths: Sequence[str], take: _Take
) -> dict[str, tuple[int, int]] | None:
    try:
        with opened(directory) as fd:
            before = mtimes_in(fd)
            missing = take(fd, paths)
            if missing:
                # Their flags have just been shown: they have other names.
                take(fd, paths_of_bases(directory, set(map(_base, missing))))
            after = mtimes_in(fd)
    except FileNotFoundError:
        return None  # renamed: whoever did that sees to it that it is compared
    return {sub: (before[sub], after[sub]) for sub in before}


def _note_removals(
    account_id: int,
    mailbox_id: MailboxId,
    modseqs: Sequence[int],
    times: dict[str, tuple[int, int]],
    write: WriteTxn,
) -> None:
    account = AccountTxn(write, account_id)
    try:
        mailbox = account.mailbox(mailbox_id)
    except StoreError:
        return  # deleted meanwhile
    mailbox.note_removals(modseqs, times)
    account.save()


def _base(path: str) -> str:
    return maildir.split_name(path[4:])[0]


def _put_away(source: int, path: str, target: int, name: str) -> bool:
    """False when it is not there."""
    try:
        os.rename(path, name, src_dir_fd=source, dst_dir_fd=target)
    except FileNotFoundError:
        return False
    except OSError as e:
        # Better gone from these sessions than back for all; removing needs no space.
        log.warn("keeping a removed message for those that still show it", err=e)
        os.unlink(path, dir_fd=source)
    return True
