"""Reading the files of many messages in a row.

What is in the page cache is read at once: that takes microseconds, a change of threads more. What
is not would stop all connections until the disk has it, so that goes to a thread of the pool,
many files at a time.
"""

from __future__ import annotations

import os
from collections.abc import Callable, Iterator, Sequence
from typing import TYPE_CHECKING, Final

from mox.message import has_separator
from mox.store.mailfiles import close_file
from mox.store.model import M_FLAGS, M_SIZE, M_UID, StoredMessage
from mox.store.records import FILE_IS_WIRE

if TYPE_CHECKING:
    from mox.store.account import Account
    from mox.store.model import MailboxId, MessageTuple

# Octets that are read before the first is used.
_AHEAD: Final = 512 << 10
# Larger messages are left to Account.read.
_MOST: Final = 256 << 10
# Octets that nearly all header sections fit in.
_HEAD: Final = 8 << 10

_FLAGS: Final = os.O_RDONLY | os.O_CLOEXEC


# Path below the mailbox's directory and record of a message to be read; None: not here.
_Wanted = tuple[bytes, "MessageTuple"] | None


class _Cold(Exception):
    """A file is not in the page cache, or the file system does not tell."""


def read_many(
    account: Account, mailbox_id: MailboxId, messages: Sequence[MessageTuple], *, head: bool = False
) -> Iterator[StoredMessage | None]:
    """Yield the octets of existing messages, in order; None for what Account.read has to find.

    head: of a message, at least the header section; what follows may be cut off.
    """
    paths = account.packed_paths(mailbox_id, [message[M_UID] for message in messages])
    directory = account.present_directory(mailbox_id)
    wanted: list[_Wanted] = []
    ahead = 0
    for path, message in zip(paths, messages, strict=True):
        octets = _HEAD if head else message[M_SIZE]
        if path is None or octets > _MOST:
            wanted.append(None)
            continue
        if ahead + octets > _AHEAD:
            yield from _read(account, directory, wanted, head)
            wanted, ahead = [], 0
        wanted.append((path, message))
        ahead += octets
    yield from _read(account, directory, wanted, head)


def _read(
    account: Account, directory: str | None, wanted: list[_Wanted], head: bool
) -> list[StoredMessage | None]:
    nothing: list[StoredMessage | None] = [None] * len(wanted)
    if directory is None or not any(wanted):
        return nothing
    try:
        fd = os.open(directory, os.O_PATH | os.O_DIRECTORY | os.O_CLOEXEC)
    except OSError:
        return nothing  # Account.read finds out what is the matter
    found: list[StoredMessage | None] = []
    try:
        _read_files(fd, wanted, _take_cached, head, found)
    except _Cold:
        rest = wanted[len(found) :]
        account.store.pool.apply(_read_files, (fd, rest, os.read, head, found))
    finally:
        os.close(fd)
    return found


def _read_files(
    directory: int,
    wanted: Sequence[_Wanted],
    take: Callable[[int, int], bytes],
    head: bool,
    found: list[StoredMessage | None],
) -> None:
    """Append to `found`. Raises _Cold where _take_cached did not get all."""
    for each in wanted:
        if each is None:
            found.append(None)
            continue
        path, message = each
        try:
            fd = os.open(path, _FLAGS, dir_fd=directory)
        except OSError:
            found.append(None)  # renamed, for example
            continue
        try:
            data = take(fd, _HEAD if head else message[M_SIZE] + 1)
        except OSError:
            data = b""
        finally:
            close_file(fd)
        stored = _head(data, message) if head else _whole(data, message)
        if stored is None and take is _take_cached:
            raise _Cold
        found.append(stored)


def _take_cached(fd: int, octets: int) -> bytes:
    """As much as the page cache has; raises OSError for nothing, and where nobody can tell."""
    buffer = bytearray(octets)
    count = os.preadv(fd, (buffer,), 0, os.RWF_NOWAIT)
    return bytes(memoryview(buffer)[:count])


def _whole(data: bytes, message: MessageTuple) -> StoredMessage | None:
    """The message in wire form, if that is all of it."""
    if not message[M_FLAGS] & FILE_IS_WIRE:
        data = data.replace(b"\n", b"\r\n")
    size = message[M_SIZE]
    return StoredMessage(data, True, size) if len(data) == size else None


def _head(data: bytes, message: MessageTuple) -> StoredMessage | None:
    """The beginning of the message, if that has the header section."""
    wire = bool(message[M_FLAGS] & FILE_IS_WIRE)
    if not has_separator(data, wire=wire):
        return None
    return StoredMessage(data, wire, message[M_SIZE])
