"""One account: the object that shells and command-line tools work with."""

from __future__ import annotations

import os
from array import array
from collections.abc import Callable, Iterable, Iterator, Sequence
from functools import cached_property, partial
from pathlib import Path
from typing import IO, TYPE_CHECKING

import gevent

from mox.store import (
    adopting,
    appending,
    maildir,
    mailfiles,
    manyreading,
    messages,
    removing,
    summaries,
    sync,
    transferring,
)
from mox.store.account_txn import AccountTxn
from mox.store.annotations import copy_annotations
from mox.store.committer import WriteLater, WriteTxn
from mox.store.durable import space_error
from mox.store.errors import ErrorKind, Moved, StoreError
from mox.store.folders import Folders
from mox.store.history import History
from mox.store.messagefile import MessageFiles
from mox.store.model import (
    MAX_UID,
    Appended,
    Change,
    Copied,
    Expunged,
    Flag,
    FlagColumn,
    FlagOp,
    Mailbox,
    MailboxId,
    MessageTuple,
    ModSeq,
    NewMessage,
    Stored,
    StoredMessage,
    Usage,
)
from mox.store.reading import Reader, own_name
from mox.store.watch import FileWatch

if TYPE_CHECKING:
    from mox.junk.mailboxflags import MailboxFlags
    from mox.message import Summary
    from mox.store.columns import MessageColumns
    from mox.store.credentials import Credentials
    from mox.store.store import Store

# Putting away files after an expunge takes 10 µs each.
_REMOVAL_PAUSES_S = (0.002, 0.005, 0.01, 0.02, 0.04, 0.08)


class Account:
    """An account of the store. Get it from Store.account(); writing calls wait until durable."""

    def __init__(self, store: Store, account_id: int, name: str) -> None:
        self.store = store
        self.id = account_id
        self.name = name
        self.base = Path(store.data_dir, "accounts", name)
        self._root = os.fspath(self.base)
        self._expunged = f"{self._root}/expunged"
        self._quarantine = f"{self._root}/quarantine"
        self._reader = Reader(store.dbs, account_id)
        self._folders = Folders(store.dbs, store.committer, account_id, self.base)
        self._files = MessageFiles(self, self._reader)

    # ---- reading (see Reader for what they return)

    def mailboxes(self) -> list[Mailbox]:
        """All mailboxes, sorted by name, INBOX first; folders made by other programs included."""
        self.adopt_folders()
        return self._reader.mailboxes()

    def mailbox(self, name: str) -> Mailbox | None:
        """The mailbox of this name; INBOX in any case."""
        return self._reader.mailbox(name)

    def mailbox_id(self, name: str) -> MailboxId | None:
        """The id of the mailbox of this name, for who needs nothing else of it."""
        return self._reader.mailbox_id(name)

    def mailbox_by_id(self, mailbox_id: MailboxId) -> Mailbox | None:
        return self._reader.mailbox_by_id(mailbox_id)

    def subscriptions(self) -> list[str]:
        return self._reader.subscriptions()

    @cached_property
    def created(self) -> int:
        """When the account got its index, seconds since the epoch; never changes."""
        return self._reader.record().created

    def usage(self) -> Usage:
        return self._reader.usage()

    def modseq(self) -> ModSeq:
        return self._reader.modseq()

    def uids(self, mailbox_id: MailboxId) -> array[int]:
        return self._reader.uids(mailbox_id)

    def removals(self, mailbox_id: MailboxId) -> list[int]:
        return self._reader.removals(mailbox_id)

    def columns(self, mailbox_id: MailboxId) -> MessageColumns:
        return self._reader.columns(mailbox_id)

    def flag_column(self, mailbox_id: MailboxId) -> FlagColumn | None:
        return self._reader.flag_column(mailbox_id)

    def mailbox_modseq(self, mailbox_id: MailboxId) -> int:
        """HIGHESTMODSEQ of a mailbox, 0 when there is no such mailbox."""
        state = self._reader.mailbox_state(mailbox_id)
        return 0 if state is None else int(state.modseq)

    def scan(
        self, mailbox_id: MailboxId, first: int = 1, last: int = MAX_UID
    ) -> Iterable[MessageTuple]:
        return self._reader.scan(mailbox_id, first, last)

    def message(self, mailbox_id: MailboxId, uid: int) -> MessageTuple | None:
        return self._reader.message(mailbox_id, uid)

    def overviews(self, email_ids: Sequence[int]) -> list[tuple[bytes, bytes] | None]:
        return self._reader.overviews(email_ids)

    def packed_overviews(self, email_ids: Sequence[int]) -> list[bytes | None]:
        return self._reader.packed_overviews(email_ids)

    def summaries(
        self, mailbox_id: MailboxId, messages: Sequence[MessageTuple], pace: Callable[[], None]
    ) -> list[Summary]:
        return summaries.summaries(self, mailbox_id, messages, pace)

    def changes(self, after: int) -> list[Change]:
        return self._reader.changes(after)

    def vanished(self, mailbox_id: MailboxId, after: int) -> list[tuple[int, int]]:
        return self._reader.vanished(mailbox_id, after)

    def select(self, mailbox_id: MailboxId, uids: Sequence[int]) -> list[MessageTuple]:
        """The records of these ascending uids; those that do not exist are left out."""
        if len(uids) < 16:
            found = (self._reader.message(mailbox_id, uid) for uid in uids)
            return [message for message in found if message is not None]
        wanted = set(uids)
        return [m for m in self.scan(mailbox_id, uids[0], uids[-1]) if m[0] in wanted]

    def paths(self, mailbox_id: MailboxId, uids: Sequence[int]) -> list[str]:
        """Files of existing messages below the mailbox's directory."""
        found = self.packed_paths(mailbox_id, uids)
        if None in found:
            raise Moved("a message is gone")
        return [path.decode() for path in found if path is not None]

    def packed_paths(self, mailbox_id: MailboxId, uids: Sequence[int]) -> list[bytes | None]:
        return self._reader.packed_paths(mailbox_id, uids)

    def path(self, mailbox_id: MailboxId, uid: int) -> str | None:
        """The file of a message below the mailbox's directory; None when there is none."""
        return self._reader.path(mailbox_id, uid)

    def last_email_id(self) -> int:
        """The highest email id that a message of the account ever had."""
        last: int = self._reader.state().email_id
        return last

    def history(self, mailbox_id: MailboxId | None) -> History:
        """Questions about earlier mail, for messages that would go to this mailbox."""
        return History(self.store.dbs, self.id, mailbox_id)

    def uidvalidity(self, mailbox_id: MailboxId) -> int:
        mailbox = self._reader.mailbox_by_id(mailbox_id)
        if mailbox is None:
            raise StoreError(ErrorKind.NOT_FOUND, "no such mailbox")
        return mailbox.uidvalidity

    def read(self, mailbox_id: MailboxId, uid: int) -> StoredMessage:
        """The octets of a message, also of one expunged a short while ago.

        Raises MessageGone when there is no file any more (then the index is mended).
        """
        return self._files.read(mailbox_id, uid)

    def open_file(self, mailbox_id: MailboxId, uid: int) -> IO[bytes] | None:
        """The file of a message, for who reads a large one bit by bit, to be closed by them.

        None when it is not where the index has it: read() finds it.
        """
        return self._files.open_file(mailbox_id, uid)

    def read_many(
        self, mailbox_id: MailboxId, messages: Sequence[MessageTuple], *, head: bool = False
    ) -> Iterator[StoredMessage | None]:
        """The octets of messages of the mailbox, in order; None for what read() has to find.

        head: of a message, at least the header section; what follows may be cut off.
        """
        return manyreading.read_many(self, mailbox_id, messages, head=head)

    # ---- mailboxes

    def create_mailbox(self, name: str, special_use: Sequence[str] = ()) -> list[Mailbox]:
        """Create a mailbox and the parents it misses; all that were made, parents first."""
        return self._infos(self._folders.create(name, special_use))

    def delete_mailbox(self, mailbox_id: MailboxId) -> None:
        self._folders.delete(mailbox_id)

    def rename_mailbox(self, mailbox_id: MailboxId, new: str) -> list[Mailbox]:
        """Rename with children; returns mailboxes made for parents of the new name.

        RFC 9051 §6.3.6: INBOX stays, its messages move to the new mailbox.
        """
        mailbox = self._reader.mailbox_by_id(mailbox_id)
        if mailbox is None:
            raise StoreError(ErrorKind.NOT_FOUND, "no such mailbox")
        if mailbox.name != maildir.INBOX:
            return self._infos(self._folders.rename(mailbox_id, new))
        made = self._folders.create(new)
        self.move(mailbox_id, list(self.uids(mailbox_id)), made[-1])
        copy_annotations(self, mailbox_id, made[-1])
        return self._infos(made)

    def subscribe(self, name: str) -> None:
        self._folders.subscribe(name, True)

    def unsubscribe(self, name: str) -> None:
        self._folders.subscribe(name, False)

    def finish_intents(self) -> None:
        """Finish renames and removals of mailboxes that a crash cut short."""
        self._folders.finish_intents()

    def _infos(self, ids: Sequence[MailboxId]) -> list[Mailbox]:
        found = [self._reader.mailbox_by_id(mailbox_id) for mailbox_id in ids]
        return [mailbox for mailbox in found if mailbox is not None]

    def open_mailbox(self, name: str) -> tuple[MailboxId, str]:
        """Id and directory of a mailbox for a delivery; it is created when missing."""
        found = self._reader.mailbox_id(name)
        if found is not None:
            return found, self._folders.path(own_name(name))
        try:
            mailbox_id = self._folders.create(name)[-1]
        except StoreError as e:
            if e.kind is not ErrorKind.EXISTS:
                raise
            return self.open_mailbox(name)
        return mailbox_id, self.directory(mailbox_id)

    def directory(self, mailbox_id: MailboxId) -> str:
        """The directory of a mailbox as of now; raises StoreError NOT_FOUND.

        Never kept for later: another process may rename the mailbox at any time.
        """
        directory = self.present_directory(mailbox_id)
        if directory is None:
            raise StoreError(ErrorKind.NOT_FOUND, "no such mailbox")
        return directory

    def present_directory(self, mailbox_id: MailboxId) -> str | None:
        """The same, or None when there is no such mailbox any more."""
        name = self._reader.mailbox_name(mailbox_id)
        return None if name is None else self._folders.path(name)

    def restore_directory(self, mailbox_id: MailboxId) -> None:
        """Make the mailbox's directory again, where another program removed it or a part."""
        directory = self.present_directory(mailbox_id)
        if directory is None:
            return
        try:
            maildir.make_subdirectories(directory)
        except FileNotFoundError:
            self.mend(mailbox_id)
        except OSError as e:
            raise space_error(e, directory) from e

    # ---- messages

    def append(
        self,
        mailbox_id: MailboxId,
        new: Sequence[NewMessage],
        quota: int = 0,
        marks: MailboxFlags | None = None,
    ) -> Appended:
        """Add messages in one operation, all or none. marks: rules for their junk flags."""
        return appending.append(self, mailbox_id, new, quota, marks)[0]

    def replace(
        self,
        old: tuple[MailboxId, int],
        mailbox_id: MailboxId,
        new: NewMessage,
        quota: int = 0,
        marks: MailboxFlags | None = None,
    ) -> Appended:
        """Add a message and remove another one (its mailbox and uid), both or none."""
        appended, gone = appending.append(self, mailbox_id, [new], quota, marks, old)
        self._put_away(old[0], gone, [appended.modseq])
        return appended

    def store_flags(
        self,
        mailbox_id: MailboxId,
        uids: Sequence[int],
        op: FlagOp,
        flags: Flag,
        keywords: Sequence[str] = (),
        unchanged_since: int | None = None,
    ) -> Stored:
        """Change flags and keywords of the messages that exist among `uids`."""

        def change(write: WriteTxn) -> Stored:
            account = AccountTxn(write, self.id)
            mailbox = account.mailbox(mailbox_id)
            result = messages.store_flags(
                account, mailbox, uids, op, int(flags), tuple(keywords), unchanged_since
            )
            account.save()
            return result

        return self.store.committer.write(change)

    def copy(
        self,
        source: MailboxId,
        uids: Sequence[int],
        target: MailboxId,
        quota: int = 0,
        marks: MailboxFlags | None = None,
    ) -> Copied:
        return transferring.copy(self, source, uids, target, quota, marks, move=False)[0]

    def move(
        self,
        source: MailboxId,
        uids: Sequence[int],
        target: MailboxId,
        marks: MailboxFlags | None = None,
    ) -> Copied:
        (moved,) = self.move_pieces(source, [uids], target, marks)
        return moved

    def move_pieces(
        self,
        source: MailboxId,
        pieces: Iterable[Sequence[int]],
        target: MailboxId,
        marks: MailboxFlags | None = None,
    ) -> Iterator[Copied]:
        """The same for many messages, one commit for each piece; old names go at the end."""
        leftovers: list[removing.Leftovers] = []
        try:
            for uids in pieces:
                moved, left = transferring.copy(self, source, uids, target, 0, marks, move=True)
                leftovers.append(left)
                yield moved
        finally:
            if any(left.paths for left in leftovers):
                self.store.background(removing.remove_moved, self, source, leftovers)

    def expunge(self, mailbox_id: MailboxId, uids: Sequence[int] | None = None) -> Expunged:
        """Remove messages with \\Deleted, of `uids` or of the whole mailbox."""
        return self._expunge(mailbox_id, uids, deleted_only=True)

    def expunge_pieces(
        self, mailbox_id: MailboxId, pieces: Iterable[Sequence[int]]
    ) -> Iterator[Expunged]:
        """The same for many messages, one commit for each piece.

        Their files are put away at the end: while that goes on, commits take four times as long.
        """
        files: list[tuple[int, str]] = []
        modseqs: list[int] = []
        try:
            for uids in pieces:
                change = partial(removing.expunge_txn, self.id, mailbox_id, uids, True)
                gone, modseq = self.store.committer.write(change)
                files += gone
                modseqs.append(modseq)
                yield Expunged(tuple(uid for uid, _ in gone), modseq)
        finally:
            self._put_away(mailbox_id, files, modseqs)

    def remove(self, mailbox_id: MailboxId, uids: Sequence[int]) -> Expunged:
        """Remove messages, whatever their flags."""
        return self._expunge(mailbox_id, uids, deleted_only=False)

    def _expunge(
        self, mailbox_id: MailboxId, uids: Sequence[int] | None, *, deleted_only: bool
    ) -> Expunged:
        change = partial(removing.expunge_txn, self.id, mailbox_id, uids, deleted_only)
        files, modseq = self.store.committer.write(change)
        self._put_away(mailbox_id, files, [modseq])
        return Expunged(tuple(uid for uid, _ in files), modseq)

    def _put_away(
        self, mailbox_id: MailboxId, files: list[tuple[int, str]], modseqs: Sequence[int]
    ) -> None:
        if files:
            put_away, directory = removing.put_away, self._expunged
            self.store.background(put_away, self, directory, mailbox_id, files, modseqs)

    def claim_recent(self, mailbox_id: MailboxId) -> int:
        """The lowest uid that is \\Recent for the caller, and for no other session after it."""
        state = self._reader.mailbox_state(mailbox_id)
        if state is None:
            raise StoreError(ErrorKind.NOT_FOUND, "no such mailbox")
        if state.recent_from >= state.uidnext:
            return int(state.uidnext)

        def change(write: WriteTxn) -> int:
            account = AccountTxn(write, self.id)
            mailbox = account.mailbox(mailbox_id)
            first: int = mailbox.state.recent_from
            mailbox.state.recent_from = mailbox.state.uidnext
            account.save()
            return first

        return self.store.committer.write(change)

    def remove_by_base(self, mailbox_id: MailboxId, bases: set[str]) -> None:
        """Unlink files by their base names, whatever letters they have got. Blocks."""
        directory = self.present_directory(mailbox_id)
        if directory is not None:
            mailfiles.unlink_files(directory, mailfiles.paths_of_bases(directory, bases))

    # ---- credentials

    def credentials(self) -> Credentials | None:
        return self.store.credentials(self.id)

    def set_credentials(self, credentials: Credentials) -> None:
        self.store.set_credentials(self.id, credentials)

    # ---- other programs

    def refresh(self, mailbox_id: MailboxId, later: WriteLater | None = None) -> bool:
        """Notice files that other programs dropped, renamed or removed; whether any were.

        Costs two stats when the directory is as it was. later: as for mend().
        """
        state = self._reader.mailbox_state(mailbox_id)
        if state is None:
            return False
        directory = self.present_directory(mailbox_id)
        if directory is not None:
            for pause in _REMOVAL_PAUSES_S:
                try:
                    found = mailfiles.mtimes(directory)
                except OSError:
                    break
                if not self.removals(mailbox_id):
                    if found == (state.new_mtime, state.cur_mtime):
                        return False
                    break
                # Files of removed messages are being put away, by whichever process.
                gevent.sleep(pause)
                state = self._reader.mailbox_state(mailbox_id)
                if state is None:
                    return False
        return self.mend(mailbox_id, later)

    def mend(self, mailbox_id: MailboxId, later: WriteLater | None = None) -> bool:
        """Compare all files of a mailbox with the index; whether anything differed.

        later: what commits the note that nothing did, Store.later_write by default.
        """
        later = later or self.store.later_write
        return sync.compare_all(self, mailbox_id, self._quarantine, later)

    def is_known_to_agree(self, mailbox_id: MailboxId, mtimes: tuple[int, int]) -> bool:
        """Whether a full comparison of new/ and cur/ of these mtimes has been noted already."""
        state = self._reader.mailbox_state(mailbox_id)
        if state is None or state.scanned < 0:
            return False
        return (state.new_mtime, state.cur_mtime) == mtimes

    def look_at(self, mailbox_id: MailboxId, paths: set[str]) -> None:
        """Something happened to these paths of a watched mailbox (from inotify)."""
        sync.compare_some(self, mailbox_id, paths, self._quarantine)

    def watch_files(self, mailbox_id: MailboxId) -> FileWatch:
        """Notice other programs' changes within a second, until the watch is cancelled."""
        return self.store.file_watcher.watch(self, mailbox_id)

    def adopt_folders(self, later: WriteLater | None = None) -> None:
        """Make mailboxes for Maildir++ directories that another program made.

        later: what commits the note that there were none, Store.later_write by default.
        """
        later = later or self.store.later_write
        adopting.adopt(self.store.committer, self._folders, self._reader, later)
