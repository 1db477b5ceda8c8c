"""Contents of messages whose files may not be durable yet: a journal in the index.

A message that comes in would have its sender wait for the disk three times: for its file, for the
directory, for the index. So the transaction that gives it its records takes its content along, and
with the commit all is on stable storage. The file is in place by then, but nobody has waited for
it: files are made durable later, many at once, and their contents forgotten (settling.py). Those
that a crash of the machine took are written again from here.

    seq → account, mailbox, uid, time, length, and the beginning of the content
    seq + 1, … → its continuation

Pieces are so small that two fill a page: what is larger needs pages in a row, which LMDB has to
look for.
"""

from __future__ import annotations

import struct
import time
from collections.abc import Iterator
from typing import TYPE_CHECKING, Final, cast

from mox.store.records import KEY_AMU, KEY_SEQ

if TYPE_CHECKING:
    import lmdb

    from mox.store.committer import WriteTxn
    from mox.store.durable import FileWrite
    from mox.store.env import Databases

# A larger content costs more as a part of the index than its file does to be waited for.
LARGEST: Final = 32 << 10
# Pieces, about 64 MB. While there are more, files are waited for.
MOST_PIECES: Final = 32 << 10

# KEY_AMU of the message, when it was kept (seconds since the epoch), octets of its content.
_HEAD: Final = struct.Struct(">12sQI")
_PIECE: Final = 2000
# No sequence number is given twice, also when the journal was empty in between: they begin with
# the number of the transaction.
_BITS: Final = 16
# So far the clock may be set back without a message being taken for older than it is.
_SLACK_S: Final = 60


def keep(write: WriteTxn, account_id: int, mailbox_id: int, uid: int, file: FileWrite) -> None:
    """Keep the content of a message's file with its records, if nobody has waited for the file."""
    if not file.in_journal or file.parts is None:
        return
    content = b"".join(file.parts)
    key = KEY_AMU.pack(account_id, mailbox_id, uid)
    octets = _HEAD.pack(key, int(time.time()), len(content)) + content
    with write.txn.cursor(db=write.dbs.journal) as cursor:
        seq = write.txn.id() << _BITS
        if cursor.last():
            seq = max(seq, KEY_SEQ.unpack(cursor.key())[0] + 1)
        pieces = range(0, len(octets), _PIECE)
        cursor.putmulti(
            [(KEY_SEQ.pack(seq + i), octets[at : at + _PIECE]) for i, at in enumerate(pieces)],
            append=True,
        )


def has_room(txn: lmdb.Transaction, dbs: Databases) -> bool:
    """Whether there is space for more."""
    return bool(txn.stat(db=dbs.journal)["entries"] < MOST_PIECES)


def last(txn: lmdb.Transaction, dbs: Databases) -> int | None:
    """The last number in use; None when the journal is empty."""
    with txn.cursor(db=dbs.journal) as cursor:
        return KEY_SEQ.unpack(cursor.key())[0] if cursor.last() else None


def messages(txn: lmdb.Transaction, dbs: Databases) -> Iterator[bytes]:
    """Yield the messages that there are, as KEY_AMU, oldest first."""
    with txn.cursor(db=dbs.journal) as cursor:
        there = cursor.first()
        while there:
            key, _, length = _HEAD.unpack_from(cursor.value())
            yield key
            seq = KEY_SEQ.unpack(cursor.key())[0]
            there = cursor.set_range(KEY_SEQ.pack(seq + _count(length)))


def contents(txn: lmdb.Transaction, dbs: Databases) -> Iterator[tuple[bytes, bytes]]:
    """Yield the messages with their contents."""
    with txn.cursor(db=dbs.journal) as cursor:
        pieces = cast("Iterator[bytes]", cursor.iternext(keys=False, values=True))
        for piece in pieces:
            key, _, length = _HEAD.unpack_from(piece)
            rest = (next(pieces) for _ in range(_count(length) - 1))
            yield key, b"".join((piece[_HEAD.size :], *rest))


def durable_before(txn: lmdb.Transaction, dbs: Databases, now: int) -> int | None:
    """Messages saved before this time (seconds) have durable files; None: all have.

    To look for each message would take milliseconds while many come in.
    """
    with txn.cursor(db=dbs.journal) as cursor:
        if not cursor.first():
            return None
        oldest: int = _HEAD.unpack_from(cursor.value())[1]
    # The clock was set back: nobody knows.
    return 0 if oldest > now else oldest - _SLACK_S


def forget(last_seq: int, most: int, write: WriteTxn) -> int:
    """Delete messages up to a number, until about so many pieces are gone; how many that were."""
    count = 0
    with write.txn.cursor(db=write.dbs.journal) as cursor:
        there = cursor.first()
        while there and count < most and KEY_SEQ.unpack(cursor.key())[0] <= last_seq:
            pieces = _count(_HEAD.unpack_from(cursor.value())[2])
            for _ in range(pieces):
                cursor.delete()
            count += pieces
            there = bool(cursor.key())
    return count


def _count(length: int) -> int:
    """Of the pieces of a content."""
    return -(-(_HEAD.size + length) // _PIECE)
