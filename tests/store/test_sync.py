"""Files that other programs drop, rename and remove; what a crash leaves."""

from __future__ import annotations

import os
import shutil
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any

import gevent
import pytest

from mox.junk.mailboxflags import MailboxFlags
from mox.store import Store, housekeeping, maildir, open_store, removing, sync
from mox.store.account import Account
from mox.store.errors import ErrorKind, StoreError
from mox.store.mirror import Turns, mirror_flags
from mox.store.model import (
    FLAG_MASK,
    M_EMAIL_ID,
    M_FLAGS,
    M_KEYWORDS,
    M_RECEIVED,
    ChangeKind,
    Flag,
    FlagOp,
    MailboxId,
    NewMessage,
)
from mox.store.reindex import reindex_account
from mox.store.spool import Spool

MakeSpool = Callable[..., Spool]
NOW = (1_700_000_000, 0)


@pytest.fixture
def account(store: Store) -> Account:
    return store.account("mjl")


@pytest.fixture
def inbox(account: Account) -> MailboxId:
    mailbox = account.mailbox("INBOX")
    assert mailbox is not None
    return mailbox.id


def root(account: Account) -> Path:
    return account.base / "Maildir"


def drop(account: Account, path: str, content: bytes = b"Subject: dropped\n\nhi\n") -> Path:
    tmp = root(account) / "tmp" / "dropped"
    tmp.write_bytes(content)
    target = root(account) / path
    tmp.rename(target)
    return target


def append(account: Account, inbox: MailboxId, spool: MakeSpool, count: int = 1) -> None:
    account.append(inbox, [NewMessage(spool(), NOW) for _ in range(count)])


def flags(account: Account, inbox: MailboxId, uid: int) -> int:
    message = account.message(inbox, uid)
    assert message is not None
    return message[M_FLAGS] & FLAG_MASK


def eventually(condition: Callable[[], bool], seconds: float = 5.0) -> None:
    deadline = time.monotonic() + seconds
    while not condition():
        assert time.monotonic() < deadline, "did not happen in time"
        gevent.sleep(0.02)


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


def test_flags_appear_in_file_names(
    account: Account, inbox: MailboxId, spool: MakeSpool, store: Store
) -> None:
    append(account, inbox, spool)
    account.store_flags(inbox, [1], FlagOp.ADD, Flag(63), [f"k{i}" for i in range(30)])
    assert mirror_flags(store) == 1
    assert mirror_flags(store) == 0
    (path,) = (root(account) / "cur").iterdir()
    assert path.name.partition(":2,")[2] == "DFPRST" + "".join(map(chr, range(97, 123)))
    assert len(maildir.read_keyword_file(str(root(account)))) == 26


def test_new_mail_without_flags_stays_in_new(account: Account, store: Store) -> None:
    inbox = account.mailbox("INBOX")
    assert inbox is not None
    drop(account, "new/1.2.x")
    account.refresh(inbox.id)
    account.store_flags(inbox.id, [1], FlagOp.ADD, Flag.SEEN)
    mirror_flags(store)
    assert (root(account) / "cur/1.2.x:2,S").exists()
    account.store_flags(inbox.id, [1], FlagOp.REMOVE, Flag.SEEN)
    mirror_flags(store)
    assert (root(account) / "cur/1.2.x:2,").exists()


def test_a_read_finds_a_file_that_was_renamed_behind_the_index(
    account: Account, inbox: MailboxId, spool: MakeSpool
) -> None:
    append(account, inbox, spool)
    (path,) = (root(account) / "cur").iterdir()
    path.rename(path.with_name(path.name + "S"))
    assert account.read(inbox, 1).data.startswith(b"Subject: hello")


def test_files_of_expunged_messages_do_not_come_back(
    account: Account, inbox: MailboxId, spool: MakeSpool, store: Store
) -> None:
    """A crash after the commit of an expunge, before the file was put away."""
    append(account, inbox, spool, 2)
    (first, *_) = sorted((root(account) / "cur").iterdir())
    saved = first.read_bytes()
    account.store_flags(inbox, [1, 2], FlagOp.ADD, Flag.DELETED)
    account.expunge(inbox)
    store.finish_background()
    first.write_bytes(saved)
    account.mend(inbox)
    store.finish_background()
    assert list(account.uids(inbox)) == []
    assert not first.exists()


@pytest.mark.parametrize("step", ["announced", "moved"])
def test_an_interrupted_rename_is_taken_back(
    account: Account, spool: MakeSpool, store: Store, step: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    account.create_mailbox("A/B")
    top = account.mailbox("A")
    assert top is not None
    account.append(account.mailbox("A/B").id, [NewMessage(spool(), NOW)])  # type: ignore[union-attr]

    class Crash(BaseException):
        pass

    calls = []
    real = store.committer.write

    def crash_at_second_write(fn, files=(), prepare=None):  # type: ignore[no-untyped-def]
        calls.append(fn)
        if len(calls) == 2:
            if step == "moved":
                prepare()
            raise Crash
        return real(fn, files, prepare)

    monkeypatch.setattr(store.committer, "write", crash_at_second_write)
    with pytest.raises(Crash):
        account.rename_mailbox(top.id, "C")
    monkeypatch.undo()
    pending = housekeeping.pending_intents(store)
    assert pending
    housekeeping.finish_intents(store, pending)
    assert not housekeeping.pending_intents(store)
    assert [m.name for m in account.mailboxes() if m.name[0] in "AC"][:2] == ["A", "A/B"]
    mailbox = account.mailbox("A/B")
    assert mailbox is not None
    account.mend(mailbox.id)
    assert list(account.uids(mailbox.id)) == [1]
    assert account.read(mailbox.id, 1).data


def test_rename_takes_children_along_and_keeps_uids(account: Account, spool: MakeSpool) -> None:
    account.create_mailbox("A/B")
    before = account.mailbox("A/B")
    assert before is not None
    account.append(before.id, [NewMessage(spool(), NOW)])
    account.rename_mailbox(account.mailbox("A").id, "X/Y")  # type: ignore[union-attr]
    after = account.mailbox("X/Y/B")
    assert after is not None
    assert (after.id, after.uidvalidity, after.messages) == (before.id, before.uidvalidity, 1)
    assert account.read(after.id, 1).data
    assert (root(account) / ".X.Y.B").is_dir()
    assert not (root(account) / ".A").exists()


def test_rename_below_itself(account: Account, spool: MakeSpool) -> None:
    account.create_mailbox("A")
    account.append(account.mailbox("A").id, [NewMessage(spool(), NOW)])  # type: ignore[union-attr]
    account.rename_mailbox(account.mailbox("A").id, "A/B/C")  # type: ignore[union-attr]
    assert account.mailbox("A/B/C").messages == 1  # type: ignore[union-attr]
    assert account.mailbox("A").messages == 0  # type: ignore[union-attr]


def test_renaming_inbox_moves_its_messages(
    account: Account, inbox: MailboxId, spool: MakeSpool
) -> None:
    append(account, inbox, spool, 2)
    account.rename_mailbox(inbox, "Old")
    assert list(account.uids(inbox)) == []
    assert account.mailbox("Old").messages == 2  # type: ignore[union-attr]


@pytest.mark.parametrize(
    ("name", "kind"),
    [("INBOX", ErrorKind.BAD_NAME), ("A", ErrorKind.HAS_CHILDREN)],
)
def test_mailboxes_that_cannot_be_deleted(account: Account, name: str, kind: ErrorKind) -> None:
    account.create_mailbox("A/B")
    with pytest.raises(StoreError) as caught:
        account.delete_mailbox(account.mailbox(name).id)  # type: ignore[union-attr]
    assert caught.value.kind is kind


def test_a_mailbox_made_again_has_another_uidvalidity(account: Account, spool: MakeSpool) -> None:
    (first,) = account.create_mailbox("A")
    account.append(first.id, [NewMessage(spool(), NOW)])
    account.delete_mailbox(first.id)
    assert account.mailbox("A") is None
    assert account.usage().messages == 0
    assert not (root(account) / ".A").exists()
    (second,) = account.create_mailbox("A")
    assert second.uidvalidity > first.uidvalidity
    assert second.messages == 0


def overview_of(account: Account, mailbox_id: MailboxId, uid: int) -> tuple[bytes, bytes]:
    message = account.message(mailbox_id, uid)
    assert message is not None
    (found,) = account.overviews([message[M_EMAIL_ID]])
    assert found is not None
    return found


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


def test_flags_of_a_message_that_a_scan_took_in_first_are_told(
    account: Account, inbox: MailboxId, store: Store, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Sessions have shown it with what its name says, before its own transaction ran."""
    real = store.committer.write

    def looked_at_in_between(fn, files=(), prepare=None):  # type: ignore[no-untyped-def]
        if not files:
            return real(fn, files, prepare)
        real(lambda _: None, files, prepare)
        account.mend(inbox)
        return real(fn)

    monkeypatch.setattr(store.committer, "write", looked_at_in_between)
    before = account.modseq()
    with store.spool() as spool:
        spool.write(b"Subject: x\r\n\r\n")
        new = NewMessage(spool, (1, 0), Flag.SEEN, ("todo",))
        done = account.append(inbox, [new], marks=MailboxFlags(junk="inbox"))
    kinds = [change.kind for change in account.changes(before) if change.uids == ((1, 1),)]
    assert kinds == [ChangeKind.ADDED, ChangeKind.FLAGS, ChangeKind.ADDED]
    assert done.uids == (1,)
    assert list(account.uids(inbox)) == [1]


def comparisons(monkeypatch: pytest.MonkeyPatch) -> list[int]:
    """The mailboxes that are compared in full from now on."""
    seen: list[int] = []
    real = sync.compare_all

    def counted(account: Account, mailbox_id: MailboxId, *rest: Any) -> bool:
        seen.append(mailbox_id)
        return real(account, mailbox_id, *rest)

    monkeypatch.setattr(sync, "compare_all", counted)
    return seen


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


@pytest.mark.parametrize("move", [False, True])
def test_putting_files_away_is_no_reason_to_compare(
    account: Account,
    inbox: MailboxId,
    spool: MakeSpool,
    monkeypatch: pytest.MonkeyPatch,
    move: bool,
) -> None:
    box = account.create_mailbox("New")[0].id
    append(account, box, spool, 5)
    seen = comparisons(monkeypatch)
    if move:
        account.move(box, [1, 2], inbox)
    else:
        account.remove(box, [1, 2])
    assert not account.refresh(box), "waits until they are put away"
    assert len(list((root(account) / ".New/cur").iterdir())) == 3
    drop(account, ".New/new/1.2.x")
    assert account.refresh(box)
    assert seen == [box]


def test_files_of_several_commits_are_put_away_together(
    account: Account, inbox: MailboxId, spool: MakeSpool, monkeypatch: pytest.MonkeyPatch
) -> None:
    box = account.create_mailbox("New")[0].id
    append(account, box, spool, 6)
    account.store_flags(box, [1, 2, 3], FlagOp.ADD, Flag.DELETED)
    seen = comparisons(monkeypatch)
    assert len(list(account.expunge_pieces(box, [[1], [2, 3], [4]]))) == 3
    assert not account.refresh(box)
    assert len(list(account.move_pieces(box, [[4], [5]], inbox))) == 2
    assert not account.refresh(box)
    assert seen == []
    assert len(list((root(account) / ".New/cur").iterdir())) == 1


def test_what_a_killed_worker_left_is_found_also_after_another_removal(
    account: Account, spool: MakeSpool, store: Store, monkeypatch: pytest.MonkeyPatch
) -> None:
    box = account.create_mailbox("New")[0].id
    append(account, box, spool, 3)
    with monkeypatch.context() as patch:
        patch.setattr(removing, "put_away", lambda *_: None)
        account.remove(box, [1])
    account.remove(box, [2])
    store.finish_background()
    assert len(list((root(account) / ".New/cur").iterdir())) == 2
    account.refresh(box)
    store.finish_background()
    assert len(list((root(account) / ".New/cur").iterdir())) == 1
    assert list(account.uids(box)) == [3]


def test_what_others_do_while_files_are_put_away_is_noticed(
    account: Account, spool: MakeSpool, store: Store, monkeypatch: pytest.MonkeyPatch
) -> None:
    box = account.create_mailbox("New")[0].id
    append(account, box, spool, 5)
    real = removing.mtimes_in

    def dropped_before(directory: int) -> dict[str, int]:
        monkeypatch.setattr(removing, "mtimes_in", real)
        drop(account, ".New/new/1.2.x")
        return real(directory)

    monkeypatch.setattr(removing, "mtimes_in", dropped_before)
    account.remove(box, [1, 2])
    store.finish_background()
    assert account.refresh(box)
    assert list(account.uids(box)) == [3, 4, 5, 6]


def test_a_mailbox_that_is_just_being_changed_is_left_alone_for_a_turn(
    account: Account, inbox: MailboxId, spool: MakeSpool, store: Store
) -> None:
    def shown() -> set[str]:
        return {path.name.partition(":2,")[2] for path in (root(account) / "cur").iterdir()}

    append(account, inbox, spool, 2)
    turns = Turns()
    account.store_flags(inbox, [1, 2], FlagOp.ADD, Flag.SEEN)
    mirror_flags(store, turns)
    assert shown() == {""}
    mirror_flags(store, turns)
    assert shown() == {"S"}
    account.store_flags(inbox, [1, 2], FlagOp.ADD, Flag.FLAGGED)
    mirror_flags(store, turns)
    account.store_flags(inbox, [1], FlagOp.ADD, Flag.ANSWERED)
    mirror_flags(store, turns)
    assert shown() == {"S"}
    account.store_flags(inbox, [2], FlagOp.ADD, Flag.DRAFT)
    mirror_flags(store, turns)
    assert shown() == {"FRS", "DFS"}, "who changes it all the time does not keep us off"


def test_a_mailbox_whose_files_cannot_be_renamed_rests(
    account: Account, inbox: MailboxId, spool: MakeSpool, store: Store
) -> None:
    append(account, inbox, spool, 1)
    turns = Turns()
    account.store_flags(inbox, [1], FlagOp.ADD, Flag.SEEN, ["word"])
    (root(account) / "tmp").rename(root(account) / "tmp.away")  # the keyword file is made there
    mirror_flags(store, turns)
    assert not turns.resting
    mirror_flags(store, turns)
    assert list(turns.resting) == [(account.id, inbox)]
    (root(account) / "tmp.away").rename(root(account) / "tmp")
    mirror_flags(store, turns)
    (path,) = (root(account) / "cur").iterdir()
    assert path.name.endswith(":2,")
    turns.resting[account.id, inbox] = 0.0  # the time is over
    mirror_flags(store, turns)
    mirror_flags(store, turns)
    (path,) = (root(account) / "cur").iterdir()
    assert path.name.endswith(":2,Sa")


def test_copies_get_the_names_that_they_need_at_once(
    account: Account, inbox: MailboxId, spool: MakeSpool, store: Store
) -> None:
    append(account, inbox, spool, 2)
    box = account.create_mailbox("New")[0].id
    account.store_flags(inbox, [1, 2], FlagOp.ADD, Flag.SEEN, ["Work", "$Junk"])
    marks = MailboxFlags(junk="^junk", neutral="^inbox")  # the others have what is wanted
    account.copy(inbox, [1], box, marks=marks)
    mirror_flags(store)
    (root(account) / ".New" / maildir.KEYWORD_FILE).unlink()
    account.copy(inbox, [2], box, marks=marks)
    assert mirror_flags(store) == 0, "the keywords are known by now"
    names = maildir.read_keyword_file(str(root(account) / ".New"))
    shown = [path.name.partition(":2,")[2] for path in (root(account) / ".New/cur").iterdir()]
    assert len(shown) == 2
    for text in shown:
        assert text[0] == "S"
        assert {names[ord(letter) - 97] for letter in text[1:]} == {"Work", "$NotJunk"}


def test_a_comparison_takes_back_nothing_that_was_noted_since(
    account: Account, inbox: MailboxId, spool: MakeSpool, store: Store
) -> None:
    append(account, inbox, spool, 1)
    box = account.create_mailbox("New")[0].id
    later: list[Any] = []
    account.mend(box, later.append)
    account.copy(inbox, [1], box)
    for change in later:
        store.committer.write(change)
    state = account._reader.mailbox_state(box)
    assert state is not None
    assert state.cur_mtime == (root(account) / ".New/cur").stat().st_mtime_ns


def test_a_comparison_forgets_no_removal_that_it_did_not_see(
    account: Account, spool: MakeSpool, store: Store, monkeypatch: pytest.MonkeyPatch
) -> None:
    box = account.create_mailbox("New")[0].id
    append(account, box, spool, 2)
    later: list[Any] = []
    account.mend(box, later.append)
    assert later
    with monkeypatch.context() as patch:
        patch.setattr(removing, "put_away", lambda *_: None)  # as if killed
        account.remove(box, [1])
    for change in later:
        store.committer.write(change)
    account.refresh(box)
    store.finish_background()
    assert len(list((root(account) / ".New/cur").iterdir())) == 1
    assert account.removals(box) == []


@pytest.mark.parametrize("move", [False, True])
def test_files_whose_flags_have_just_been_shown_are_taken_away_too(
    account: Account, inbox: MailboxId, spool: MakeSpool, store: Store, move: bool
) -> None:
    box = account.create_mailbox("New")[0].id
    append(account, box, spool, 2)
    first = root(account) / ".New" / str(account.path(box, 1))
    first.rename(f"{first}FS")  # as the keeper does, which has not committed it yet
    if move:
        account.move(box, [1], inbox)
    else:
        account.remove(box, [1])
    store.finish_background()
    assert len(list((root(account) / ".New/cur").iterdir())) == 1
    account.read(box, 1)  # for who still shows it
