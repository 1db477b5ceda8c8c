"""Renames of mailboxes that meet something else half way."""

from __future__ import annotations

import os

import gevent
import pytest

from mox.store import Store, housekeeping
from mox.store.account import Account
from mox.store.errors import ErrorKind, Moved, StoreError
from mox.store.messagefile import MessageFiles
from mox.store.model import Flag, FlagOp, NewMessage, Target
from tests.store.mailboxes import NOW, BeforeWrite, Crash, MakeSpool, fill, mailbox_id, root


def directories(account: Account) -> list[str]:
    return sorted(path.name for path in root(account).glob(".*"))


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
    real = MessageFiles._read_at

    def renamed_meanwhile(self: MessageFiles, directory: str, path: str, size: int) -> bytes | None:
        if directory.endswith(".A"):
            account.rename_mailbox(box, "B")
        return real(self, directory, path, size)

    monkeypatch.setattr(MessageFiles, "_read_at", renamed_meanwhile)
    assert account.read(box, 1).data == b"Subject: hello\n\nbody\n"


@pytest.mark.parametrize("how", ["deliver", "append", "copy"])
def test_a_rename_that_was_cut_short_and_stays_so_is_a_temporary_error(
    account: Account, spool: MakeSpool, store: Store, how: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    source = fill(account, "Source", spool)
    box = fill(account, "A", spool)
    crash_in_rename(account, store, monkeypatch, ("A", "B"), None)
    monkeypatch.setattr("mox.store.preparing._PAUSES_S", (0.0, 0.0))
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
