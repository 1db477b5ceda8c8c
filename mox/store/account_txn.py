"""One account inside a write transaction: its counters, mailboxes and change log.

Everything that changes an account goes through here, so that counters, modseqs and the log
cannot disagree. One AccountTxn is one operation and takes at most one modseq.
"""

from __future__ import annotations

import os
import time
from collections.abc import Iterable, Iterator, Sequence

from mox.junk.mailboxflags import JUNK_KEYWORD, NOT_JUNK_KEYWORD, MailboxFlags, Mark
from mox.store import history_txn, maildir, places, records, words
from mox.store.committer import WriteTxn
from mox.store.errors import ErrorKind, Moved, StoreError
from mox.store.many import delete_many, has_any, put_many
from mox.store.model import (
    FLAG_MASK,
    M_FLAGS,
    M_KEYWORDS,
    M_SIZE,
    MAX_KEYWORDS,
    MAX_UID,
    Change,
    ChangeKind,
    Flag,
    MailboxId,
    MessageTuple,
    ModSeq,
)
from mox.store.reading import mailbox_states, range_items
from mox.store.records import (
    ACCOUNT,
    HAS_ORIGIN,
    KEY_A,
    KEY_ACCOUNT_STATE,
    KEY_AM,
    KEY_AMQ,
    KEY_AMU,
    KEY_LOG,
    KEY_MAILBOX_STATE,
    KEY_STATES,
    LOG,
    MAILBOX,
    AccountState,
    MailboxState,
)

_SEEN = int(Flag.SEEN)
_DELETED = int(Flag.DELETED)

# How many operations the change log of an account reaches back at least.
KEEP_LOG = 10_000


class MailboxTxn:
    """A mailbox inside an AccountTxn: its record, counters and message records."""

    __slots__ = (
        "_junk",
        "_not_junk",
        "account",
        "id",
        "key",
        "record",
        "record_changed",
        "state",
        "state_key",
    )

    def __init__(self, account: AccountTxn, mailbox_id: MailboxId) -> None:
        self.account = account
        self.id = mailbox_id
        self.key = KEY_AM.pack(account.id, mailbox_id)
        self.state_key = KEY_MAILBOX_STATE.pack(account.id, MAILBOX, mailbox_id)
        write = account.write
        record = write.get(write.dbs.mailbox, self.key)
        state = write.get(write.dbs.state, self.state_key)
        if record is None or state is None:
            raise StoreError(ErrorKind.NOT_FOUND, "no such mailbox")
        self.record = records.decode_mailbox(record)
        self.record_changed = False
        self.state = MailboxState(state)
        self._find_verdicts()

    # ---- message records

    def get(self, uid: int) -> MessageTuple | None:
        with self.account.write.txn.cursor(db=self.account.write.dbs.message) as cursor:
            if not cursor.set_range_dup(self.key, KEY_A.pack(uid)):
                return None
            message = records.unpack_message(bytes(cursor.value()))
        return message if message[0] == uid else None

    def scan(self, first: int, last: int) -> Iterator[MessageTuple]:
        """The records of uids first to last, ascending."""
        with self.account.write.txn.cursor(db=self.account.write.dbs.message) as cursor:
            if cursor.set_range_dup(self.key, KEY_A.pack(first)):
                for value in cursor.iternext_dup(keys=False, values=True):
                    message = records.unpack_message(bytes(value))
                    if message[0] > last:
                        return
                    yield message

    def insert(self, message: MessageTuple) -> None:
        """Put a new record and count it."""
        write = self.account.write
        write.txn.put(self.key, records.pack_message(message), db=write.dbs.message)
        self._count(message, 1)
        if message[M_KEYWORDS]:
            self._train_later(message[0], 0, message[M_KEYWORDS])

    def replace(self, old: MessageTuple, new: MessageTuple) -> None:
        txn, db = self.account.write.txn, self.account.write.dbs.message
        txn.delete(self.key, records.pack_message(old), db=db)
        txn.put(self.key, records.pack_message(new), db=db)
        if (old[M_FLAGS] ^ new[M_FLAGS]) & (_SEEN | _DELETED):
            self._count_flags(old, -1)
            self._count_flags(new, 1)
        if old[M_KEYWORDS] != new[M_KEYWORDS]:
            if new[M_FLAGS] & HAS_ORIGIN:
                history_txn.reclassify(self, old, new)
            self._train_later(new[0], old[M_KEYWORDS], new[M_KEYWORDS])

    def remove(self, message: MessageTuple) -> None:
        """Take away the record with all that hangs on its uid; the caller sees to the file."""
        write, dbs = self.account.write, self.account.write.dbs
        if message[M_FLAGS] & HAS_ORIGIN:
            history_txn.remove(self, message)
        write.txn.delete(self.key, records.pack_message(message), db=dbs.message)
        places.delete(write, self.account.id, self.id, [message])
        key = KEY_AMU.pack(self.account.id, self.id, message[0])
        for db in (dbs.file, dbs.mirror):
            write.txn.delete(key, db=db)
        self._count(message, -1)
        if message[M_KEYWORDS]:
            self._train_later(message[0], message[M_KEYWORDS], 0)

    def insert_many(self, messages: Sequence[MessageTuple]) -> None:
        """Put new records and count them."""
        pack, key = records.pack_message, self.key
        put_many(
            self.account.write,
            self.account.write.dbs.message,
            [(key, pack(message)) for message in messages],
        )
        self._count_many(messages, 1)
        for message in messages:
            if message[M_KEYWORDS]:
                self._train_later(message[0], 0, message[M_KEYWORDS])

    def remove_many(self, messages: Sequence[MessageTuple]) -> None:
        """Take away records with all that hangs on their uids, as remove()."""
        write, dbs = self.account.write, self.account.write.dbs
        for message in messages:
            if message[M_FLAGS] & HAS_ORIGIN:
                history_txn.remove(self, message)
            if message[M_KEYWORDS]:
                self._train_later(message[0], message[M_KEYWORDS], 0)
        self._delete_records(messages)
        places.delete(write, self.account.id, self.id, messages)
        keys = [KEY_AMU.pack(self.account.id, self.id, message[0]) for message in messages]
        delete_many(write, dbs.file, keys)
        if has_any(write, dbs.mirror, self.key):
            delete_many(write, dbs.mirror, keys)
        self._count_many(messages, -1)

    def _train_later(self, uid: int, old_bits: int, new_bits: int) -> None:
        """Leave work for the content filter when the junk flags now say something else."""
        if self.verdict(old_bits) is not self.verdict(new_bits):
            write = self.account.write
            write.put(write.dbs.training, KEY_AMU.pack(self.account.id, self.id, uid), b"")

    def _delete_records(self, messages: Sequence[MessageTuple]) -> None:
        txn, db, key = self.account.write.txn, self.account.write.dbs.message, self.key
        with txn.cursor(db=db) as cursor:
            if cursor.set_key(key) and cursor.count() == len(messages):
                cursor.delete(dupdata=True)
                return
        pack = records.pack_message
        for message in messages:
            txn.delete(key, pack(message), db=db)

    def _count_many(self, messages: Sequence[MessageTuple], sign: int) -> None:
        state, account = self.state, self.account.state
        number, size = len(messages) * sign, sum(m[M_SIZE] for m in messages) * sign
        deleted = [m[M_SIZE] for m in messages if m[M_FLAGS] & _DELETED]
        state.messages += number
        state.size += size
        account.messages += number
        account.octets += size
        state.unseen += sum(not m[M_FLAGS] & _SEEN for m in messages) * sign
        state.deleted += len(deleted) * sign
        state.deleted_size += sum(deleted) * sign

    def _count(self, message: MessageTuple, sign: int) -> None:
        size = message[M_SIZE] * sign
        self.state.messages += sign
        self.state.size += size
        self.account.state.messages += sign
        self.account.state.octets += size
        self._count_flags(message, sign)

    def _count_flags(self, message: MessageTuple, sign: int) -> None:
        flags = message[M_FLAGS]
        if not flags & _SEEN:
            self.state.unseen += sign
        if flags & _DELETED:
            self.state.deleted += sign
            self.state.deleted_size += message[M_SIZE] * sign

    # ---- uids and keywords

    def next_uid(self) -> int:
        uid: int = self.state.uidnext
        if uid >= MAX_UID:
            raise StoreError(ErrorKind.LIMIT, "mailbox has no more uids")
        self.state.uidnext = uid + 1
        return uid

    def keyword_bits(self, keywords: tuple[str, ...], *, create: bool = True) -> int:
        """Bits for the keywords, compared without case; new ones enter the mailbox's table."""
        if not keywords:
            return 0
        table = [word.lower() for word in self.record.keywords]
        bits = 0
        for word in keywords:
            lower = word.lower()
            if lower not in table:
                if not create:
                    continue
                if len(table) >= MAX_KEYWORDS:
                    text = f"mailbox has {MAX_KEYWORDS} keywords already"
                    raise StoreError(ErrorKind.LIMIT, text)
                table.append(lower)
                self.set_record(keywords=(*self.record.keywords, word))
                self.account.log(ChangeKind.KEYWORDS, self)
            bits |= 1 << table.index(lower)
        return bits

    def marked(self, bits: int, marks: MailboxFlags | None) -> int:
        """Keyword bits of a message that enters the mailbox, with the junk flags for that."""
        mark = marks.mark(self.record.name, self.record.special_use) if marks else None
        if mark is None:
            return bits
        bits &= ~(self._junk | self._not_junk)
        if mark is Mark.NONE:
            return bits
        keyword = JUNK_KEYWORD if mark is Mark.JUNK else NOT_JUNK_KEYWORD
        try:
            return bits | self.keyword_bits((keyword,))
        except StoreError as e:
            if e.kind is not ErrorKind.LIMIT:
                raise
            return bits  # no room for more keywords: the message is worth more than its mark

    def set_record(self, **changes: object) -> None:
        fields = {name: getattr(self.record, name) for name in self.record.__struct_fields__}
        self.record = records.MailboxRecord(**(fields | changes))
        self.record_changed = True
        self._find_verdicts()

    def _find_verdicts(self) -> None:
        self._junk, self._not_junk = words.junk_bits(self.record.keywords)

    def verdict(self, keywords: int) -> bool | None:
        """Whether the user called a message with these keyword bits junk; None: no word of it."""
        is_junk, is_wanted = bool(keywords & self._junk), bool(keywords & self._not_junk)
        return None if is_junk == is_wanted else is_junk

    def note_own_files(self, sub: str, times: tuple[int, int] | None) -> None:
        """The files that we renamed into new/ or cur/ are no reason for a scan.

        times: the directory's mtime before and after, in ns.

        Only when the directory had the recorded time before; then it may be told apart from a
        change by another program (but for one at the very same moment: the keeper compares
        such mailboxes in full now and then).
        """
        before, after = times or (0, 0)
        recorded = self.state.new_mtime if sub == "new" else self.state.cur_mtime
        if before and recorded == before:
            self._set_mtime(sub, after)

    def removals_follow(self) -> None:
        """Files of what was removed are put away after the commit, which is no reason for a scan.

        Should we end before, the next look waits for it in vain and scans.
        """
        write = self.account.write
        write.put(write.dbs.removal, self._removal_key(self.account.modseq), b"")

    def note_removals(self, modseqs: Iterable[int], times: dict[str, tuple[int, int]]) -> None:
        """What was announced at these modseqs is done; times: as above, of each directory."""
        self.forget_removals(modseqs)
        for sub, each in times.items():
            self.note_own_files(sub, each)

    def forget_removals(self, modseqs: Iterable[int]) -> None:
        """Nobody need wait for these any more."""
        write = self.account.write
        delete_many(write, write.dbs.removal, map(self._removal_key, modseqs))

    def _removal_key(self, modseq: int) -> bytes:
        return KEY_AMQ.pack(self.account.id, self.id, modseq)

    def note_empty(self, times: tuple[int, int]) -> None:
        """The directories were just made and hold nothing; times: mtimes of new/ and cur/, ns."""
        self._set_mtime("new", times[0])
        self._set_mtime("cur", times[1])

    def _set_mtime(self, sub: str, mtime: int) -> None:
        if sub == "new":
            self.state.new_mtime = mtime
        else:
            self.state.cur_mtime = mtime
        self.state.scanned = -max(abs(self.state.scanned), 1)

    def recount(self) -> None:
        """Make the counters anew from the message records."""
        state = self.state
        state.messages = state.unseen = state.deleted = state.size = state.deleted_size = 0
        with self.account.write.txn.cursor(db=self.account.write.dbs.message) as cursor:
            if cursor.set_key(self.key):
                for value in cursor.iternext_dup(keys=False, values=True):
                    message = records.unpack_message(bytes(value))
                    state.messages += 1
                    state.size += message[M_SIZE]
                    self._count_flags(message, 1)
                    state.uidnext = max(state.uidnext, message[0] + 1)

    def save(self) -> None:
        write = self.account.write
        if self.record_changed:
            write.put(write.dbs.mailbox, self.key, records.encode(self.record))
        write.put(write.dbs.state, self.state_key, self.state.pack())


class AccountTxn:
    """An account inside a write transaction. Call save() at the end of the operation."""

    __slots__ = ("_changes", "_mailboxes", "_modseq", "id", "key", "state", "write")

    def __init__(self, write: WriteTxn, account_id: int) -> None:
        self.write = write
        self.id = account_id
        self.key = KEY_A.pack(account_id)
        state = write.get(write.dbs.state, KEY_ACCOUNT_STATE.pack(account_id, ACCOUNT))
        if state is None:
            raise StoreError(ErrorKind.NOT_FOUND, "no such account")
        self.state = AccountState(state)
        self._mailboxes: dict[int, MailboxTxn] = {}
        self._changes: list[Change] = []
        self._modseq = 0

    @property
    def modseq(self) -> ModSeq:
        """The modseq of this operation, taken at first use."""
        if not self._modseq:
            self.state.modseq += 1
            self._modseq = self.state.modseq
        return ModSeq(self._modseq)

    @property
    def changed(self) -> bool:
        return bool(self._changes)

    def mailbox(self, mailbox_id: int) -> MailboxTxn:
        mailbox = self._mailboxes.get(mailbox_id)
        if mailbox is None:
            mailbox = self._mailboxes[mailbox_id] = MailboxTxn(self, MailboxId(mailbox_id))
        return mailbox

    def mailbox_in(self, mailbox_id: int, directory: str, paths: Iterable[str] = ()) -> MailboxTxn:
        """The mailbox, when `directory` is its own and holds the files that were put there.

        Raises Moved when it was or is being renamed. While it is, the directory may be another
        one already, made as parent of the new name; and it may have been when we wrote to it.
        """
        mailbox = self.mailbox(mailbox_id)
        entry = maildir.directory_name(mailbox.record.name)
        if os.path.basename(directory) != (entry or "Maildir"):
            raise Moved(f"{directory} is {mailbox.record.name} now")
        if entry in self.entries_under_way():
            raise Moved(f"{directory} is being renamed or removed")
        for path in paths:
            if not os.path.lexists(f"{directory}/{path}"):
                raise Moved(f"{directory}/{path} is not there")
        return mailbox

    def entries_under_way(self) -> set[str]:
        """Directories that an announced rename or removal concerns, old and new names."""
        entries: set[str] = set()
        for _, value in range_items(self.write.txn, self.write.dbs.intent, self.key):
            for intent in records.decode_intents(value):
                entries.update((intent.source, intent.target))
        return entries - {""}

    def mailbox_id(self, name: str) -> MailboxId | None:
        value = self.write.get(self.write.dbs.mailbox_name, self.key + name.encode())
        return None if value is None else MailboxId(int.from_bytes(value, "big"))

    def forget(self, mailbox_id: int) -> None:
        """The mailbox was deleted: do not save it."""
        self._mailboxes.pop(mailbox_id, None)

    def log(
        self,
        kind: ChangeKind,
        mailbox: MailboxTxn | None,
        uids: tuple[tuple[int, int], ...] = (),
        name: str = "",
        old_name: str = "",
        entries: tuple[str, ...] = (),
    ) -> None:
        """Note a change in the log; it gives the mailbox this operation's modseq."""
        modseq = self.modseq
        mailbox_id = MailboxId(0)
        if mailbox is not None:
            mailbox_id = mailbox.id
            mailbox.state.modseq = modseq
        self._changes.append(Change(kind, modseq, mailbox_id, uids, name, old_name, entries))
        if kind is ChangeKind.EXPUNGED:
            key = KEY_AMQ.pack(self.id, mailbox_id, modseq)
            self.write.put(self.write.dbs.vanished, key, records.pack_ranges(uids))

    def recount(self) -> None:
        """Make the account's counters anew from those of its mailboxes."""
        self.state.messages = self.state.octets = 0
        for _, state in mailbox_states(self.write.txn, self.write.dbs, self.id):
            self.state.messages += state.messages
            self.state.octets += state.size

    def save(self) -> None:
        write, dbs = self.write, self.write.dbs
        for mailbox in self._mailboxes.values():
            mailbox.save()
        if self._changes:
            key = KEY_LOG.pack(self.id, LOG, self.modseq)
            write.put(dbs.state, key, records.encode(self._changes))
            write.touched.add(self.id)
            if self._modseq % 256 == 0:
                self._prune_log()
        write.put(dbs.state, KEY_ACCOUNT_STATE.pack(self.id, ACCOUNT), self.state.pack())

    def _prune_log(self) -> None:
        oldest, prefix = self._modseq - KEEP_LOG, KEY_STATES.pack(self.id, LOG)
        with self.write.txn.cursor(db=self.write.dbs.state) as cursor:
            if not cursor.set_range(prefix):
                return
            while bytes(cursor.key()).startswith(prefix):
                if KEY_LOG.unpack(cursor.key())[2] >= oldest or not cursor.delete():
                    return


def now() -> int:
    return int(time.time())


def apply_flags(message: MessageTuple, flags: int, keywords: int, modseq: int) -> MessageTuple:
    """The record with other flags; the store's own bits stay."""
    kept = message[M_FLAGS] & ~FLAG_MASK
    return (message[0], modseq, keywords, *message[3:8], flags | kept, message[9])
