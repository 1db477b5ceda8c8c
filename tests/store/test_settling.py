"""Files that nobody waited for: made durable later, and written again after a crash of the machine.

What a crash takes is taken here by hand: files become empty, half, or are gone.
"""

from __future__ import annotations

import errno
import os
import shutil
import time
from collections.abc import Callable, Iterator
from functools import partial
from pathlib import Path

import pytest

from mox.store import Store, durable, journal, open_store, settling
from mox.store.account import Account
from mox.store.errors import ErrorKind, StoreError
from mox.store.model import Flag, FlagOp, MailboxId, NewMessage
from mox.store.reindex import reindex
from mox.store.settling import Settler, restore
from mox.store.spool import Spool

MakeSpool = Callable[..., Spool]
WHEN = (1_700_000_000, 0)


@pytest.fixture
def settler(store: Store) -> Iterator[Settler]:
    settler = Settler(store)
    yield settler
    settler.close()


@pytest.fixture
def synced(monkeypatch: pytest.MonkeyPatch) -> list[str]:
    """What is synced of files and directories, and "all" for syncfs."""
    seen: list[str] = []

    def note(fd: int) -> None:
        path = os.readlink(f"/proc/self/fd/{fd}")
        if "/Maildir/" in path:
            seen.append(path.partition("/Maildir/")[2])

    monkeypatch.setattr(os, "fdatasync", note)
    monkeypatch.setattr(os, "fsync", note)
    monkeypatch.setattr(settling, "syncfs", lambda fd: seen.append("all"))
    monkeypatch.setattr(durable, "syncfs", lambda fd: seen.append("all"))
    return seen


@pytest.fixture
def append(account: Account, inbox: MailboxId, spool: MakeSpool) -> Callable[[bytes], int]:
    def append(text: bytes) -> int:
        message = NewMessage(spool(b"Subject: s\r\n\r\n" + text + b"\r\n"), WHEN)
        (uid,) = account.append(inbox, [message]).uids
        return uid

    return append


@pytest.fixture
def archive(account: Account) -> MailboxId:
    found = account.mailbox_id("Archive")
    assert found is not None
    return found


def is_empty(store: Store) -> bool:
    with store.dbs.env.begin() as txn:
        return journal.last(txn, store.dbs) is None


def path_of(account: Account, mailbox: MailboxId, uid: int) -> Path:
    path = account.path(mailbox, uid)
    assert path is not None
    return Path(account.directory(mailbox), path)


def body(text: bytes) -> bytes:
    return b"Subject: s\n\n" + text + b"\n"


# ---- settling


def test_one_message_is_synced_by_itself(
    account: Account,
    inbox: MailboxId,
    append: Callable[[bytes], int],
    settler: Settler,
    synced: list[str],
) -> None:
    uid = append(b"one")
    assert synced == []
    assert settler.settle()
    assert synced == [f"cur/{path_of(account, inbox, uid).name}", "new", "cur"]
    assert is_empty(account.store)
    synced.clear()
    assert not settler.settle()
    assert synced == []


def test_many_are_synced_together(
    store: Store, append: Callable[[bytes], int], settler: Settler, synced: list[str]
) -> None:
    for i in range(5):
        append(b"%d" % i)
    settler.settle()
    assert synced == ["all"]
    assert is_empty(store)


def test_each_of_several_is_synced_where_that_is_cheaper(
    store: Store, append: Callable[[bytes], int], settler: Settler, synced: list[str]
) -> None:
    settler._ways.together_s = 100.0
    for i in range(3):
        append(b"%d" % i)
    settler.settle()
    assert len(synced) == 5
    assert synced[3:] == ["new", "cur"]
    assert is_empty(store)


def test_what_comes_meanwhile_stays(
    store: Store,
    append: Callable[[bytes], int],
    settler: Settler,
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setattr(settling, "_AT_ONCE", 1)
    append(b"before")
    append(b"before, too")
    make_durable = settler._make_durable
    late: list[int] = []

    def slow(*args: object) -> None:
        make_durable(*args)  # type: ignore[arg-type]
        late.append(1)

    monkeypatch.setattr(settler, "_make_durable", slow)
    real = store.write

    def write(*args: object, **kw: object) -> object:
        if late:
            late.clear()
            append(b"late")
        return real(*args, **kw)  # type: ignore[arg-type]

    monkeypatch.setattr(store, "write", write)
    settler.settle()
    with store.dbs.env.begin() as txn:
        assert [content for _, content in journal.contents(txn, store.dbs)] == [body(b"late")]


def test_a_removed_message_needs_no_sync(
    account: Account,
    inbox: MailboxId,
    append: Callable[[bytes], int],
    settler: Settler,
    synced: list[str],
) -> None:
    account.remove(inbox, [append(b"one")])
    synced.clear()
    settler.settle()
    assert synced == []
    assert is_empty(account.store)


def test_a_file_that_is_not_where_it_should_be_is_reached_by_syncing_all(
    account: Account,
    inbox: MailboxId,
    append: Callable[[bytes], int],
    settler: Settler,
    synced: list[str],
) -> None:
    """Another program has just renamed it."""
    path = path_of(account, inbox, append(b"one"))
    path.rename(path.with_name(path.name + "F"))
    settler.settle()
    assert synced == ["all"]
    assert is_empty(account.store)


def failing(number: int) -> Callable[[int], None]:
    def fail(_: int) -> None:
        raise OSError(number, os.strerror(number))

    return fail


@pytest.mark.parametrize(
    ("number", "kind"), [(errno.EIO, ErrorKind.INTERNAL), (errno.ENOSPC, ErrorKind.DISK_FULL)]
)
def test_after_a_failed_sync_files_are_written_again(
    account: Account,
    inbox: MailboxId,
    append: Callable[[bytes], int],
    settler: Settler,
    monkeypatch: pytest.MonkeyPatch,
    number: int,
    kind: ErrorKind,
) -> None:
    """What a sync that failed covered is gone from the page cache; asking again would lie."""
    path = path_of(account, inbox, append(b"one"))
    gone = path_of(account, inbox, append(b"removed by another program"))
    gone.unlink()
    with monkeypatch.context() as context:
        context.setattr(settling, "syncfs", failing(number))
        for _ in range(2):
            with pytest.raises(StoreError) as caught:
                settler.settle()
            assert caught.value.kind is kind
            context.setattr(os, "fdatasync", failing(number))
    assert not is_empty(account.store)
    assert [each.name for each in path.parent.iterdir()] == [path.name]
    assert list((path.parent.parent / "tmp").iterdir()) == []
    inode = path.stat().st_ino
    path.write_bytes(b"")
    settler.settle()
    assert path.read_bytes() == body(b"one")
    assert path.stat().st_ino != inode
    assert not gone.exists()
    assert is_empty(account.store)
    append(b"two")
    settler.settle()
    assert is_empty(account.store)


# ---- what leaves its place before it is durable


def test_what_is_copied_is_made_durable_first(
    account: Account,
    inbox: MailboxId,
    archive: MailboxId,
    append: Callable[[bytes], int],
    synced: list[str],
) -> None:
    """The copy is not in the journal."""
    uid = append(b"one")
    name = path_of(account, inbox, uid).name
    account.copy(inbox, [uid], archive)
    assert synced == [f"cur/{name}", ".Archive/cur"]


def test_what_is_durable_is_copied_without_another_sync(
    account: Account,
    inbox: MailboxId,
    archive: MailboxId,
    append: Callable[[bytes], int],
    settler: Settler,
    synced: list[str],
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    uid = append(b"one")
    settler.settle()
    later = time.time() + 100
    monkeypatch.setattr(time, "time", lambda: later)
    append(b"another")
    synced.clear()
    account.move(inbox, [uid], archive)
    assert synced == [".Archive/cur"]


def test_what_another_program_takes_away_is_made_durable(
    account: Account, inbox: MailboxId, append: Callable[[bytes], int], synced: list[str]
) -> None:
    """It may have moved the file to where the journal does not know it."""
    path = path_of(account, inbox, append(b"one"))
    path.rename(path.parents[1] / ".Archive/cur/elsewhere")
    account.mend(inbox)
    assert synced == ["all"]
    assert account.uids(inbox).tolist() == []


def test_what_was_durable_long_before_is_taken_away_without_a_sync(
    account: Account,
    inbox: MailboxId,
    append: Callable[[bytes], int],
    settler: Settler,
    synced: list[str],
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    path = path_of(account, inbox, append(b"one"))
    settler.settle()
    later = time.time() + 100
    monkeypatch.setattr(time, "time", lambda: later)
    append(b"another")
    synced.clear()
    path.unlink()
    account.mend(inbox)
    assert synced == []


def test_so_is_a_mailbox_that_another_program_takes_away(
    account: Account, spool: MakeSpool, synced: list[str]
) -> None:
    (mailbox,) = account.create_mailbox("Box")
    account.append(mailbox.id, [NewMessage(spool(), WHEN)])
    synced.clear()
    Path(account.directory(mailbox.id)).rename(account.base / "elsewhere")
    account.mend(mailbox.id)
    assert synced[0] == "all"


# ---- after a crash of the machine


def take_content(path: Path) -> None:
    path.write_bytes(b"")


def take_half(path: Path) -> None:
    path.write_bytes(path.read_bytes()[:9])


def zero(path: Path) -> None:
    path.write_bytes(bytes(path.stat().st_size))


def take(path: Path) -> None:
    path.unlink()


def take_directory(path: Path) -> None:
    shutil.rmtree(path.parent)


@pytest.mark.parametrize("damage", [take_content, take_half, zero, take, take_directory])
def test_a_file_that_a_crash_took_is_written_again(
    account: Account,
    inbox: MailboxId,
    append: Callable[[bytes], int],
    damage: Callable[[Path], None],
) -> None:
    uids = [append(b"%d" % i) for i in range(3)]
    path = path_of(account, inbox, uids[1])
    damage(path)
    assert restore(account.store) == (3 if damage is take_directory else 1)
    assert path.read_bytes() == body(b"1")
    account.mend(inbox)
    assert account.uids(inbox).tolist() == uids
    contents = [path_of(account, inbox, uid).read_bytes() for uid in uids]
    assert contents == [body(b"%d" % i) for i in range(3)]
    assert restore(account.store) == 0


def test_a_file_whose_name_shows_other_flags_is_found(
    account: Account, inbox: MailboxId, append: Callable[[bytes], int]
) -> None:
    """Another program, or the keeper, has renamed it before the crash."""
    path = path_of(account, inbox, append(b"one"))
    renamed = path.rename(path.with_name(path.name + "S"))
    assert restore(account.store) == 0
    take_half(renamed)
    assert restore(account.store) == 1
    assert renamed.read_bytes() == body(b"one")
    assert not path.exists()


def test_what_was_removed_does_not_come_back(
    account: Account, inbox: MailboxId, append: Callable[[bytes], int]
) -> None:
    uid = append(b"one")
    path = path_of(account, inbox, uid)
    account.remove(inbox, [uid])
    (account.base / "Maildir").rename(account.base / "not mounted")
    assert restore(account.store) == 0
    assert not path.exists()
    assert not (account.base / "Maildir").exists()


def test_a_maildir_that_is_not_there_is_not_made(
    account: Account, append: Callable[[bytes], int]
) -> None:
    append(b"one")
    (account.base / "Maildir").rename(account.base / "not mounted")
    assert restore(account.store) == 0
    assert not (account.base / "Maildir").exists()


def test_a_renamed_mailbox_gets_its_files(account: Account, spool: MakeSpool) -> None:
    (mailbox,) = account.create_mailbox("Box")
    (uid,) = account.append(mailbox.id, [NewMessage(spool(), WHEN)]).uids
    account.rename_mailbox(mailbox.id, "Other")
    path = path_of(account, mailbox.id, uid)
    assert ".Other" in str(path)
    path.unlink()
    assert restore(account.store) == 1
    assert path.exists()


def test_a_full_disk_is_told_and_nothing_forgotten(
    account: Account,
    inbox: MailboxId,
    append: Callable[[bytes], int],
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    path = path_of(account, inbox, append(b"one"))
    path.unlink()
    with monkeypatch.context() as context:
        context.setattr(os, "fdatasync", failing(errno.ENOSPC))
        with pytest.raises(StoreError) as caught:
            restore(account.store)
        assert caught.value.kind is ErrorKind.DISK_FULL
    assert not path.exists()
    assert restore(account.store) == 1


def test_reindex_writes_files_again_before_it_looks(tmp_path: Path) -> None:
    store = open_store(tmp_path)
    account = store.account("mjl")
    inbox = account.mailbox_id("INBOX")
    assert inbox is not None
    spool = store.spool()
    spool.write(b"Subject: s\r\n\r\none\r\n")
    (uid,) = account.append(inbox, [NewMessage(spool, WHEN)]).uids
    path = path_of(account, inbox, uid)
    take_content(path)
    store.close()
    assert reindex(tmp_path, "mjl").messages == 1
    assert path.read_bytes() == body(b"one")


def test_flags_are_not_taken_back_with_the_name_of_a_file(
    account: Account,
    inbox: MailboxId,
    append: Callable[[bytes], int],
    synced: list[str],
) -> None:
    """The index says that a name shows the flags only when no crash can undo the renaming."""
    from mox.store.mirror import mirror_flags

    uid = append(b"one")
    account.store_flags(inbox, [uid], FlagOp.ADD, Flag.FLAGGED)
    seen: list[bytes | None] = []
    real = account.store.committer.write

    def write(fn: partial[object]) -> object:
        seen.append(b",".join(name.encode() for name in synced))
        return real(fn)

    with pytest.MonkeyPatch.context() as context:
        context.setattr(account.store.committer, "write", write)
        mirror_flags(account.store)
    assert seen == [b"cur"]
    assert path_of(account, inbox, uid).name.endswith(":2,F")
