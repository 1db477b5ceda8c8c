"""Flags in the names of files, and files of removed messages: what is done later, and crashes."""

from __future__ import annotations

from typing import Any

import pytest

from mox.junk.mailboxflags import MailboxFlags
from mox.store import Store, housekeeping, maildir, removing
from mox.store.account import Account
from mox.store.mirror import Turns, mirror_flags
from mox.store.model import (
    ChangeKind,
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
    root,
)


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
