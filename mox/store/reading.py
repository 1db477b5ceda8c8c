"""Reading an account's index: short transactions that end before anything is sent."""

from __future__ import annotations

from array import array
from collections.abc import Iterable, Iterator, Sequence
from typing import cast

import lmdb

from mox.store import records
from mox.store.columns import MessageColumns
from mox.store.env import Databases
from mox.store.errors import HistoryLost
from mox.store.model import (
    MAX_UID,
    Change,
    FlagColumn,
    Mailbox,
    MailboxId,
    MessageTuple,
    ModSeq,
    Usage,
)
from mox.store.records import (
    ACCOUNT,
    KEY_A,
    KEY_ACCOUNT_STATE,
    KEY_AM,
    KEY_AMQ,
    KEY_AMU,
    KEY_CONTENT,
    KEY_LOG,
    KEY_MAILBOX_STATE,
    KEY_STATES,
    KEYED_MESSAGE,
    LOG,
    MAILBOX,
    OVERVIEW,
    AccountState,
    MailboxState,
)


def lookup(txn: lmdb.Transaction, db: lmdb._Database, key: bytes) -> bytes | None:
    """The value of a key (the transactions here are opened without buffers=True)."""
    return cast("bytes | None", txn.get(key, db=db))


def range_items(
    txn: lmdb.Transaction, db: lmdb._Database, prefix: bytes
) -> Iterator[tuple[bytes, bytes]]:
    """All (key, value) whose key begins with `prefix`, in order."""
    with txn.cursor(db=db) as cursor:
        if cursor.set_range(prefix):
            for key, value in cast("Iterator[tuple[bytes, bytes]]", iter(cursor)):
                if not key.startswith(prefix):
                    return
                yield key, value


def mailbox_states(
    txn: lmdb.Transaction, dbs: Databases, account_id: int
) -> Iterator[tuple[MailboxId, MailboxState]]:
    """The counters of all mailboxes of an account."""
    for key, value in range_items(txn, dbs.state, KEY_STATES.pack(account_id, MAILBOX)):
        yield MailboxId(KEY_MAILBOX_STATE.unpack(key)[2]), MailboxState(value)


class Reader:
    """The reading half of an account."""

    __slots__ = ("_dbs", "_env", "_key", "id")

    def __init__(self, dbs: Databases, account_id: int) -> None:
        self._dbs = dbs
        self._env = dbs.env
        self._key = KEY_A.pack(account_id)
        self.id = account_id

    # ---- account

    def state(self) -> AccountState:
        with self._env.begin() as txn:
            value = lookup(txn, self._dbs.state, KEY_ACCOUNT_STATE.pack(self.id, ACCOUNT))
        assert value is not None, "an account without state"
        return AccountState(value)

    def record(self) -> records.AccountRecord:
        with self._env.begin() as txn:
            value = lookup(txn, self._dbs.account, self._key)
        assert value is not None, "an account without record"
        return records.decode_account(value)

    def usage(self) -> Usage:
        state = self.state()
        return Usage(state.octets, state.messages)

    def modseq(self) -> ModSeq:
        """The last modseq given out, which all committed changes are at or below."""
        return ModSeq(self.state().modseq)

    def subscriptions(self) -> list[str]:
        """Names of all subscribed mailboxes, existing or not, sorted."""
        with self._env.begin() as txn:
            items = range_items(txn, self._dbs.subscription, self._key)
            return [key[4:].decode() for key, _ in items]

    # ---- mailboxes

    def mailboxes(self) -> list[Mailbox]:
        """All mailboxes, sorted by name, INBOX first."""
        with self._env.begin() as txn:
            names = [
                (key[4:].decode(), MailboxId(int.from_bytes(value, "big")))
                for key, value in range_items(txn, self._dbs.mailbox_name, self._key)
            ]
            parents = {name.rpartition("/")[0] for name, _ in names}
            found = [self._mailbox(txn, mailbox_id, name in parents) for name, mailbox_id in names]
        result = [mailbox for mailbox in found if mailbox is not None]
        result.sort(key=lambda mailbox: (mailbox.name != "INBOX", mailbox.name))
        return result

    def mailbox(self, name: str) -> Mailbox | None:
        """The mailbox of this exact name; any case of INBOX as first level means INBOX."""
        name = own_name(name)
        with self._env.begin() as txn:
            mailbox_id = self._id_of(txn, name)
            if mailbox_id is None:
                return None
            return self._mailbox(txn, mailbox_id, self._has_children(txn, name))

    def mailbox_id(self, name: str) -> MailboxId | None:
        """The id of the mailbox that `mailbox` returns."""
        with self._env.begin() as txn:
            return self._id_of(txn, own_name(name))

    def _id_of(self, txn: lmdb.Transaction, name: str) -> MailboxId | None:
        try:
            key = self._key + name.encode()
        except UnicodeEncodeError:
            return None
        value = lookup(txn, self._dbs.mailbox_name, key) if len(key) <= 511 else None
        return None if value is None else MailboxId(int.from_bytes(value, "big"))

    def mailbox_by_id(self, mailbox_id: MailboxId) -> Mailbox | None:
        with self._env.begin() as txn:
            mailbox = self._mailbox(txn, mailbox_id, False)
            if mailbox is not None and self._has_children(txn, mailbox.name):
                mailbox = self._mailbox(txn, mailbox_id, True)
            return mailbox

    def mailbox_name(self, mailbox_id: int) -> str | None:
        with self._env.begin() as txn:
            value = lookup(txn, self._dbs.mailbox, KEY_AM.pack(self.id, mailbox_id))
        return None if value is None else records.decode_mailbox(value).name

    def _has_children(self, txn: lmdb.Transaction, name: str) -> bool:
        prefix = self._key + name.encode() + b"/"
        with txn.cursor(db=self._dbs.mailbox_name) as cursor:
            return cursor.set_range(prefix[:511]) and bytes(cursor.key()).startswith(prefix)

    def _mailbox(
        self, txn: lmdb.Transaction, mailbox_id: MailboxId, has_children: bool
    ) -> Mailbox | None:
        value = lookup(txn, self._dbs.mailbox, KEY_AM.pack(self.id, mailbox_id))
        state = self._state(txn, mailbox_id)
        if value is None or state is None:
            return None
        record = records.decode_mailbox(value)
        subscribed = txn.get(self._key + record.name.encode(), db=self._dbs.subscription)
        return Mailbox(
            id=mailbox_id,
            name=record.name,
            uidvalidity=record.uidvalidity,
            uidnext=state.uidnext,
            modseq=ModSeq(state.modseq),
            messages=state.messages,
            unseen=state.unseen,
            deleted=state.deleted,
            size=state.size,
            deleted_size=state.deleted_size,
            recent_from=state.recent_from,
            special_use=record.special_use,
            keywords=record.keywords,
            subscribed=subscribed is not None,
            has_children=has_children,
        )

    def mailbox_state(self, mailbox_id: int) -> MailboxState | None:
        with self._env.begin() as txn:
            return self._state(txn, mailbox_id)

    def _state(self, txn: lmdb.Transaction, mailbox_id: int) -> MailboxState | None:
        key = KEY_MAILBOX_STATE.pack(self.id, MAILBOX, mailbox_id)
        value = lookup(txn, self._dbs.state, key)
        return None if value is None else MailboxState(value)

    def removals(self, mailbox_id: int) -> list[int]:
        """Modseqs of removals of messages whose files may still be there."""
        prefix = KEY_AM.pack(self.id, mailbox_id)
        with self._env.begin() as txn:
            items = range_items(txn, self._dbs.removal, prefix)
            return [KEY_AMQ.unpack(key)[2] for key, _ in items]

    # ---- messages

    def _block(self, mailbox_id: int) -> memoryview:
        """All records of a mailbox, each with its key before it, in one piece."""
        with self._env.begin() as txn, txn.cursor(db=self._dbs.message) as cursor:
            key = KEY_AM.pack(self.id, mailbox_id)
            return cursor.getmulti([key], True, records.MESSAGE.size, True)

    def columns(self, mailbox_id: int) -> MessageColumns:
        """All messages, by columns."""
        return MessageColumns(self._block(mailbox_id))

    def uids(self, mailbox_id: int) -> array[int]:
        """All uids, ascending."""
        return self.columns(mailbox_id).uids

    def flag_column(self, mailbox_id: int) -> FlagColumn | None:
        """The system flags of all messages; None when there is no such mailbox."""
        key = KEY_AM.pack(self.id, mailbox_id)
        with self._env.begin() as txn, txn.cursor(db=self._dbs.message) as cursor:
            state = self._state(txn, mailbox_id)
            if state is None:
                return None
            block = cursor.getmulti([key], True, records.MESSAGE.size, True)
        flags = bytes(memoryview(block).cast("B")[records.FLAGS_AT :: KEYED_MESSAGE.size])
        return FlagColumn(state.modseq, MessageColumns(block).uids, flags)

    def scan(self, mailbox_id: int, first: int = 1, last: int = MAX_UID) -> Iterable[MessageTuple]:
        """The records of uids first to last, ascending (indexes: model.M_*).

        The whole is read at once (72 octets a message), so the result may be walked slowly.
        """
        if first > 1 or last < MAX_UID:
            state = self.mailbox_state(mailbox_id)
            if state is None or (last - first) * 4 < state.messages:
                return self._scan_some(mailbox_id, first, last)
            return [m for m in self.scan(mailbox_id) if first <= m[0] <= last]
        return KEYED_MESSAGE.iter_unpack(self._block(mailbox_id))

    def _scan_some(self, mailbox_id: int, first: int, last: int) -> list[MessageTuple]:
        result: list[MessageTuple] = []
        key = KEY_AM.pack(self.id, mailbox_id)
        with self._env.begin() as txn, txn.cursor(db=self._dbs.message) as cursor:
            if cursor.set_range_dup(key, KEY_A.pack(first)):
                for value in cursor.iternext_dup(keys=False, values=True):
                    message = records.unpack_message(value)
                    if message[0] > last:
                        break
                    result.append(message)
        return result

    def message(self, mailbox_id: int, uid: int) -> MessageTuple | None:
        found = self._scan_some(mailbox_id, uid, uid)
        return found[0] if found else None

    def overviews(self, email_ids: Sequence[int]) -> list[tuple[bytes, bytes] | None]:
        """(ENVELOPE, BODYSTRUCTURE) ready to send, for each email id; None where it is gone."""
        unpack = records.unpack_overview
        found = self.packed_overviews(email_ids)
        return [None if value is None else unpack(value) for value in found]

    def packed_overviews(self, email_ids: Sequence[int]) -> list[bytes | None]:
        """The same as kept: both in one piece."""
        pack, account_id = KEY_CONTENT.pack, self.id
        keys = [pack(account_id, email_id, OVERVIEW) for email_id in email_ids]
        with self._env.begin() as txn, txn.cursor(db=self._dbs.content) as cursor:
            found = dict(cursor.getmulti(keys))
        return list(map(found.get, keys))

    def path(self, mailbox_id: int, uid: int) -> str | None:
        """The file of a message, below the mailbox's directory."""
        with self._env.begin() as txn:
            value = lookup(txn, self._dbs.file, KEY_AMU.pack(self.id, mailbox_id, uid))
        return None if value is None else value.decode()

    def packed_paths(self, mailbox_id: int, uids: Sequence[int]) -> list[bytes | None]:
        """The same for many, as kept."""
        pack, account_id = KEY_AMU.pack, self.id
        keys = [pack(account_id, mailbox_id, uid) for uid in uids]
        with self._env.begin() as txn, txn.cursor(db=self._dbs.file) as cursor:
            found = dict(cursor.getmulti(keys))
        return list(map(found.get, keys))

    def expunged(self, mailbox_id: int, uid: int) -> records.ExpungedRecord | None:
        with self._env.begin() as txn:
            value = lookup(txn, self._dbs.expunged, KEY_AMU.pack(self.id, mailbox_id, uid))
        return None if value is None else records.decode_expunged(value)

    # ---- changes

    def changes(self, after: int) -> list[Change]:
        """What happened after modseq `after`, in order.

        Raises HistoryLost when the log no longer reaches back that far.
        """
        result: list[Change] = []
        with self._env.begin() as txn, txn.cursor(db=self._dbs.state) as cursor:
            if not cursor.set_range(KEY_LOG.pack(self.id, LOG, after + 1)):
                return result
            prefix = KEY_STATES.pack(self.id, LOG)
            expected = after + 1
            for key, value in cursor:
                if not key.startswith(prefix):
                    break
                if expected and KEY_LOG.unpack(key)[2] != expected:
                    raise HistoryLost
                expected = 0
                result += records.decode_changes(value)
        return result

    def vanished(self, mailbox_id: int, after: int) -> list[tuple[int, int]]:
        """Uid ranges expunged from a mailbox after a modseq, ascending and joined."""
        result: list[tuple[int, int]] = []
        prefix = KEY_AM.pack(self.id, mailbox_id)
        with self._env.begin() as txn, txn.cursor(db=self._dbs.vanished) as cursor:
            if cursor.set_range(KEY_AMQ.pack(self.id, mailbox_id, after + 1)):
                for key, value in cursor:
                    if key[:8] != prefix:
                        break
                    result += records.unpack_ranges(value)
        return _joined(result)


def own_name(name: str) -> str:
    """A mailbox name with INBOX as it is written here."""
    first, slash, rest = name.partition("/")
    return "INBOX" + slash + rest if first.upper() == "INBOX" else name


def _joined(pairs: list[tuple[int, int]]) -> list[tuple[int, int]]:
    pairs.sort()
    result: list[tuple[int, int]] = []
    for lo, hi in pairs:
        if result and lo <= result[-1][1] + 1:
            result[-1] = (result[-1][0], max(hi, result[-1][1]))
        else:
            result.append((lo, hi))
    return result
