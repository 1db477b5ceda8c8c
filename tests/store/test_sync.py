"""Files that other programs drop, rename and remove: what a look at the directory finds."""

from __future__ import annotations

import os
import shutil
import time
from pathlib import Path

import gevent
import pytest

from mox.store import Store, housekeeping
from mox.store.account import Account
from mox.store.mirror import mirror_flags
from mox.store.model import (
    M_KEYWORDS,
    M_RECEIVED,
    Flag,
    FlagOp,
    MailboxId,
    NewMessage,
)
from tests.store.mailboxes import (
    NOW,
    MakeSpool,
    append,
    comparisons,
    drop,
    eventually,
    flags,
    overview_of,
    root,
)


def test_a_dropped_file_is_a_message_at_the_next_look(account: Account, inbox: MailboxId) -> None:
    path = drop(account, "new/1.2.script")
    os.utime(path, (1_600_000_000, 1_600_000_000))
    assert account.refresh(inbox)
    (message,) = account.scan(inbox)
    assert message[M_RECEIVED] == 1_600_000_000
    assert account.read(inbox, 1).data == b"Subject: dropped\n\nhi\n"
    assert overview_of(account, inbox, 1)[0].startswith(b'(NIL "dropped"')


def test_nothing_is_compared_while_the_directory_is_as_it_was(
    account: Account, inbox: MailboxId, spool: MakeSpool, store: Store
) -> None:
    def settled() -> bool:
        account.refresh(inbox)
        store.finish_background()
        return account._reader.mailbox_state(inbox).cur_mtime > 0  # type: ignore[union-attr]

    eventually(settled)
    append(account, inbox, spool)
    state = account._reader.mailbox_state(inbox)
    assert state is not None
    times = os.stat(root(account) / "cur").st_mtime_ns
    assert state.cur_mtime == times, "our own file is no reason to compare"
    assert state.scanned < 0, "but the mailbox is due for a full comparison some time"


class Commits:
    """Counts what is handed to the committer."""

    def __init__(self, store: Store, monkeypatch: pytest.MonkeyPatch) -> None:
        self.real = store.committer.write
        self.count = 0
        monkeypatch.setattr(store.committer, "write", self)

    def __call__(self, fn, files=(), prepare=None, **options):  # type: ignore[no-untyped-def]
        self.count += 1
        return self.real(fn, files, prepare, **options)


def sweep(store: Store) -> int:
    """A sweep as after a start, some time after the last change; how many mailboxes it saw."""
    for directory in (store.data_dir / "accounts").glob("*/Maildir/**/"):
        os.utime(directory, (1_700_000_000, 1_700_000_000))
    seen = sum(1 for _ in housekeeping.sweep(store, everything=True))
    store.finish_background()
    return seen


def test_a_sweep_that_finds_what_is_known_commits_nothing(
    store: Store, monkeypatch: pytest.MonkeyPatch
) -> None:
    accounts = [store.account(f"a{n}") for n in range(15)]
    commits = Commits(store, monkeypatch)
    mailboxes = sweep(store)
    assert mailboxes == 15 * 6
    assert 0 < commits.count <= 2, "many notes in one commit"
    commits.count = 0
    assert sweep(store) == mailboxes
    assert commits.count == 0
    drop(accounts[3], "new/1.2.script")
    sweep(store)
    assert commits.count == 1
    assert accounts[3].usage().messages == 1


def test_a_sweep_takes_note_of_a_mailbox_that_was_due_for_a_comparison(
    account: Account, inbox: MailboxId, spool: MakeSpool, store: Store
) -> None:
    sweep(store)
    append(account, inbox, spool)
    state = account._reader.mailbox_state(inbox)
    assert state is not None
    assert state.scanned < 0
    for _ in housekeeping.sweep(store, everything=True):
        pass
    store.finish_background()
    state = account._reader.mailbox_state(inbox)
    assert state is not None
    assert state.scanned > 0


def test_crlf_files_are_served_as_they_are(account: Account, inbox: MailboxId) -> None:
    drop(account, "cur/1.2.dos:2,S", b"Subject: dos\r\n\r\nhi\r\n")
    account.refresh(inbox)
    stored = account.read(inbox, 1)
    assert stored.wire
    assert stored.size == len(stored.data)
    assert flags(account, inbox, 1) == Flag.SEEN


def test_renames_are_flag_changes_and_leave_ours_alone(
    account: Account, inbox: MailboxId, spool: MakeSpool, store: Store
) -> None:
    append(account, inbox, spool)
    account.store_flags(inbox, [1], FlagOp.ADD, Flag.FLAGGED, ["todo", "later"])
    mirror_flags(store)
    (path,) = (root(account) / "cur").iterdir()
    assert path.name.endswith(":2,Fab")
    # Not in the name yet when the other program sets \Seen and takes "later" away:
    account.store_flags(inbox, [1], FlagOp.ADD, Flag.ANSWERED)
    path.rename(path.with_name(path.name[:-3] + "FSa"))
    account.refresh(inbox)
    assert flags(account, inbox, 1) == Flag.FLAGGED | Flag.ANSWERED | Flag.SEEN
    assert account.message(inbox, 1)[M_KEYWORDS] == 1  # type: ignore[index]
    mirror_flags(store)
    (path,) = (root(account) / "cur").iterdir()
    assert path.name.endswith(":2,FRSa")


def test_keyword_letters_come_from_the_keyword_file(account: Account, inbox: MailboxId) -> None:
    (root(account) / "dovecot-keywords").write_text("0 $Forwarded2\n3 work\n")
    drop(account, "cur/1.2.x:2,ad")
    account.refresh(inbox)
    mailbox = account.mailbox("INBOX")
    assert mailbox is not None
    assert set(mailbox.keywords) == {"$Forwarded2", "work"}
    assert account.message(inbox, 1)[M_KEYWORDS] == 3  # type: ignore[index]


def test_a_removed_file_is_an_expunge(account: Account, inbox: MailboxId, spool: MakeSpool) -> None:
    append(account, inbox, spool, 3)
    victim = account.path(inbox, 2)
    assert victim is not None
    (root(account) / victim).unlink()
    account.refresh(inbox)
    assert list(account.uids(inbox)) == [1, 3]
    assert account.vanished(inbox, 0) == [(2, 2)]
    assert account.usage().messages == 2


def test_a_file_moved_between_folders_moves(
    account: Account, inbox: MailboxId, spool: MakeSpool
) -> None:
    append(account, inbox, spool)
    path = account.path(inbox, 1)
    assert path is not None
    (root(account) / path).rename(root(account) / ".Archive" / path)
    archive = account.mailbox("Archive")
    assert archive is not None
    account.refresh(inbox)
    account.refresh(archive.id)
    assert list(account.uids(inbox)) == []
    assert list(account.uids(archive.id)) == [1]


def test_truncated_files_go_to_the_quarantine(account: Account, inbox: MailboxId) -> None:
    drop(account, "new/1.2.x,S=5000")
    account.refresh(inbox)
    assert list(account.uids(inbox)) == []
    assert (account.base / "quarantine" / "1.2.x,S=5000").exists()


@pytest.mark.parametrize("kind", ["directory", "symlink", "fifo", "dot"])
def test_what_is_no_message_file_is_ignored(
    account: Account, inbox: MailboxId, kind: str, tmp_path: Path
) -> None:
    path = root(account) / "cur" / ("1.2.x" if kind != "dot" else ".hidden")
    if kind == "directory":
        path.mkdir()
    elif kind == "symlink":
        path.symlink_to("/etc/passwd")
    elif kind == "fifo":
        os.mkfifo(path)
    else:
        path.write_bytes(b"x")
    account.refresh(inbox)
    assert list(account.uids(inbox)) == []


def test_a_folder_made_by_another_program_is_a_mailbox(account: Account) -> None:
    for sub in ("cur", "new", "tmp"):
        (root(account) / ".Projects.A=2EB" / sub).mkdir(parents=True)
    names = [mailbox.name for mailbox in account.mailboxes()]
    assert "Projects/A.B" in names
    assert "Projects" in names


def test_a_removed_directory_empties_its_mailbox(
    account: Account, spool: MakeSpool, store: Store
) -> None:
    archive = account.mailbox("Archive")
    assert archive is not None
    account.append(archive.id, [NewMessage(spool(), NOW)])
    shutil.rmtree(root(account) / ".Archive")
    account.refresh(archive.id)
    assert list(account.uids(archive.id)) == []
    account.append(archive.id, [NewMessage(spool(), NOW)])
    assert list(account.uids(archive.id)) == [2]


def test_a_maildir_that_is_not_there_is_not_an_empty_one(
    account: Account, inbox: MailboxId, spool: MakeSpool
) -> None:
    append(account, inbox, spool)
    root(account).rename(account.base / "elsewhere")
    account.refresh(inbox)
    assert list(account.uids(inbox)) == [1]
    (account.base / "elsewhere").rename(root(account))
    assert account.read(inbox, 1).data


def test_changes_in_a_watched_mailbox_are_noticed_within_a_second(
    account: Account, inbox: MailboxId, spool: MakeSpool
) -> None:
    append(account, inbox, spool)
    watch = account.watch_files(inbox)
    start = time.monotonic()
    dropped = drop(account, "new/9.9.script")
    eventually(lambda: list(account.uids(inbox)) == [1, 2])
    (path,) = (root(account) / "cur").iterdir()
    path.rename(path.with_name(path.name + "R"))
    eventually(lambda: flags(account, inbox, 1) == Flag.ANSWERED)
    dropped.unlink()
    eventually(lambda: list(account.uids(inbox)) == [1])
    assert time.monotonic() - start < 3
    watch.cancel()
    watch.cancel()


def test_own_deliveries_in_a_watched_mailbox_come_once(
    account: Account, inbox: MailboxId, spool: MakeSpool, store: Store
) -> None:
    watch = account.watch_files(inbox)
    for _ in range(20):
        append(account, inbox, spool)
        account.store_flags(inbox, account.uids(inbox), FlagOp.ADD, Flag.SEEN)
        mirror_flags(store)
    gevent.sleep(0.4)  # longer than the watcher lets events settle
    assert list(account.uids(inbox)) == list(range(1, 21))
    watch.cancel()


def test_a_new_mailbox_that_is_filled_by_us_is_not_compared(
    account: Account, inbox: MailboxId, spool: MakeSpool, monkeypatch: pytest.MonkeyPatch
) -> None:
    append(account, inbox, spool, 3)
    box = account.create_mailbox("New")[0].id
    seen = comparisons(monkeypatch)
    account.copy(inbox, [1, 2, 3], box)
    assert not account.refresh(box)
    assert seen == []
    state = account._reader.mailbox_state(box)
    assert state is not None
    assert state.scanned < 0, "but it is due for a comparison some time"
    drop(account, ".New/new/1.2.x")
    assert account.refresh(box)
    assert seen == [box]


def test_a_directory_that_holds_files_already_is_compared(account: Account) -> None:
    (root(account) / ".Old/new").mkdir(parents=True)
    drop(account, ".Old/new/1.2.x")
    box = account.create_mailbox("Old")[0].id
    assert account.refresh(box)
    assert list(account.uids(box)) == [1]
