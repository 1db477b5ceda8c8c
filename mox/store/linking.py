"""Second names for the files of messages that are copied or moved.

Links are made before the transaction that gives them records, off the committer's thread: others
can commit meanwhile. What they point to is durable already, so that only the directory that they
are in has to be synced.
"""

from __future__ import annotations

import contextlib
import errno
import os
from collections.abc import Iterator, Sequence
from dataclasses import dataclass

from mox.store import maildir
from mox.store.durable import space_error, write_all
from mox.store.errors import Moved
from mox.store.mailfiles import close_file

_PIECE = 1 << 20


@dataclass(slots=True)
class Links:
    """Files in the cur/ of a mailbox that have no records yet."""

    directory: int  # descriptor of that cur/
    names: list[str]
    times: tuple[int, int]  # mtime of the directory before and after, ns

    def take_back(self) -> None:
        """Remove what is there of them. Blocks."""
        for name in self.names:
            with contextlib.suppress(OSError):
                os.unlink(name, dir_fd=self.directory)

    def close(self) -> None:
        close_file(self.directory)

    def check_place(self, directory: str) -> None:
        """Raises Moved when that mailbox directory has another cur/ by now."""
        try:
            there = os.stat(f"{directory}/cur")
        except OSError as e:
            raise Moved(str(e)) from e
        if not os.path.samestat(there, os.fstat(self.directory)):
            raise Moved(f"{directory} is another directory now")


def make_links(
    source: str, target: str, pairs: Sequence[tuple[str, str]], keywords: Sequence[str] = ()
) -> Links:
    """Give files second names, durable: paths below `source` and below `target`, there in cur/.

    keywords: those of the target, where names show some. Blocks. Raises StoreError, Moved where
    something is not where it was; then nothing is left.
    """
    try:
        with opened(source) as source_fd:
            cur = os.open(f"{target}/cur", os.O_RDONLY | os.O_DIRECTORY | os.O_CLOEXEC)
            links = Links(cur, [], (0, 0))
            try:
                if keywords:
                    maildir.keep_keyword_file(target, keywords)
                _fill(links, source_fd, target, pairs)
            except BaseException:
                links.take_back()
                links.close()
                raise
    except OSError as e:
        if e.errno == errno.ENOENT:
            raise Moved(str(e)) from e
        raise space_error(e, target) from e
    return links


@contextlib.contextmanager
def opened(directory: str) -> Iterator[int]:
    """A descriptor of a directory, for names below it."""
    fd = os.open(directory, os.O_PATH | os.O_DIRECTORY | os.O_CLOEXEC)
    try:
        yield fd
    finally:
        close_file(fd)


def _fill(links: Links, source: int, target: str, pairs: Sequence[tuple[str, str]]) -> None:
    cur = links.directory
    before = os.fstat(cur).st_mtime_ns
    for old, new in pairs:
        name = new[4:]
        try:
            os.link(old, name, src_dir_fd=source, dst_dir_fd=cur, follow_symlinks=False)
        except OSError as e:
            # RFC 9051 §6.4.7: that a file has 65,000 names already is no reason to refuse.
            if e.errno not in (errno.EMLINK, errno.EXDEV):
                raise
            _copy(source, old, target, cur, name)
        links.names.append(name)
    links.times = before, os.fstat(cur).st_mtime_ns
    os.fsync(cur)


def _copy(source: int, old: str, target: str, cur: int, name: str) -> None:
    """Make a file with the same content, where there cannot be another link."""
    tmp = os.path.join(target, "tmp", maildir.unique_name())
    flags = os.O_RDONLY | os.O_NOFOLLOW | os.O_CLOEXEC
    with open(os.open(old, flags, dir_fd=source), "rb") as content, _created(tmp) as fd:
        while piece := content.read(_PIECE):
            write_all(fd, [piece])
        os.fdatasync(fd)
        os.rename(tmp, name, dst_dir_fd=cur)


@contextlib.contextmanager
def _created(path: str) -> Iterator[int]:
    """A new file; it is removed when something fails."""
    fd = os.open(path, os.O_WRONLY | os.O_CREAT | os.O_EXCL | os.O_CLOEXEC, 0o600)
    try:
        yield fd
    except BaseException:
        with contextlib.suppress(OSError):
            os.unlink(path)
        raise
    finally:
        close_file(fd)
