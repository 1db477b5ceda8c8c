"""The index made anew from files alone."""

from __future__ import annotations

import shutil
from pathlib import Path

from mox.store import Store, open_store
from mox.store.account import Account
from mox.store.mirror import mirror_flags
from mox.store.model import (
    Flag,
    FlagOp,
    MailboxId,
)
from mox.store.reindex import reindex_account
from tests.store.mailboxes import (
    MakeSpool,
    append,
    flags,
    overview_of,
)


def test_reindex_rebuilds_from_files_alone(
    account: Account, inbox: MailboxId, spool: MakeSpool, store: Store, tmp_path: Path
) -> None:
    append(account, inbox, spool, 3)
    account.create_mailbox("Lists/mox")
    account.store_flags(inbox, [2], FlagOp.ADD, Flag.FLAGGED, ["todo"])
    mirror_flags(store)
    overview = overview_of(account, inbox, 2)
    copy = tmp_path / "other"
    shutil.copytree(account.base, copy / "accounts" / "mjl")
    rebuilt = open_store(copy)
    try:
        again = rebuilt.account("mjl")
        report = reindex_account(rebuilt, again)
        box = again.mailbox("INBOX")
        assert box is not None
        assert (report.messages, box.messages) == (3, 3)
        assert box.keywords == ("todo",)
        assert flags(again, box.id, 2) == Flag.FLAGGED
        assert overview_of(again, box.id, 2) == overview
        assert again.mailbox("Lists/mox") is not None
    finally:
        rebuilt.close()
