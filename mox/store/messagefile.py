"""The file of a message, read where the index has it or where something else has put it.

Flags are shown by renaming, other programs rename as well, mailboxes move, and a removed message is
kept for a while: reading looks again until the file is found, or is known to be gone.
"""

from __future__ import annotations

import os
from typing import IO, TYPE_CHECKING

import gevent

from mox.store import maildir, mailfiles, removing
from mox.store.errors import ErrorKind, MessageGone, StoreError
from mox.store.model import M_FLAGS, M_SIZE, MailboxId, StoredMessage
from mox.store.records import FILE_IS_WIRE

if TYPE_CHECKING:
    from mox.store.account import Account
    from mox.store.reading import Reader

# Larger files are read in the thread pool, so that the loop goes on.
_READ_INLINE = 256 << 10
# A mailbox that is being renamed is in between for milliseconds.
_READ_PAUSES_S = (0.005, 0.02, 0.1, 0.5, 1.0)


class MessageFiles:
    """The message files of an account."""

    __slots__ = ("_account", "_expunged", "_reader")

    def __init__(self, account: Account, reader: Reader) -> None:
        self._account = account
        self._reader = reader
        self._expunged = os.fspath(account.base / "expunged")

    def read(self, mailbox_id: MailboxId, uid: int) -> StoredMessage:
        """The octets of a message, also of one expunged a short while ago.

        Raises MessageGone when there is no file any more (then the index is mended).
        """
        for pause in _READ_PAUSES_S:
            path = self._reader.path(mailbox_id, uid)
            message = self._reader.message(mailbox_id, uid)
            if path is None or message is None:
                return self._read_expunged(mailbox_id, uid)
            directory = self._account.directory(mailbox_id)
            try:
                data = self._read_at(directory, path, message[M_SIZE])
            except OSError as e:
                detail = f"{path} of account {self._account.name}: {e}: check owner and mode"
                raise StoreError(ErrorKind.INTERNAL, "cannot read message", detail) from e
            if data is not None:
                return StoredMessage(data, bool(message[M_FLAGS] & FILE_IS_WIRE), message[M_SIZE])
            if self._account.store.renaming(self._account.id):
                gevent.sleep(pause)
            elif (directory, path) == (
                self._account.present_directory(mailbox_id),
                self._account.path(mailbox_id, uid),
            ):
                break
        self._account.mend(mailbox_id)
        raise MessageGone(uid)

    def open_file(self, mailbox_id: MailboxId, uid: int) -> IO[bytes] | None:
        """The file of a message, for who reads a large one bit by bit, to be closed by them.

        None when it is not where the index has it: read() finds it.
        """
        path = self._reader.path(mailbox_id, uid)
        directory = self._account.present_directory(mailbox_id)
        if path is None or directory is None:
            return None
        try:
            return open(f"{directory}/{path}", "rb", buffering=0)
        except FileNotFoundError:
            return None

    def _read_at(self, directory: str, path: str, size: int) -> bytes | None:
        try:
            return self._read_file(f"{directory}/{path}", size)
        except FileNotFoundError:
            # Its flags are being shown, or another program renamed it.
            base = maildir.split_name(path[4:])[0]
            return self._account.store.pool.apply(mailfiles.read_by_base, (directory, base))

    def _read_expunged(self, mailbox_id: MailboxId, uid: int) -> StoredMessage:
        record = self._reader.expunged(mailbox_id, uid)
        if record is None:
            raise MessageGone(uid)
        if record.moved_to is not None:
            return self.read(MailboxId(record.moved_to[0]), record.moved_to[1])
        file = f"{self._expunged}/{removing.expunged_name(mailbox_id, uid)}"
        data = self._account.store.pool.apply(
            _read_put_away, (file, self._account.directory(mailbox_id), record.base)
        )
        if data is None:
            raise MessageGone(uid)
        return StoredMessage(data, record.wire)

    def _read_file(self, path: str, size: int) -> bytes:
        if size > _READ_INLINE:
            return self._account.store.pool.apply(_read_all, (path,))
        return _read_all(path)


def _read_put_away(file: str, directory: str, base: str) -> bytes | None:
    """An expunged message: put away, or just being put away, or not yet."""
    for _ in range(3):
        try:
            return _read_all(file)
        except FileNotFoundError:
            data = mailfiles.read_by_base(directory, base)
            if data is not None:
                return data
    return None


def _read_all(path: str) -> bytes:
    fd = os.open(path, os.O_RDONLY | os.O_CLOEXEC)
    try:
        size = os.fstat(fd).st_size
        data = os.read(fd, size + 1)
        if len(data) != size:  # a very large file comes in pieces
            pieces = [data]
            while piece := os.read(fd, 1 << 20):
                pieces.append(piece)
            data = b"".join(pieces)
        return data
    finally:
        os.close(fd)
