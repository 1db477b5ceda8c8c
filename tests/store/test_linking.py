"""Second names for files: all or none, durable, and a copy where no link can be."""

from __future__ import annotations

import errno
import os
from collections.abc import Callable
from pathlib import Path

import pytest

from mox.store import Store
from mox.store.errors import ErrorKind, Moved, StoreError
from mox.store.linking import make_links
from mox.store.model import NewMessage
from mox.store.spool import Spool

MakeSpool = Callable[..., Spool]


@pytest.fixture
def boxes(tmp_path: Path) -> tuple[Path, Path]:
    for box in ("a", "b"):
        for sub in ("cur", "new", "tmp"):
            (tmp_path / box / sub).mkdir(parents=True)
    (tmp_path / "a/cur/one").write_bytes(b"1")
    (tmp_path / "a/new/two").write_bytes(b"2")
    return tmp_path / "a", tmp_path / "b"


PAIRS = [("cur/one", "cur/x"), ("new/two", "cur/y")]


def test_all_get_second_names(boxes: tuple[Path, Path]) -> None:
    a, b = boxes
    links = make_links(str(a), str(b), PAIRS)
    assert (b / "cur/x").samefile(a / "cur/one")
    assert (b / "cur/y").read_bytes() == b"2"
    assert links.times[1] == (b / "cur").stat().st_mtime_ns
    links.check_place(str(b))
    links.take_back()
    links.close()
    assert list((b / "cur").iterdir()) == []


@pytest.mark.parametrize("missing", ["a", "b", "b/cur", "a/new/two"])
def test_nothing_is_left_when_one_cannot(boxes: tuple[Path, Path], missing: str) -> None:
    a, b = boxes
    path = a.parent / missing
    path.rename(path.with_name("gone"))
    with pytest.raises(Moved):
        make_links(str(a), str(b), PAIRS)
    assert not (b / "cur").exists() or list((b / "cur").iterdir()) == []


def test_a_name_that_is_taken_stays(boxes: tuple[Path, Path]) -> None:
    a, b = boxes
    (b / "cur/y").write_bytes(b"other")
    with pytest.raises(StoreError) as caught:
        make_links(str(a), str(b), PAIRS)
    assert caught.value.kind is ErrorKind.INTERNAL
    assert (b / "cur/y").read_bytes() == b"other"
    assert not (b / "cur/x").exists()


def test_a_full_disk_is_told_as_such(
    boxes: tuple[Path, Path], monkeypatch: pytest.MonkeyPatch
) -> None:
    a, b = boxes

    def full(fd: int) -> None:
        raise OSError(errno.ENOSPC, os.strerror(errno.ENOSPC))

    monkeypatch.setattr("mox.store.linking.os.fsync", full)
    with pytest.raises(StoreError) as caught:
        make_links(str(a), str(b), PAIRS)
    assert caught.value.kind is ErrorKind.DISK_FULL
    assert list((b / "cur").iterdir()) == []


def test_a_directory_in_the_place_of_ours_is_noticed(boxes: tuple[Path, Path]) -> None:
    a, b = boxes
    links = make_links(str(a), str(b), PAIRS)
    b.rename(b.with_name("c"))
    with pytest.raises(Moved):
        links.check_place(str(b))
    (b / "cur").mkdir(parents=True)
    with pytest.raises(Moved):
        links.check_place(str(b))
    links.check_place(str(b.with_name("c")))
    links.take_back()
    assert list((b.with_name("c") / "cur").iterdir()) == []
    links.close()


@pytest.mark.parametrize("number", [errno.EMLINK, errno.EXDEV])
def test_a_file_with_too_many_names_is_copied(
    store: Store, spool: MakeSpool, monkeypatch: pytest.MonkeyPatch, number: int
) -> None:
    def refuse(*_args: object, **_options: object) -> None:
        raise OSError(number, os.strerror(number))

    account = store.account("mjl")
    inbox, archive = account.mailbox_id("INBOX"), account.mailbox_id("Archive")
    assert inbox is not None
    assert archive is not None
    account.append(inbox, [NewMessage(spool(b"Subject: x\r\n\r\nbody\r\n"), (0, 0))])
    monkeypatch.setattr("mox.store.linking.os.link", refuse)
    account.copy(inbox, [1], archive)
    assert account.read(archive, 1) == account.read(inbox, 1)
    directories = [account.directory(box) for box in (inbox, archive)]
    paths = [
        f"{directory}/{account.path(box, 1)}"
        for directory, box in zip(directories, (inbox, archive), strict=True)
    ]
    assert not os.path.samefile(*paths)
    assert os.listdir(f"{directories[1]}/tmp") == []
