"""A server in a mount namespace of its own, on small file systems that tests may fill."""

from __future__ import annotations

import contextlib
import os
import subprocess
from collections.abc import Iterator, Sequence
from pathlib import Path

from tests.support.server import Server

# Not root: a user namespace in which we are.
_UNSHARE = ["unshare", "--mount"] if os.geteuid() == 0 else ["unshare", "--mount", "-r"]
_ENTER = [] if os.geteuid() == 0 else ["--user", "--preserve-credentials"]


class Confinement:
    """A mount namespace, held by a process that waits."""

    def __init__(self) -> None:
        self.holder = subprocess.Popen(
            [*_UNSHARE, "sh", "-c", "echo; exec cat"],
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
        )
        assert self.holder.stdout is not None
        assert self.holder.stdout.readline() == b"\n"

    def close(self) -> None:
        self.holder.kill()
        self.holder.communicate()

    def words(self, *words: str) -> list[str]:
        """A command within the namespace."""
        return ["nsenter", "-t", str(self.holder.pid), "--mount", *_ENTER, *words]

    def run(self, *words: str) -> None:
        subprocess.run(self.words(*words), check=True, timeout=60)

    def tmpfs(self, path: Path, octets: int) -> None:
        """Mount an empty file system on a directory that is there within the namespace."""
        self.run("mount", "-t", "tmpfs", "-o", f"size={octets},mode=0770", "tmpfs", str(path))

    def resize(self, path: Path, octets: int) -> None:
        self.run("mount", "-o", f"remount,size={octets}", str(path))

    def outside(self, path: Path) -> Path:
        """How a path within the namespace is reached from without."""
        return Path(f"/proc/{self.holder.pid}/root{path}")


class ConfinedServer(Server):
    """`directory` is as seen from the test; the server sees the same files as `inner`."""

    def __init__(self, confinement: Confinement, inner: Path, log: Path) -> None:
        super().__init__(confinement.outside(inner))
        self.confinement = confinement
        self.inner = inner
        self.log_path = log

    def command(self, *words: str) -> list[str]:
        return self.confinement.words(*super().command(*words))

    def _localserve(self) -> Sequence[str]:
        words = ["localserve", "-dir", str(self.inner)]
        if not self.directory.exists():
            words += ["-port-offset", str(self.offset)]
        return words


@contextlib.contextmanager
def confined() -> Iterator[Confinement]:
    confinement = Confinement()
    try:
        yield confinement
    finally:
        confinement.close()
