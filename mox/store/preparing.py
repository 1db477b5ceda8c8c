"""What every way into a mailbox has in common: a message gets its name, its index facts, its file.

Paths are chosen before the transaction; what raced with a rename is tried again with fresh ones.
"""

from __future__ import annotations

import os
from collections.abc import Callable
from dataclasses import dataclass
from typing import TYPE_CHECKING, TypeVar

import gevent

from mox.message import index_facts
from mox.message.windowed import Windowed
from mox.store import journal, maildir, messages
from mox.store.durable import FileWrite, space_error, write_all
from mox.store.errors import ErrorKind, Moved, StoreError
from mox.store.spool import Spool

if TYPE_CHECKING:
    from mox.store.store import Store

T = TypeVar("T")

# A path is chosen before the transaction; whoever renames meanwhile makes us look again. Between
# the renaming of a directory and its commit nothing can be written there: pauses in seconds.
# Together as long as the keeper lets pass before it takes back a rename that was cut short.
_PAUSES_S = (0.0, 0.01, 0.03, 0.1, 0.3, 1.0, 3.0, 6.0)


@dataclass(slots=True)
class Prepared:
    """A message that has a name and its index facts, not yet a mailbox.

    `octets` are its beginning; a large one goes on with what is in `spool`.
    """

    octets: bytes
    spool: Spool | None
    size: int
    base: str
    wire_size: int
    facts: messages.Kept


def prepare(store: Store, prefix: bytes, spool: Spool) -> Prepared:
    prefix = prefix.replace(b"\r\n", b"\n")
    if spool.is_large:
        return _prepare_large(prefix, spool)
    octets = b"".join((prefix, spool.stored()))
    facts = index_facts(octets, wire=False)
    base = maildir.base_name(len(octets), facts.size)
    return Prepared(octets, None, len(octets), base, facts.size, messages.kept(facts))


def _prepare_large(prefix: bytes, spool: Spool) -> Prepared:
    """Look at a message through a window: it is not in memory as a whole."""
    octets = spool.octets()
    size = len(prefix) + len(octets)

    def read(at: int, length: int) -> bytes:
        head = prefix[at : at + length]
        rest = length - len(head)
        start = max(at - len(prefix), 0)
        return head + octets[start : start + rest] if rest else head

    facts = index_facts(Windowed(size, read), wire=False)
    base = maildir.base_name(size, facts.size)
    return Prepared(prefix, spool, size, base, facts.size, messages.kept(facts))


def file_of(store: Store, directory: str, path: str, prepared: Prepared) -> FileWrite:
    """The file of a message; a large one is made durable here, off the committer's thread."""
    tmp = os.path.join(directory, "tmp", maildir.unique_name())
    final = os.path.join(directory, path)
    if prepared.spool is None:
        is_small = prepared.size <= journal.LARGEST
        return FileWrite(tmp, final, [prepared.octets], for_journal=is_small)
    store.pool.apply(_write_durable, (tmp, prepared.octets, prepared.spool))
    return FileWrite(tmp, final)


def _write_durable(path: str, prefix: bytes, spool: Spool) -> None:
    try:
        fd = os.open(path, os.O_WRONLY | os.O_CREAT | os.O_EXCL | os.O_CLOEXEC, 0o600)
        try:
            write_all(fd, [prefix])
            spool.copy_to(fd)
            os.fdatasync(fd)
        except OSError:
            os.unlink(path)
            raise
        finally:
            os.close(fd)
    except FileNotFoundError as e:
        raise Moved(str(e)) from e
    except OSError as e:
        raise space_error(e, path) from e


def retrying(operation: Callable[[], T]) -> T:
    """Again with fresh paths. Raises StoreError BUSY when the mailbox never came to rest."""
    for pause in _PAUSES_S:
        try:
            return operation()
        except Moved:
            gevent.sleep(pause)
    try:
        return operation()
    except Moved as e:
        text = "mailbox is being renamed or removed, try again"
        raise StoreError(ErrorKind.BUSY, text, e.detail) from e
