"""Index pages that were read do not stay with the process."""

from __future__ import annotations

import mmap
import os
from collections.abc import Callable
from pathlib import Path

import pytest

from mox.store import residence
from mox.store.residence import MANY_OCTETS, Residence, let_go_of, mapped_ranges

MAPS = """\
55d5a4c00000-55d5a4c21000 rw-p 00000000 00:00 0                          [heap]
7f0000000000-7f4000000000 r--s 00000000 fe:00 4711                       /srv/mail box/data.mdb
7f5000000000-7f5000001000 rw-s 00000000 fe:00 4712                       /srv/mail box/lock.mdb
7f6000000000-7f6000002000 r--p 00000000 fe:00 4711                       /srv/mail box/data.mdb
7f7000000000-7f7000001000 r--s 00000000 fe:00 4711                       /srv/mail box/data.mdb
7f8000000000-7f8000001000 r--s 00000000 fe:00 4713                       /srv/mail box/data.mdb-old
7f9000000000-7f9000001000 rw-p 00000000 00:00 0
"""


def test_the_places_of_a_file_are_found() -> None:
    found = list(mapped_ranges(MAPS.splitlines(keepends=True), "/srv/mail box/data.mdb"))
    assert found == [(0x7F0000000000, 0x7F4000000000), (0x7F7000000000, 0x7F7000001000)]


@pytest.fixture
def index(tmp_path: Path) -> Path:
    (tmp_path / "data.mdb").write_bytes(os.urandom(4 * MANY_OCTETS))
    return tmp_path


def resident(path: Path) -> int:
    """Octets of the file that this process has mapped and read."""
    lines = iter(Path("/proc/self/smaps").read_text().splitlines())
    total = 0
    for line in lines:
        if line.endswith(f" {path}"):
            size = next(each for each in lines if each.startswith("Rss:"))
            total += int(size.split()[1]) << 10
    return total


def test_pages_that_were_read_are_let_go_and_read_again(index: Path) -> None:
    path = index / "data.mdb"
    with path.open("rb") as file, mmap.mmap(file.fileno(), 0, access=mmap.ACCESS_READ) as mapped:
        content = bytes(mapped)
        assert resident(path) == len(content)
        let_go_of(os.fspath(path))
        assert resident(path) == 0
        assert bytes(mapped) == content


def test_only_many_pages_are_let_go(index: Path) -> None:
    path, asked = index / "data.mdb", list[Callable[[], None]]()
    here = Residence(os.fspath(index), asked.append)
    try:
        with (
            path.open("rb") as file,
            mmap.mmap(file.fileno(), 0, access=mmap.ACCESS_READ) as mapped,
        ):
            here.look()
            assert not asked
            assert mapped[:]
            here.look()
            [let_go] = asked
            let_go()
            assert resident(path) == 0
            here.look()
            assert asked == [let_go], "there is nothing now"
            assert mapped[:]
            here.look()
            assert len(asked) == 2
    finally:
        here.close()


def test_what_fails_is_not_tried_every_five_seconds(
    index: Path, monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    octets, asked = [10 * MANY_OCTETS], list[Callable[[], None]]()
    monkeypatch.setattr(residence, "_file_octets", lambda: octets[0])
    monkeypatch.setattr(residence, "_MAPS", os.fspath(tmp_path / "maps"))
    here = Residence(os.fspath(index), asked.append)
    try:
        octets[0] += 2 * MANY_OCTETS
        here.look()
        with pytest.raises(FileNotFoundError):
            asked.pop()()
        here.look()
        assert not asked
    finally:
        here.close()


def test_without_proc_nothing_is_let_go(
    index: Path, monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    monkeypatch.setattr(residence, "_STATM", os.fspath(tmp_path / "statm"))
    here = Residence(os.fspath(index), lambda _: None)
    assert not here._timer.active
    here.close()


def test_pages_of_other_files_are_no_reason_to_look_again_and_again(
    index: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    octets, asked = [10 * MANY_OCTETS], list[Callable[[], None]]()
    monkeypatch.setattr(residence, "_file_octets", lambda: octets[0])
    here = Residence(os.fspath(index), asked.append)
    try:
        octets[0] += 2 * MANY_OCTETS
        here.look()
        asked.pop()()
        here.look()
        assert not asked
    finally:
        here.close()
