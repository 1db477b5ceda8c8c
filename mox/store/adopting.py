"""Mailboxes for Maildir++ directories that another program made."""

from __future__ import annotations

import os
import time
from typing import TYPE_CHECKING

from mox.store import maildir, mailfiles
from mox.store.account_txn import AccountTxn
from mox.store.folders import Folders, add_mailbox

if TYPE_CHECKING:
    from mox.store.committer import Committer, WriteLater, WriteTxn
    from mox.store.reading import Reader


def adopt(committer: Committer, folders: Folders, reader: Reader, later: WriteLater) -> None:
    """Make mailboxes for the directories that have none; `later` commits that there were none."""
    root = folders.path("INBOX")
    try:
        modified = os.stat(root).st_mtime_ns
    except OSError:
        return
    if modified == reader.state().maildir_mtime:
        return
    names, complete = maildir.list_mailboxes(root)
    settled = complete and modified < time.time_ns() - mailfiles.TICK_NS

    def change(write: WriteTxn) -> None:
        account = AccountTxn(write, folders.id)
        if not account.entries_under_way():
            for name in sorted(names - known):
                if not os.path.isdir(folders.path(name)):
                    continue  # renamed or removed since we listed it
                for each in (*maildir.parents(name), name):
                    if account.mailbox_id(each) is None:
                        add_mailbox(account, each)
            account.state.maildir_mtime = modified if settled else 0
        account.save()

    known = {mailbox.name for mailbox in reader.mailboxes()}
    if names - known:
        committer.write(change)
    elif settled:
        later(change)
