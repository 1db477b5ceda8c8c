"""What is in a mailbox's directory, and how that differs from what the index says.

All of it blocks, and runs in the thread pool.
"""

from __future__ import annotations

import contextlib
import errno
import os
import stat
import time
from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass, field

from gevent import monkey

from mox.message import index_facts
from mox.store import maildir, messages

# gevent's takes longer than reading a file: it looks whether someone waits for the descriptor.
close_file: Callable[[int], None] = monkey.get_original("os", "close")

# A directory changed this recently may change again without a new mtime (clock tick).
TICK_NS = 20_000_000


@dataclass(slots=True)
class Listing:
    """What a mailbox's directory held, and when its parts were last changed (ns; 0 unsure)."""

    paths: set[str]
    new_mtime: int
    cur_mtime: int
    recorded: tuple[int, int] = (0, 0)  # what the index had for these before
    removals: Sequence[int] = ()  # modseqs of those that it had under way before


@dataclass(slots=True)
class Adopted:
    """A file that is to become a message."""

    incoming: messages.Incoming
    keyword_bits: int


@dataclass(slots=True)
class Difference:
    """What the files say that the index does not."""

    renamed: list[tuple[int, str]] = field(default_factory=list)  # uid, new path
    unknown: list[str] = field(default_factory=list)  # paths
    gone: list[tuple[int, str]] = field(default_factory=list)  # uid, path in the index

    def __bool__(self) -> bool:
        return bool(self.renamed or self.unknown or self.gone)


def mtimes(directory: str) -> tuple[int, int]:
    """mtime of new/ and cur/ in ns; raises OSError."""
    return (
        os.stat(f"{directory}/new").st_mtime_ns,
        os.stat(f"{directory}/cur").st_mtime_ns,
    )


def mtimes_in(directory: int) -> dict[str, int]:
    """The same of a descriptor."""
    return {sub: os.stat(sub, dir_fd=directory).st_mtime_ns for sub in ("new", "cur")}


def list_mailbox(directory: str) -> Listing:
    """List new/ before cur/: a message that moves meanwhile shows up at least once."""
    settled = time.time_ns() - TICK_NS
    new_mtime, cur_mtime = mtimes(directory)
    paths = {f"new/{name}" for name in os.listdir(f"{directory}/new") if name[0] != "."}
    paths.update(f"cur/{name}" for name in os.listdir(f"{directory}/cur") if name[0] != ".")
    return Listing(
        paths,
        new_mtime if new_mtime < settled else 0,
        cur_mtime if cur_mtime < settled else 0,
    )


def compare(known: dict[str, int], present: set[str]) -> Difference:
    """Compare the index's paths (with their uids) with the directory's."""
    difference = Difference()
    unknown = present - known.keys()
    missing = {maildir.split_name(path[4:])[0]: path for path in known.keys() - present}
    if missing and unknown:
        for path in sorted(unknown):
            old = missing.pop(maildir.split_name(path[4:])[0], None)
            if old is None:
                difference.unknown.append(path)
            else:
                difference.renamed.append((known[old], path))
    else:
        difference.unknown = sorted(unknown)
    difference.gone = [(known[path], path) for path in missing.values()]
    return difference


def adopt_files(
    directory: str, paths: Iterable[str], quarantine: str
) -> tuple[list[Adopted], list[str]]:
    """Read the files that are to become messages; broken ones go to the quarantine."""
    adopted: list[Adopted] = []
    broken: list[str] = []
    for path in paths:
        found = read_regular(f"{directory}/{path}")
        if found is None:
            continue
        stated = maildir.stated_size(maildir.split_name(path[4:])[0])
        if stated is None or stated == len(found[0]):
            adopted.append(_adopt(path, *found))
            continue
        with contextlib.suppress(FileNotFoundError):  # renamed meanwhile: found the next time
            os.makedirs(quarantine, mode=0o700, exist_ok=True)
            os.rename(f"{directory}/{path}", f"{quarantine}/{path[4:]}")
            broken.append(path[4:])
    return adopted, broken


def _adopt(path: str, content: bytes, modified: int) -> Adopted:
    text = maildir.split_name(path[4:])[1]
    lines = content.count(b"\n")
    wire = lines > 0 and content.count(b"\r\n") == lines
    facts = index_facts(content, wire=wire)
    flags, bits = maildir.parse_letters(text)
    incoming = messages.Incoming(
        path, modified, 0, facts.size, messages.kept(facts), flags=flags, wire=wire
    )
    return Adopted(incoming, bits)


def read_regular(path: str) -> tuple[bytes, int] | None:
    """Content and mtime (s) of a regular file; None for anything else or one that has gone."""
    try:
        fd = os.open(path, os.O_RDONLY | os.O_NOFOLLOW | os.O_NONBLOCK | os.O_CLOEXEC)
    except OSError as e:
        if e.errno in (errno.ENOENT, errno.ELOOP, errno.EACCES, errno.ENXIO):
            return None
        raise
    try:
        status = os.fstat(fd)
        if not stat.S_ISREG(status.st_mode):
            return None
        with open(fd, "rb", closefd=False) as f:
            return f.read(), int(status.st_mtime)
    finally:
        os.close(fd)


def read_by_base(directory: str, base: str) -> bytes | None:
    """The content of the file with this base, wherever in the mailbox it is; None: nowhere.

    Nowhere is also what a directory says that is being renamed or has been removed.
    """
    for sub in ("cur", "new"):
        try:
            names = os.listdir(f"{directory}/{sub}")
        except FileNotFoundError:
            continue
        for name in names:
            if maildir.split_name(name)[0] == base:
                found = read_regular(f"{directory}/{sub}/{name}")
                return None if found is None else found[0]
    return None


def paths_of_bases(directory: str, bases: set[str]) -> list[str]:
    """The paths of the mailbox's files that have one of these base names."""
    return [
        f"{sub}/{name}"
        for sub in ("new", "cur")
        for name in os.listdir(f"{directory}/{sub}")
        if maildir.split_name(name)[0] in bases
    ]


def unlink_in(directory: int, paths: Sequence[str]) -> list[str]:
    """The same below a descriptor; those that were gone."""
    missing: list[str] = []
    for path in paths:
        try:
            os.unlink(path, dir_fd=directory)
        except FileNotFoundError:
            missing.append(path)
    return missing


def unlink_files(directory: str, paths: Sequence[str]) -> None:
    """Remove files; one that is gone already is as good."""
    for path in paths:
        try:
            os.unlink(f"{directory}/{path}")
        except FileNotFoundError:
            continue
