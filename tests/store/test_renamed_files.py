"""Files that are renamed and removed while something else is done with them."""

from __future__ import annotations

import os
import time

import gevent
import pytest

from mox.store import Store, housekeeping
from mox.store.account import Account
from mox.store.errors import ErrorKind, StoreError
from mox.store.mirror import mirror_flags
from mox.store.model import Flag, FlagOp, MailboxId, NewMessage, Target
from tests.store.mailboxes import NOW, BeforeWrite, Crash, MakeSpool, fill, flags, mailbox_id, root


def crash_after_mirror(store: Store, monkeypatch: pytest.MonkeyPatch) -> None:
    """Names follow the flags, and nothing is committed."""
    before = BeforeWrite(store, monkeypatch)

    def crash() -> None:
        raise Crash

    before.action = crash
    with pytest.raises(Crash):
        mirror_flags(store)
    monkeypatch.undo()


@pytest.mark.parametrize("later", [None, FlagOp.REMOVE, FlagOp.ADD])
def test_our_own_rename_found_before_its_commit_changes_no_flags(
    account: Account,
    spool: MakeSpool,
    store: Store,
    later: FlagOp | None,
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    box = fill(account, "A", spool)
    account.store_flags(box, [1], FlagOp.ADD, Flag.SEEN | Flag.FLAGGED, ["todo"])
    crash_after_mirror(store, monkeypatch)
    (path,) = (root(account) / ".A/cur").iterdir()
    assert path.name.endswith(":2,FSa")
    expected = Flag.SEEN | Flag.FLAGGED
    if later is FlagOp.REMOVE:
        account.store_flags(box, [1], later, Flag.SEEN, ["todo"])
        expected = Flag.FLAGGED
    elif later is FlagOp.ADD:
        account.store_flags(box, [1], later, Flag.ANSWERED)
        expected |= Flag.ANSWERED
    account.mend(box)
    assert flags(account, box, 1) == expected
    mirror_flags(store)
    mirror_flags(store)
    (path,) = (root(account) / ".A/cur").iterdir()
    assert path.name.endswith({None: ":2,FSa", FlagOp.REMOVE: ":2,F", FlagOp.ADD: ":2,FRSa"}[later])
    assert account.paths(box, [1]) == [f"cur/{path.name}"]


def test_half_of_a_rename_is_no_expunge(
    account: Account, spool: MakeSpool, store: Store, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Events come in batches: the old name in one, the new name in the next."""
    box = fill(account, "A", spool)
    account.store_flags(box, [1], FlagOp.ADD, Flag.SEEN)
    (old,) = account.paths(box, [1])
    crash_after_mirror(store, monkeypatch)
    account.look_at(box, {old})
    assert list(account.uids(box)) == [1]
    assert account.paths(box, [1]) == [f"{old}S"]
    assert flags(account, box, 1) == Flag.SEEN


def test_a_name_that_was_seen_and_is_old_by_now_takes_no_flags_away(
    account: Account, spool: MakeSpool, store: Store, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Someone listed the directory between two of our renames, and applies it after the second."""
    box = fill(account, "A", spool)
    account.store_flags(box, [1], FlagOp.ADD, Flag.SEEN)
    crash_after_mirror(store, monkeypatch)
    before = BeforeWrite(store, monkeypatch)

    def overtake() -> None:
        account.mend(box)
        account.store_flags(box, [1], FlagOp.ADD, Flag.FLAGGED)
        mirror_flags(store)

    before.action = overtake
    account.mend(box)
    assert flags(account, box, 1) == Flag.SEEN | Flag.FLAGGED
    (path,) = (root(account) / ".A/cur").iterdir()
    assert account.paths(box, [1]) == [f"cur/{path.name}"]


def test_a_file_that_its_writer_took_back_while_it_was_looked_at_is_no_message(
    account: Account, spool: MakeSpool, store: Store, monkeypatch: pytest.MonkeyPatch
) -> None:
    box = fill(account, "A", spool)
    file = root(account) / ".A/new/1.2.x"
    file.write_bytes(b"Subject: in vain\n\n")
    before = BeforeWrite(store, monkeypatch)
    before.action = file.unlink
    account.mend(box)
    assert list(account.uids(box)) == [1]


def test_both_we_and_mutt_set_the_same_flag(
    account: Account, spool: MakeSpool, store: Store
) -> None:
    box = fill(account, "A", spool)
    account.store_flags(box, [1], FlagOp.ADD, Flag.SEEN)
    (path,) = (root(account) / ".A/cur").iterdir()
    path.rename(path.with_name(path.name + "S"))
    account.mend(box)
    assert flags(account, box, 1) == Flag.SEEN


def test_flags_that_change_back_and_forth_are_remembered_within_limits(
    account: Account, spool: MakeSpool, store: Store
) -> None:
    box = fill(account, "A", spool)
    for i in range(100):
        op = FlagOp.REMOVE if i % 2 else FlagOp.ADD
        account.store_flags(box, [1], op, Flag(1 << i % 6))
    with store.dbs.env.begin() as txn:
        (value,) = txn.cursor(db=store.dbs.mirror).iternext(keys=False)
    assert len(value) < 100


def test_files_of_expunged_messages_go_before_their_tombstones(
    account: Account, spool: MakeSpool, store: Store, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Whatever kept a file from being put away, it must not come back as a new message."""
    box = fill(account, "A", spool, 2)
    account.store_flags(box, [1], FlagOp.ADD, Flag.DELETED)
    monkeypatch.setattr("mox.store.removing.put_away", lambda *_: None)
    settle(account, box)
    account.expunge(box)
    store.finish_background()
    assert len(list((root(account) / ".A/cur").iterdir())) == 2
    housekeeping.clear_expunged(store, time.time() + 2 * housekeeping.KEEP_EXPUNGED_S)
    assert len(list((root(account) / ".A/cur").iterdir())) == 1
    account.mend(box)
    assert list(account.uids(box)) == [2]


def settle(account: Account, box: MailboxId) -> None:
    """Until the mailbox is known to agree with its files."""
    with gevent.Timeout(5):
        state = account._reader.mailbox_state(box)
        while state is not None and not state.cur_mtime:
            account.refresh(box)
            account.store.finish_background()
            gevent.sleep(0.005)
            state = account._reader.mailbox_state(box)


def test_the_next_look_removes_what_a_killed_worker_did_not_put_away(
    account: Account, spool: MakeSpool, store: Store, monkeypatch: pytest.MonkeyPatch
) -> None:
    box = fill(account, "A", spool, 2)
    account.store_flags(box, [1], FlagOp.ADD, Flag.DELETED)
    settle(account, box)
    monkeypatch.setattr("mox.store.removing.put_away", lambda *_: None)
    account.expunge(box)
    account.refresh(box)
    store.finish_background()
    assert len(list((root(account) / ".A/cur").iterdir())) == 1


def test_an_expunged_file_without_room_to_be_kept_is_removed(
    account: Account, spool: MakeSpool, store: Store
) -> None:
    box = fill(account, "A", spool, 2)
    (account.base / "expunged").rename(account.base / "moved")
    (account.base / "expunged").write_bytes(b"in the way")
    account.store_flags(box, [1], FlagOp.ADD, Flag.DELETED)
    account.expunge(box)
    store.finish_background()
    assert len(list((root(account) / ".A/cur").iterdir())) == 1


@pytest.mark.parametrize("part", ["", "/tmp", "/cur"])
@pytest.mark.parametrize("how", ["deliver", "append", "copy"])
def test_what_someone_removed_of_a_mailbox_is_made_again_when_it_is_needed(
    account: Account, spool: MakeSpool, store: Store, part: str, how: str
) -> None:
    source = fill(account, "Source", spool)
    account.create_mailbox("A")
    box = mailbox_id(account, "A")
    (root(account) / f".A{part}").rename(account.base / "elsewhere")
    if how == "deliver":
        store.deliver([Target(account, "A", b"", NOW, Flag.SEEN)], spool())
    elif how == "append":
        account.append(box, [NewMessage(spool(), NOW)])
    else:
        account.copy(source, [1], box)
    assert len(account.uids(box)) == 1
    assert account.read(box, account.uids(box)[0]).data


def test_an_append_to_a_mailbox_that_is_gone_fails_at_once(
    account: Account, spool: MakeSpool
) -> None:
    box = fill(account, "A", spool)
    account.delete_mailbox(box)
    with pytest.raises(StoreError) as caught, gevent.Timeout(2):
        account.append(box, [NewMessage(spool(), NOW)])
    assert caught.value.kind is ErrorKind.NOT_FOUND


def test_a_mailbox_that_cannot_be_read_is_no_empty_one(
    account: Account, spool: MakeSpool, monkeypatch: pytest.MonkeyPatch
) -> None:
    box = fill(account, "A", spool)

    def forbidden(path: str) -> list[str]:
        raise PermissionError(13, "Permission denied", path)

    monkeypatch.setattr(os, "listdir", forbidden)
    with pytest.raises(StoreError) as caught:
        account.mend(box)
    assert caught.value.temporary
    monkeypatch.undo()
    assert list(account.uids(box)) == [1]
