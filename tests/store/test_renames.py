"""Renames of mailboxes and of files that meet something else half way."""

from __future__ import annotations

import os
import time
from collections.abc import Callable
from pathlib import Path

import gevent
import pytest

from mox.store import Store, housekeeping
from mox.store.account import Account
from mox.store.errors import ErrorKind, Moved, StoreError
from mox.store.mirror import mirror_flags
from mox.store.model import FLAG_MASK, M_FLAGS, Flag, FlagOp, MailboxId, NewMessage, Target
from mox.store.spool import Spool

MakeSpool = Callable[..., Spool]
NOW = (1_700_000_000, 0)


class Crash(BaseException):
    pass


@pytest.fixture
def account(store: Store) -> Account:
    return store.account("mjl")


def root(account: Account) -> Path:
    return account.base / "Maildir"


def mailbox_id(account: Account, name: str) -> MailboxId:
    mailbox = account.mailbox(name)
    assert mailbox is not None, name
    return mailbox.id


def fill(account: Account, name: str, spool: MakeSpool, count: int = 1) -> MailboxId:
    if account.mailbox(name) is None:
        account.create_mailbox(name)
    target = mailbox_id(account, name)
    account.append(target, [NewMessage(spool(), NOW) for _ in range(count)])
    return target


def flags(account: Account, mailbox: MailboxId, uid: int) -> int:
    message = account.message(mailbox, uid)
    assert message is not None
    return message[M_FLAGS] & FLAG_MASK


def directories(account: Account) -> list[str]:
    return sorted(path.name for path in root(account).glob(".*"))


class BeforeWrite:
    """Runs something just before the nth call of committer.write."""

    def __init__(self, store: Store, monkeypatch: pytest.MonkeyPatch, nth: int = 1) -> None:
        self.real = store.committer.write
        self.calls = 0
        self.nth = nth
        self.action: Callable[[], object] = lambda: None
        monkeypatch.setattr(store.committer, "write", self)

    def __call__(self, fn, files=(), prepare=None):  # type: ignore[no-untyped-def]
        self.calls += 1
        if self.calls == self.nth:
            self.action()
        return self.real(fn, files, prepare)


# ---- mailboxes


@pytest.mark.parametrize("new", ["B", "A/B/C"])
def test_a_rename_between_looking_and_applying_loses_nothing(
    account: Account, spool: MakeSpool, store: Store, new: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    box = fill(account, "A", spool, 3)
    (root(account) / ".A/new/1.2.x").write_bytes(b"Subject: dropped\n\n")
    before = BeforeWrite(store, monkeypatch)
    before.action = lambda: account.rename_mailbox(box, new)
    account.mend(box)
    account.mend(box)
    assert list(account.uids(box)) == [1, 2, 3, 4]
    assert len(list((root(account) / account.directory(box)).glob("*/*"))) == 4
    assert (".A" in directories(account)) == new.startswith("A")


def test_a_directory_made_again_while_its_rename_is_under_way_is_no_empty_mailbox(
    account: Account, spool: MakeSpool, store: Store, monkeypatch: pytest.MonkeyPatch
) -> None:
    """A becomes A/B/C: its directory is renamed, then made anew as the parent, then committed."""
    box = fill(account, "A", spool, 3)
    real = store.committer.write

    def look_half_way(fn, files=(), prepare=None):  # type: ignore[no-untyped-def]
        if prepare is not None:
            monkeypatch.setattr(store.committer, "write", real)
            prepare()
            account.mend(box)
            account.refresh(box)
        return real(fn, files)

    monkeypatch.setattr(store.committer, "write", look_half_way)
    account.rename_mailbox(box, "A/B/C")
    account.mend(box)
    assert list(account.uids(box)) == [1, 2, 3]
    assert account.read(box, 1).data


def test_an_expunge_finds_the_files_of_a_renamed_mailbox(
    account: Account, spool: MakeSpool, store: Store
) -> None:
    other = Account(store, account.id, account.name)  # as another process knows it
    box = fill(account, "A", spool, 2)
    other.read(box, 1)
    account.rename_mailbox(box, "B")
    other.store_flags(box, [1], FlagOp.ADD, Flag.DELETED)
    other.expunge(box)
    store.finish_background()
    assert len(list((root(account) / ".B/cur").iterdir())) == 1
    other.refresh(box)
    assert list(other.uids(box)) == [2]
    assert ".A" not in directories(account)


def test_a_delivery_waits_for_a_rename_to_end(
    account: Account, spool: MakeSpool, store: Store, monkeypatch: pytest.MonkeyPatch
) -> None:
    box = fill(account, "A", spool)
    (root(account) / ".A").rename(root(account) / ".B")  # done, and not committed yet
    gevent.spawn_later(0.05, lambda: (root(account) / ".B").rename(root(account) / ".A"))
    monkeypatch.setattr(Account, "restore_directory", lambda *_: None)
    (result,) = store.deliver([Target(account, "A", b"", NOW)], spool())
    assert not isinstance(result, StoreError)
    assert list(account.uids(box)) == [1, 2]
    assert len(list((root(account) / ".A").glob("[nc]*/*"))) == 2


def test_reading_waits_for_a_rename_to_end(
    account: Account, spool: MakeSpool, store: Store, monkeypatch: pytest.MonkeyPatch
) -> None:
    box = fill(account, "A", spool)
    before = BeforeWrite(store, monkeypatch, nth=2)  # the directories are renamed in there
    read: list[gevent.Greenlet[..., bytes]] = []

    def look() -> None:
        (root(account) / ".A").rename(root(account) / ".Away")
        read.append(gevent.spawn(lambda: account.read(box, 1).data))
        gevent.sleep(0.03)
        assert not read[0].ready()
        (root(account) / ".Away").rename(root(account) / ".A")

    before.action = look
    account.rename_mailbox(box, "B")
    assert read[0].get(timeout=10) == b"Subject: hello\n\nbody\n"


def test_reading_begins_again_when_a_rename_has_just_ended(
    account: Account, spool: MakeSpool, store: Store, monkeypatch: pytest.MonkeyPatch
) -> None:
    box = fill(account, "A", spool)
    real = Account._read_at

    def renamed_meanwhile(self: Account, directory: str, path: str, size: int) -> bytes | None:
        if directory.endswith(".A"):
            self.rename_mailbox(box, "B")
        return real(self, directory, path, size)

    monkeypatch.setattr(Account, "_read_at", renamed_meanwhile)
    assert account.read(box, 1).data == b"Subject: hello\n\nbody\n"


@pytest.mark.parametrize("how", ["deliver", "append", "copy"])
def test_a_rename_that_was_cut_short_and_stays_so_is_a_temporary_error(
    account: Account, spool: MakeSpool, store: Store, how: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    source = fill(account, "Source", spool)
    box = fill(account, "A", spool)
    crash_in_rename(account, store, monkeypatch, ("A", "B"), None)
    monkeypatch.setattr("mox.store.writing._PAUSES_S", (0.0, 0.0))
    with pytest.raises(StoreError) as caught:
        if how == "deliver":
            store.deliver([Target(account, "A", b"", NOW)], spool())
        elif how == "append":
            account.append(box, [NewMessage(spool(), NOW)])
        else:
            account.copy(source, [1], box)
    assert caught.value.kind is ErrorKind.BUSY
    assert caught.value.temporary
    account.finish_intents()
    account.mend(box)
    assert list(account.uids(box)) == [1]


@pytest.mark.parametrize("how", ["deliver", "append", "copy"])
def test_what_a_rename_overtook_is_there_once(
    account: Account, spool: MakeSpool, store: Store, how: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    """The file was in place, went along with the directory, and the transaction said no."""
    source = fill(account, "Source", spool)
    box = fill(account, "A", spool)
    real = store.committer.write
    attempts = []

    def overtaken(fn, files=(), prepare=None):  # type: ignore[no-untyped-def]
        attempts.append(files)
        if len(attempts) > 1:
            return real(fn, files, prepare)
        monkeypatch.setattr(store.committer, "write", real)
        store.files.make_durable([files])
        os.rename(root(account) / ".A", root(account) / ".B")
        store.files.discard(files)
        os.rename(root(account) / ".B", root(account) / ".A")
        account.rename_mailbox(box, "B")
        monkeypatch.setattr(store.committer, "write", overtaken)
        raise Moved("test")

    monkeypatch.setattr(store.committer, "write", overtaken)
    large = b"Subject: x\r\n\r\n" + b"x" * (2 << 20)
    if how == "deliver":
        store.deliver([Target(account, "A", b"", NOW)], spool(large))
        assert list(account.uids(mailbox_id(account, "A"))) == [1], "made anew"
    elif how == "append":
        account.append(box, [NewMessage(spool(large), NOW), NewMessage(spool(), NOW)])
    else:
        account.copy(source, [1], box)
    expected = {"deliver": [1], "append": [1, 2, 3], "copy": [1, 2]}[how]
    account.mend(box)
    assert list(account.uids(box)) == expected
    assert len(list((root(account) / ".B").glob("[nc]*/*"))) == len(expected)


def crash_in_rename(
    account: Account,
    store: Store,
    monkeypatch: pytest.MonkeyPatch,
    names: tuple[str, str],
    moved: int | None,
) -> None:
    """Rename and die after the announcement and `moved` directories (None: all, and parents)."""
    calls = []
    real, real_rename = store.committer.write, os.rename
    renames = []

    def rename(source: str, target: str) -> None:
        if moved is not None and len(renames) == moved:
            raise Crash
        renames.append(source)
        real_rename(source, target)

    def write(fn, files=(), prepare=None):  # type: ignore[no-untyped-def]
        calls.append(fn)
        if prepare is None or len(calls) == 1:
            return real(fn, files, prepare)
        monkeypatch.setattr(os, "rename", rename)
        prepare()
        raise Crash

    monkeypatch.setattr(store.committer, "write", write)
    with pytest.raises(Crash):
        account.rename_mailbox(mailbox_id(account, names[0]), names[1])
    monkeypatch.undo()


@pytest.mark.parametrize("new", ["X", "A/B", "A/B/C", "A/A"])
@pytest.mark.parametrize("moved", [0, 1, 2, None])
def test_an_interrupted_rename_is_taken_back_wherever_it_ended(
    account: Account,
    spool: MakeSpool,
    store: Store,
    new: str,
    moved: int | None,
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    ids = {name: fill(account, name, spool, n + 1) for n, name in enumerate(["A", "A/D", "A/D/E"])}
    before = directories(account)
    crash_in_rename(account, store, monkeypatch, ("A", new), moved)
    pending = housekeeping.pending_intents(store)
    assert pending
    housekeeping.finish_intents(store, pending)
    assert not housekeeping.pending_intents(store)
    for n, (name, box) in enumerate(ids.items()):
        account.mend(box)
        assert mailbox_id(account, name) == box
        assert list(account.uids(box)) == list(range(1, n + 2))
        assert account.read(box, 1).data
    made = set(directories(account)) - set(before)
    assert made <= {".A.B"}, "a parent that was made for the new name may stay"


@pytest.mark.parametrize(
    ("names", "old", "new"),
    [
        (["A", "A/B", "A/B/B", "A/B/B/C", "A/B/C"], "A", "A/B"),
        (["A", "A/B", "A/B/B", "A/B/B/C", "A/B/C", "A/B/C/B/C"], "A", "A/B/C"),
    ],
)
@pytest.mark.parametrize("is_empty", [False, True])
def test_mailboxes_below_keep_their_messages_where_old_and_new_names_meet(
    account: Account, spool: MakeSpool, names: list[str], old: str, new: str, is_empty: bool
) -> None:
    """A/B/C becomes A/B/B/C, which has to become A/B/B/B/C first, with or without messages."""
    for name in names:
        account.create_mailbox(name)
    counts = {name: 0 if is_empty and n % 2 else n + 1 for n, name in enumerate(names)}
    ids = {name: fill(account, name, spool, counts[name]) for name in names if counts[name]}
    account.rename_mailbox(mailbox_id(account, old), new)
    for name, box in ids.items():
        account.mend(box)
        assert mailbox_id(account, new + name.removeprefix(old)) == box
        assert list(account.uids(box)) == list(range(1, counts[name] + 1))
    assert account.usage().messages == sum(counts.values())


@pytest.mark.parametrize("nth", [1, 2])
def test_a_mailbox_is_made_again_when_a_rename_took_its_directory_half_way(
    account: Account, monkeypatch: pytest.MonkeyPatch, nth: int
) -> None:
    real, calls = os.mkdir, []

    def taken_away(path: str, *args: int, **kwargs: int) -> None:
        if path.endswith(("/cur", "/new", "/tmp")):
            calls.append(path)
            if len(calls) == nth:
                os.rename(os.path.dirname(path), account.base / "elsewhere")
        real(path, *args, **kwargs)

    monkeypatch.setattr(os, "mkdir", taken_away)
    account.create_mailbox("A")
    account.refresh(mailbox_id(account, "A"))
    assert sorted(path.name for path in (root(account) / ".A").iterdir() if path.is_dir()) == [
        "cur",
        "new",
        "tmp",
    ]


def test_renames_of_an_account_wait_for_each_other(
    account: Account, spool: MakeSpool, store: Store
) -> None:
    box = fill(account, "A", spool, 2)
    renames = [gevent.spawn(account.rename_mailbox, box, name) for name in "BCDEF"]
    gevent.joinall(renames, timeout=20)
    assert all(each.successful() for each in renames)
    mailbox = account.mailbox_by_id(box)
    assert mailbox is not None
    assert directories(account)[-1] != ".A"
    account.mend(box)
    assert list(account.uids(box)) == [1, 2]
    assert not housekeeping.pending_intents(store)


def test_a_rename_that_the_keeper_took_back_begins_again(
    account: Account, spool: MakeSpool, store: Store, monkeypatch: pytest.MonkeyPatch
) -> None:
    box = fill(account, "A", spool)
    before = BeforeWrite(store, monkeypatch, nth=2)
    before.action = account.finish_intents
    account.rename_mailbox(box, "B")
    assert mailbox_id(account, "B") == box
    assert ".A" not in directories(account)
    account.mend(box)
    assert list(account.uids(box)) == [1]
    assert not housekeeping.pending_intents(store)


@pytest.mark.parametrize("how", ["rename", "delete"])
def test_who_was_slow_leaves_alone_what_others_did_after_the_keeper_had_taken_it_back(
    account: Account, spool: MakeSpool, store: Store, how: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Announced, then stopped for longer than the keeper waits; meanwhile the name has moved on."""
    slow, other = fill(account, "A", spool), fill(account, "C", spool, 2)
    before = BeforeWrite(store, monkeypatch, nth=2)

    def overtake() -> None:
        account.finish_intents()
        account.rename_mailbox(slow, "Z")
        account.rename_mailbox(other, "A")

    before.action = overtake
    if how == "rename":
        account.rename_mailbox(slow, "B")
    else:
        with pytest.raises(StoreError) as caught:
            account.delete_mailbox(slow)
        assert caught.value.temporary
    assert mailbox_id(account, "A") == other
    assert mailbox_id(account, "B" if how == "rename" else "Z") == slow
    for box, uids in ((slow, [1]), (other, [1, 2])):
        account.mend(box)
        assert list(account.uids(box)) == uids
    assert not housekeeping.pending_intents(store)


def test_a_mailbox_renamed_while_folders_are_listed_does_not_come_back(
    account: Account, spool: MakeSpool, store: Store, monkeypatch: pytest.MonkeyPatch
) -> None:
    for sub in ("cur", "new", "tmp"):
        (root(account) / ".Made" / sub).mkdir(parents=True)
    real = os.listdir

    def remove_behind(path: str) -> list[str]:
        found = real(path)
        if path == str(root(account)):
            (root(account) / ".Made").rename(root(account).parent / "elsewhere")
        return found

    monkeypatch.setattr(os, "listdir", remove_behind)
    assert "Made" not in [mailbox.name for mailbox in account.mailboxes()]


# ---- files


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
