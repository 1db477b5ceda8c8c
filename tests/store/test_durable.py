"""Files made durable in batches, and what happens when the disk does not."""

from __future__ import annotations

import contextlib
import errno
import os
from collections.abc import Callable
from pathlib import Path

import pytest

from mox.store import durable
from mox.store.durable import FileBatch, FileWrite, NoSpaceAtSync, SyncFailed
from mox.store.errors import ErrorKind, Moved, StoreError


@pytest.fixture
def root(tmp_path: Path) -> Path:
    for sub in ("tmp", "new", "other"):
        (tmp_path / sub).mkdir()
    return tmp_path


def file(root: Path, name: str, content: bytes = b"x", into: str = "new") -> FileWrite:
    return FileWrite(f"{root}/tmp/{name}", f"{root}/{into}/{name}", [content])


def names(root: Path) -> list[str]:
    return sorted(f"{path.parent.name}/{path.name}" for path in root.glob("*/*"))


def failing(number: int) -> Callable[..., None]:
    def fail(*_: object) -> None:
        raise OSError(number, os.strerror(number))

    return fail


def test_files_are_in_place_and_whole(root: Path) -> None:
    batch = FileBatch(str(root))
    parts = [b"one ", b"", b"two"]
    results = batch.make_durable([[FileWrite(f"{root}/tmp/a", f"{root}/new/a", parts)], []])
    assert results == [None, None]
    assert (root / "new/a").read_bytes() == b"one two"
    assert names(root) == ["new/a"]
    batch.release()


def test_mtimes_tell_of_directories_before_and_after(root: Path) -> None:
    os.utime(root / "new", ns=(5, 5))
    batch = FileBatch(str(root))
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
    results = FileBatch(str(root)).make_durable(jobs)
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
    (result,) = FileBatch(str(root)).make_durable([[file(root, "a")]])
    assert result is not None
    assert result.kind is ErrorKind.DISK_FULL
    assert names(root) == []


def test_a_failed_sync_of_a_file_fails_the_batch(
    root: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    batch = FileBatch(str(root))
    batch.make_durable([[file(root, "before")]])
    monkeypatch.setattr(os, "fdatasync", failing(errno.EIO))
    with pytest.raises(SyncFailed) as caught:
        batch.make_durable([[file(root, "a")], [file(root, "b")]])
    assert not isinstance(caught.value, NoSpaceAtSync)
    assert names(root) == ["new/before"]


def test_a_failed_sync_of_a_directory_fails_the_batch(
    root: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(os, "fsync", failing(errno.EIO))
    with pytest.raises(SyncFailed):
        FileBatch(str(root)).make_durable([[file(root, "a")]])
    assert names(root) == []


def test_a_directory_that_was_renamed_concerns_its_job_only(root: Path) -> None:
    jobs = [[file(root, "a", into="gone")], [file(root, "b")]]
    moved, written = FileBatch(str(root)).make_durable(jobs)
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

    batch = FileBatch(str(root))
    monkeypatch.setattr(os, "open", some_fail)
    jobs = [[file(root, "a", into="other")], [file(root, "b")]]
    failed, written = batch.make_durable(jobs)
    assert isinstance(failed, StoreError)
    assert isinstance(failed, Moved) == (number == errno.ENOENT)
    assert written is None
    assert names(root) == ["new/b"]


def test_what_is_discarded_is_found_wherever_its_directory_went(root: Path) -> None:
    batch = FileBatch(str(root))
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


def test_directories_are_synced_after_the_renames(
    root: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """The order is the contract: data, rename, directory."""
    steps: list[str] = []
    real = os.rename
    monkeypatch.setattr(os, "fdatasync", lambda fd: steps.append("data"))
    monkeypatch.setattr(os, "fsync", lambda fd: steps.append("directory"))
    monkeypatch.setattr(os, "rename", lambda a, b, **kw: (steps.append("rename"), real(a, b, **kw)))
    FileBatch(str(root)).make_durable([[file(root, "a")], [file(root, "b", into="other")]])
    assert steps == ["data", "data", "rename", "rename", "directory", "directory"]


@pytest.fixture
def steps(monkeypatch: pytest.MonkeyPatch) -> list[str]:
    """What is waited for: names of files and directories."""
    seen: list[str] = []

    def note(fd: int) -> None:
        seen.append(os.path.basename(os.readlink(f"/proc/self/fd/{fd}")))

    monkeypatch.setattr(os, "fdatasync", note)
    monkeypatch.setattr(os, "fsync", note)
    return seen


def for_journal(root: Path, name: str, into: str = "new") -> FileWrite:
    write = file(root, name, into=into)
    write.for_journal = True
    return write


def test_what_goes_into_the_journal_is_not_waited_for(root: Path, steps: list[str]) -> None:
    small, large = for_journal(root, "a"), file(root, "b", into="other")
    assert FileBatch(str(root)).make_durable([[small], [large]]) == [None, None]
    assert (small.in_journal, large.in_journal) == (True, False)
    assert steps == ["b", "other"]
    assert names(root) == ["new/a", "other/b"]


def test_a_directory_is_waited_for_when_one_file_of_several_needs_it(
    root: Path, steps: list[str]
) -> None:
    FileBatch(str(root)).make_durable([[for_journal(root, "a"), file(root, "b")]])
    assert steps == ["b", "new"]


def test_without_room_in_the_journal_all_is_waited_for(root: Path, steps: list[str]) -> None:
    batch = FileBatch(str(root))
    batch.has_room = False
    write = for_journal(root, "a")
    batch.make_durable([[write]])
    assert not write.in_journal
    assert steps == ["a", "new"]


def test_what_is_on_another_file_system_is_waited_for(root: Path, steps: list[str]) -> None:
    """Nobody else would."""
    batch = FileBatch(str(root))
    batch._device = -1
    write = for_journal(root, "a")
    batch.make_durable([[write]])
    assert not write.in_journal
    assert steps == ["a", "new"]


def test_what_was_not_waited_for_can_be_taken_back(root: Path) -> None:
    batch = FileBatch(str(root))
    job = [for_journal(root, "a")]
    batch.make_durable([job])
    batch.discard(job)
    assert names(root) == []


def test_a_disk_found_full_at_the_sync_of_a_directory_fails_the_batch(
    root: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(os, "fsync", failing(errno.ENOSPC))
    with pytest.raises(NoSpaceAtSync):
        FileBatch(str(root)).make_durable([[file(root, "a")]])
    assert names(root) == []


def test_several_files_are_written_side_by_side(
    root: Path, steps: list[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    def start(fd: int) -> None:
        steps.append("begin " + os.path.basename(os.readlink(f"/proc/self/fd/{fd}")))

    monkeypatch.setattr(durable, "_start_writing", start)
    batch = FileBatch(str(root))
    batch.make_durable([[file(root, "a")], [for_journal(root, "b")], [file(root, "c")]])
    assert steps == ["begin a", "begin c", "a", "c", "new"]
    steps.clear()
    batch.make_durable([[for_journal(root, "d")], [file(root, "e")]])
    assert steps == ["e", "new"], "one alone is not begun"


@pytest.mark.parametrize("number", [errno.ENOSPC, errno.EIO])
def test_no_descriptor_is_left_when_a_sync_fails(
    root: Path, monkeypatch: pytest.MonkeyPatch, number: int
) -> None:
    before = len(os.listdir("/proc/self/fd"))
    batch = FileBatch(str(root))
    monkeypatch.setattr(os, "fdatasync", failing(number))
    with contextlib.suppress(SyncFailed):
        batch.make_durable([[file(root, "a"), file(root, "b")], [file(root, "c")]])
    batch.release()
    assert len(os.listdir("/proc/self/fd")) == before
    assert names(root) == []
