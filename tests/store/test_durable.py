"""Files made durable in batches, and what happens when the disk does not."""

from __future__ import annotations

import errno
import os
from collections.abc import Callable
from pathlib import Path

import pytest

from mox.store import durable, syncways
from mox.store.durable import FileBatch, FileWrite, NoSpaceAtSync, SyncFailed
from mox.store.errors import ErrorKind, Moved, StoreError


class Disk:
    """Stands for the time that syncs take: each step moves the clock."""

    def __init__(self) -> None:
        self.now = 0.0
        self.file_s = 0.001
        self.syncfs_s = 0.002
        self.calls: list[str] = []

    def fdatasync(self, _: int) -> None:
        self.calls.append("file")
        self.now += self.file_s

    def syncfs(self, _: int) -> None:
        self.calls.append("syncfs")
        self.now += self.syncfs_s


@pytest.fixture
def disk(monkeypatch: pytest.MonkeyPatch) -> Disk:
    disk = Disk()
    monkeypatch.setattr(os, "fdatasync", disk.fdatasync)
    monkeypatch.setattr(durable, "syncfs", disk.syncfs)
    return disk


@pytest.fixture
def root(tmp_path: Path) -> Path:
    for sub in ("tmp", "new", "other"):
        (tmp_path / sub).mkdir()
    return tmp_path


def batch_in(root: Path) -> FileBatch:
    """One that syncs each file and directory by itself, however slow the machine is."""
    batch = FileBatch(str(root), lambda: 0.0)
    batch._file_ways.together_s = batch._directory_ways.together_s = 1.0
    return batch


def file(root: Path, name: str, content: bytes = b"x", into: str = "new") -> FileWrite:
    return FileWrite(f"{root}/tmp/{name}", f"{root}/{into}/{name}", [content])


def names(root: Path) -> list[str]:
    return sorted(f"{path.parent.name}/{path.name}" for path in root.glob("*/*"))


def failing(number: int) -> Callable[..., None]:
    def fail(*_: object) -> None:
        raise OSError(number, os.strerror(number))

    return fail


def test_files_are_in_place_and_whole(root: Path) -> None:
    batch = batch_in(root)
    parts = [b"one ", b"", b"two"]
    results = batch.make_durable([[FileWrite(f"{root}/tmp/a", f"{root}/new/a", parts)], []])
    assert results == [None, None]
    assert (root / "new/a").read_bytes() == b"one two"
    assert names(root) == ["new/a"]
    batch.close()


def test_mtimes_tell_of_directories_before_and_after(root: Path) -> None:
    os.utime(root / "new", ns=(5, 5))
    batch = batch_in(root)
    batch.make_durable([[file(root, "a")]])
    assert batch.mtimes == {f"{root}/new": (5, os.stat(root / "new").st_mtime_ns)}


@pytest.mark.parametrize(
    ("number", "kind"),
    [
        (errno.ENOSPC, ErrorKind.DISK_FULL),
        (errno.EDQUOT, ErrorKind.DISK_FULL),
        (errno.EACCES, ErrorKind.INTERNAL),
        (errno.EIO, ErrorKind.INTERNAL),
    ],
)
def test_a_file_that_cannot_be_written_fails_its_job_only(
    root: Path, monkeypatch: pytest.MonkeyPatch, number: int, kind: ErrorKind
) -> None:
    writev = os.writev

    def some_fail(fd: int, parts: list[bytes]) -> int:
        if parts[0].startswith(b"bad"):
            os.write(fd, b"b")
            raise OSError(number, os.strerror(number))
        return writev(fd, parts)

    monkeypatch.setattr(os, "writev", some_fail)
    jobs = [
        [file(root, "a")],
        [file(root, "b"), file(root, "c", b"bad"), file(root, "d")],
        [file(root, "e")],
    ]
    results = batch_in(root).make_durable(jobs)
    assert results[0] is None
    assert results[2] is None
    assert isinstance(results[1], StoreError)
    assert results[1].kind is kind
    assert results[1].temporary
    assert results[1].detail
    assert names(root) == ["new/a", "new/e"]


def test_a_disk_found_full_at_the_sync_of_a_file_fails_its_job_only(
    root: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(os, "fdatasync", failing(errno.ENOSPC))
    (result,) = batch_in(root).make_durable([[file(root, "a")]])
    assert result is not None
    assert result.kind is ErrorKind.DISK_FULL
    assert names(root) == []


def test_a_failed_sync_of_a_file_fails_the_batch(
    root: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    batch = batch_in(root)
    batch.make_durable([[file(root, "before")]])
    monkeypatch.setattr(os, "fdatasync", failing(errno.EIO))
    with pytest.raises(SyncFailed) as caught:
        batch.make_durable([[file(root, "a")], [file(root, "b")]])
    assert not isinstance(caught.value, NoSpaceAtSync)
    assert names(root) == ["new/before"]


@pytest.mark.parametrize(
    ("number", "kind"), [(errno.EIO, SyncFailed), (errno.ENOSPC, NoSpaceAtSync)]
)
def test_a_failed_syncfs_fails_the_batch(
    root: Path, disk: Disk, monkeypatch: pytest.MonkeyPatch, number: int, kind: type
) -> None:
    batch = FileBatch(str(root), lambda: disk.now)
    monkeypatch.setattr(durable, "syncfs", failing(number))
    with pytest.raises(SyncFailed) as caught:
        batch.make_durable([[file(root, "a")], [file(root, "b")]])
    assert type(caught.value) is kind
    assert names(root) == []


@pytest.mark.parametrize(
    ("number", "kind"), [(errno.EIO, SyncFailed), (errno.ENOSPC, NoSpaceAtSync)]
)
def test_a_failed_syncfs_of_directories_takes_back_what_is_in_place(
    root: Path, disk: Disk, monkeypatch: pytest.MonkeyPatch, number: int, kind: type
) -> None:
    seen: list[list[str]] = []

    def second_fails(_: int) -> None:
        seen.append(names(root))
        if len(seen) == 2:
            raise OSError(number, os.strerror(number))

    monkeypatch.setattr(durable, "syncfs", second_fails)
    batch = FileBatch(str(root), lambda: disk.now)
    with pytest.raises(SyncFailed) as caught:
        batch.make_durable([[file(root, "a")], [file(root, "b", into="other")]])
    assert type(caught.value) is kind
    assert seen == [[], ["new/a", "other/b"]]
    assert names(root) == []


def test_a_failed_sync_of_a_directory_fails_the_batch(
    root: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(os, "fsync", failing(errno.EIO))
    with pytest.raises(SyncFailed):
        batch_in(root).make_durable([[file(root, "a")]])
    assert names(root) == []


def test_a_directory_that_was_renamed_concerns_its_job_only(root: Path) -> None:
    jobs = [[file(root, "a", into="gone")], [file(root, "b")]]
    moved, written = batch_in(root).make_durable(jobs)
    assert isinstance(moved, Moved)
    assert written is None
    assert names(root) == ["new/b"]


@pytest.mark.parametrize("number", [errno.ENOENT, errno.EACCES, errno.EMFILE])
def test_a_directory_that_cannot_be_opened_for_its_sync_concerns_its_job_only(
    root: Path, monkeypatch: pytest.MonkeyPatch, number: int
) -> None:
    """A rename by another process just after ours of the file, say."""
    real = os.open

    def some_fail(path: str, flags: int, *rest: int) -> int:
        if path == f"{root}/other":
            raise OSError(number, os.strerror(number))
        return real(path, flags, *rest)

    batch = batch_in(root)
    monkeypatch.setattr(os, "open", some_fail)
    jobs = [[file(root, "a", into="other")], [file(root, "b")]]
    failed, written = batch.make_durable(jobs)
    assert isinstance(failed, StoreError)
    assert isinstance(failed, Moved) == (number == errno.ENOENT)
    assert written is None
    assert names(root) == ["new/b"]


def test_what_is_discarded_is_found_wherever_its_directory_went(root: Path) -> None:
    batch = batch_in(root)
    job = [file(root, "a")]
    batch.make_durable([job])
    (root / "new").rename(root / "elsewhere")
    (root / "new").mkdir()
    (root / "new/a").write_bytes(b"another's")
    batch.discard(job)
    assert names(root) == ["new/a"]
    batch.release()
    batch.discard(job)
    assert names(root) == ["new/a"], "what was committed is not touched"


def test_what_others_left_is_written_out_without_taking_the_errors_of_a_batch(
    root: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """The kernel tells each open descriptor once of an error."""
    batch = FileBatch(str(root))
    synced: list[tuple[int, str]] = []
    monkeypatch.setattr(
        durable, "syncfs", lambda fd: synced.append((fd, os.readlink(f"/proc/self/fd/{fd}")))
    )
    durable.write_out(str(root))
    ((fd, path),) = synced
    assert path == str(root)
    assert fd != batch._root_fd
    assert not os.path.exists(f"/proc/self/fd/{fd}"), "closed again"
    batch.close()


def test_one_file_is_synced_by_itself(root: Path, disk: Disk) -> None:
    batch = FileBatch(str(root), lambda: disk.now)
    batch._file_ways.apart_s = 100.0
    batch.make_durable([[file(root, "a")]])
    assert disk.calls == ["file"]


def test_syncfs_is_tried_with_the_first_files_that_come_together(root: Path, disk: Disk) -> None:
    batch = FileBatch(str(root), lambda: disk.now)
    batch.make_durable(many(root, "first", 2))
    assert disk.calls == ["syncfs"]
    disk.calls.clear()
    for round_ in range(30):  # 2 ms, and 1 ms for a file: what is cheaper depends
        batch.make_durable(many(root, f"one{round_}", 1))
        batch.make_durable(many(root, f"more{round_}", 5))
    disk.calls.clear()
    batch.make_durable(many(root, "few", 2))
    batch.make_durable(many(root, "some", 3))
    assert disk.calls == ["file", "file", "syncfs"]


def many(root: Path, prefix: str, count: int) -> list[list[FileWrite]]:
    return [[file(root, f"{prefix}.{i}")] for i in range(count)]


def test_the_cheaper_way_of_syncing_is_found(root: Path, disk: Disk) -> None:
    batch = FileBatch(str(root), lambda: disk.now)
    batch._file_ways.together_s = disk.syncfs_s = 0.003
    for round_ in range(30):  # one file each, to learn what a file costs
        batch.make_durable(many(root, f"one{round_}", 1))
    disk.calls.clear()
    batch.make_durable(many(root, "few", 2))
    assert disk.calls == ["file"] * 2
    disk.calls.clear()
    batch.make_durable(many(root, "many", 20))
    assert disk.calls == ["syncfs"]


@pytest.mark.parametrize(("together_s", "wanted"), [(0.0035, ["syncfs"]), (0.0045, [])])
def test_directories_are_synced_the_cheaper_way_too(
    root: Path, disk: Disk, together_s: float, wanted: list[str]
) -> None:
    batch = FileBatch(str(root), lambda: disk.now)
    batch._file_ways.apart_s = 0.0
    batch._directory_ways.apart_s = 0.001
    batch._directory_ways.together_s = together_s
    for name in "abcd":
        (root / name).mkdir()
    batch.make_durable([[file(root, f"to-{name}", into=name)] for name in "abcd"])
    assert disk.calls == ["file"] * 4 + wanted


def test_what_syncfs_does_not_reach_is_synced_by_itself(
    root: Path, disk: Disk, monkeypatch: pytest.MonkeyPatch
) -> None:
    """A mailbox on another file system."""
    monkeypatch.setattr(os, "fsync", lambda fd: disk.calls.append("directory"))
    batch = FileBatch(str(root), lambda: disk.now)
    batch._device = -1
    batch.make_durable([[file(root, "a")], [file(root, "b", into="other")]])
    assert disk.calls == ["file", "file", "syncfs", "syncfs", "directory", "directory"]


def test_syncfs_that_has_become_dear_is_left_alone_and_tried_again(root: Path, disk: Disk) -> None:
    disk.syncfs_s = 5.0
    batch = FileBatch(str(root), lambda: disk.now)
    batch._file_ways.apart_s = 0.001
    batch._file_ways.together_s = 0.001
    batch.make_durable(many(root, "first", 10))
    assert disk.calls == ["syncfs"]
    disk.calls.clear()
    disk.syncfs_s = 0.0001
    batches = 0
    while "syncfs" not in disk.calls:
        batch.make_durable(many(root, f"round{batches}", 2))
        batches += 1
    assert batches == syncways._FIRST_PAUSE
    assert disk.calls.count("file") == 2 * (batches - 1)
    disk.calls.clear()
    batch.make_durable(many(root, "then", 2))
    assert disk.calls == ["syncfs"], "once found cheap it is used again"


def test_syncfs_that_stays_dear_is_tried_less_and_less(root: Path, disk: Disk) -> None:
    disk.syncfs_s = 5.0
    batch = FileBatch(str(root), lambda: disk.now)
    tried: list[int] = []
    for number in range(1000):
        disk.calls.clear()
        batch.make_durable(many(root, f"round{number}", 2))
        if "syncfs" in disk.calls:
            tried.append(number)
    # At once, and after 4, 8, 16 … 256 batches.
    assert tried == [0, 4, 12, 28, 60, 124, 252, 508, 764]


def test_one_slow_syncfs_is_soon_forgiven(root: Path, disk: Disk) -> None:
    batch = FileBatch(str(root), lambda: disk.now)
    for number in range(2000):  # so dear for a while that it is hardly tried any more
        disk.syncfs_s = 5.0 if number < 1000 else 0.0001
        batch.make_durable(many(root, f"before{number}", 2))
    disk.syncfs_s = 5.0
    batch.make_durable(many(root, "slow", 2))
    disk.syncfs_s = 0.0001
    disk.calls.clear()
    for number in range(syncways._FIRST_PAUSE):
        batch.make_durable(many(root, f"after{number}", 2))
    assert disk.calls[-1] == "syncfs"


@pytest.fixture
def synced(disk: Disk, root: Path, monkeypatch: pytest.MonkeyPatch) -> list[list[str]]:
    """Makes syncfs the cheaper way, and tells what files there are at each."""
    seen: list[list[str]] = []
    monkeypatch.setattr(durable, "syncfs", lambda _: seen.append(names(root)))
    return seen


def test_files_for_several_directories_have_no_name_until_their_data_is_durable(
    root: Path, disk: Disk, synced: list[list[str]]
) -> None:
    batch = FileBatch(str(root), lambda: disk.now)
    jobs = [[file(root, "a", b"one"), file(root, "b", b"two", into="other")]]
    assert batch.make_durable(jobs) == [None]
    assert synced == [[], ["new/a", "other/b"]]
    assert (root / "other/b").read_bytes() == b"two"
    assert os.stat(root / "other/b").st_mode & 0o7777 == 0o600
    assert disk.calls == [], "none is synced by itself"
    batch.close()


@pytest.mark.parametrize("number", [errno.EOPNOTSUPP, errno.EISDIR])
def test_where_files_cannot_be_without_a_name_they_lie_in_tmp(
    root: Path,
    disk: Disk,
    synced: list[list[str]],
    monkeypatch: pytest.MonkeyPatch,
    number: int,
) -> None:
    real = os.open

    def named_only(path: str, flags: int, *rest: int, **kw: int) -> int:
        if flags & os.O_TMPFILE == os.O_TMPFILE:
            raise OSError(number, os.strerror(number))
        return real(path, flags, *rest, **kw)

    monkeypatch.setattr(os, "open", named_only)
    batch = FileBatch(str(root), lambda: disk.now)
    batch.make_durable([[file(root, "a")], [file(root, "b", into="other")]])
    assert synced == [["tmp/a", "tmp/b"], ["new/a", "other/b"]]
    batch.make_durable([[file(root, "c")], [file(root, "d", into="other")]])
    assert synced[2:] == [
        ["new/a", "other/b", "tmp/c", "tmp/d"],
        ["new/a", "new/c", "other/b", "other/d"],
    ]


def test_a_file_whose_directory_is_synced_by_itself_lies_in_tmp(
    root: Path, disk: Disk, synced: list[list[str]], monkeypatch: pytest.MonkeyPatch
) -> None:
    """Its inode would not be written again once it has a name."""
    monkeypatch.setattr(os, "fsync", lambda _: disk.calls.append("directory"))
    batch = FileBatch(str(root), lambda: disk.now)
    batch.make_durable([[file(root, "a"), file(root, "b")]])
    assert synced == [["tmp/a", "tmp/b"]]
    assert disk.calls == ["directory"]


def test_very_many_files_lie_in_tmp(root: Path, disk: Disk, synced: list[list[str]]) -> None:
    """Each that has no name is an open descriptor."""
    batch = FileBatch(str(root), lambda: disk.now)
    count = durable._MOST_UNNAMED + 1
    batch.make_durable([[file(root, "to-other", into="other")], *many(root, "a", count - 1)])
    assert len(synced[0]) == count
    assert all(name.startswith("tmp/") for name in synced[0])


def test_a_name_that_is_taken_fails_its_job_only(
    root: Path, disk: Disk, synced: list[list[str]]
) -> None:
    (root / "new/a").write_bytes(b"another's")
    batch = FileBatch(str(root), lambda: disk.now)
    descriptors = os.listdir("/proc/self/fd")
    failed, written = batch.make_durable([[file(root, "a")], [file(root, "b", into="other")]])
    assert isinstance(failed, StoreError)
    assert written is None
    assert names(root) == ["new/a", "other/b"]
    batch.discard([file(root, "a")])
    assert (root / "new/a").read_bytes() == b"another's"
    batch.release()
    assert len(os.listdir("/proc/self/fd")) == len(descriptors)


def test_directories_are_synced_after_the_renames(
    root: Path, disk: Disk, monkeypatch: pytest.MonkeyPatch
) -> None:
    """The order is the contract: data, rename, directory."""
    steps: list[str] = []
    real = os.rename
    monkeypatch.setattr(os, "fdatasync", lambda fd: steps.append("data"))
    monkeypatch.setattr(os, "fsync", lambda fd: steps.append("directory"))
    monkeypatch.setattr(os, "rename", lambda a, b, **kw: (steps.append("rename"), real(a, b, **kw)))
    batch_in(root).make_durable([[file(root, "a")], [file(root, "b", into="other")]])
    assert steps == ["data", "data", "rename", "rename", "directory", "directory"]
