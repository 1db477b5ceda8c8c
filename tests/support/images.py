"""A file system in an image, which can lose its power. Mounts need root.

What a file system has in memory only is not in its image: a copy of the image is what a disk has
after a loss of power.
"""

from __future__ import annotations

import subprocess
from pathlib import Path

from tests.support.server import eventually

SIZE = 1 << 30
# Journal commits of the file system would make durable what nobody has asked for.
OPTIONS = "loop,commit=600"


class Disk:
    """An image with ext4, mounted; without a journal nothing is written along with other things."""

    def __init__(self, directory: Path, *, has_journal: bool, size: int = SIZE) -> None:
        self.image = directory / "image"
        self.root = directory / "disk"
        self.root.mkdir()
        with self.image.open("wb") as file:
            file.truncate(size)
        journal = "has_journal" if has_journal else "^has_journal"
        _run("mkfs.ext4", "-q", "-O", journal, "-E", "lazy_itable_init=1", str(self.image))
        self.options = OPTIONS if has_journal else "loop"
        self.mount()

    def mount(self) -> None:
        _run("mount", "-o", self.options, str(self.image), str(self.root))

    def unmount(self) -> None:
        """Once the last process is gone."""
        words = ["umount", str(self.root)]
        eventually(lambda: subprocess.run(words, stderr=subprocess.DEVNULL).returncode == 0)

    def sync(self) -> None:
        _run("sync", "-f", str(self.root))

    def cut(self) -> None:
        """Lose what was not written yet; no process may use the file system any more."""
        after = self.image.with_suffix(".after")
        _run("cp", "--sparse=always", str(self.image), str(after))
        self.unmount()
        after.replace(self.image)
        # It says 1 when it has repaired something, which it has to without a journal.
        repaired = subprocess.run(["e2fsck", "-fy", str(self.image)], capture_output=True)
        assert repaired.returncode in (0, 1), repaired
        self.mount()


def _run(*words: str) -> None:
    subprocess.run(words, check=True, timeout=60)
