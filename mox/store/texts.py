"""The text index: what SEARCH looks at in each message, kept so that no file need be opened.

Derived from the files, made in the background by the keeper, outside of every promise: a search
reads the file of a message that is not in it. Copies of a message share one entry.
"""

from __future__ import annotations

import contextlib
from collections.abc import Iterator, Sequence
from functools import partial
from typing import TYPE_CHECKING, Final

import zstandard

from mox import logfmt, metrics
from mox.message.searchable import Searchable, searchable
from mox.store import mailfiles
from mox.store.errors import MessageGone, StoreError
from mox.store.model import M_EMAIL_ID, M_FLAGS, M_UID
from mox.store.reading import lookup, mailbox_states
from mox.store.records import FILE_IS_WIRE, KEY_A, KEY_AE, KEY_AM

if TYPE_CHECKING:
    from mox.store.account import Account
    from mox.store.committer import WriteTxn
    from mox.store.model import MailboxId, MessageTuple
    from mox.store.store import Store

# Folded octets of one message that are kept; of larger ones the file is read.
MAX_OCTETS = 1 << 20
# Files larger than that have such a text too seldom to be worth the reading.
_MAX_FILE = 64 << 20
# First octet of an entry.
_KEPT = b"z"
_TOO_LARGE = b"-"
# Fast; the next levels save a tenth and take twice as long.
_LEVEL = 1
# A step of the keeper: some ten milliseconds of work, then a short commit.
_AT_ONCE = 40

log = logfmt.logger("store")

_messages = metrics.counter(
    "mox_store_text_index_messages_total", "Messages added to the text index."
)
_octets = metrics.counter(
    "mox_store_text_index_bytes_total", "Octets that entries added to the text index take."
)


def pack_text(found: Searchable) -> bytes:
    """The entry of a message."""
    if len(found.header) + len(found.body) > MAX_OCTETS:
        return _TOO_LARGE
    start = _KEPT + KEY_A.pack(len(found.header))
    return start + zstandard.compress(found.header + found.body, _LEVEL)


class Unpacker:
    """Reads entries. Not to be shared between threads."""

    __slots__ = ("_decompress",)

    def __init__(self) -> None:
        self._decompress = zstandard.ZstdDecompressor().decompress

    def unpack(self, value: bytes) -> Searchable | None:
        """What an entry holds; None when the file has to tell."""
        if value[:1] != _KEPT:
            return None
        end = int.from_bytes(value[1:5], "big")
        try:
            octets = self._decompress(value[5:], max_output_size=MAX_OCTETS)
        except zstandard.ZstdError:
            # Damaged: derived data, not worth more than making it anew.
            return None
        return Searchable(octets[:end], octets[end:])


def texts(account: Account, email_ids: Sequence[int]) -> dict[int, bytes]:
    """The entries that there are for these messages, to be unpacked one by one."""
    pack, account_id = KEY_AE.pack, account.id
    dbs = account.store.dbs
    keys = [pack(account_id, email_id) for email_id in email_ids]
    with dbs.env.begin() as txn, txn.cursor(db=dbs.text) as cursor:
        return {int.from_bytes(key[4:], "big"): value for key, value in cursor.getmulti(keys)}


# ---- building


class Backlog:
    """Adds messages to the index when their accounts are quiet for a moment.

    A busy server is never quiet: after LATEST_S an account's turn comes all the same.
    """

    LATEST_S: Final = 60.0

    def __init__(self, store: Store) -> None:
        self._store = store
        self._done: dict[str, int] = {}  # modseq up to which an account is in the index
        self._seen: dict[str, tuple[int, float]] = {}  # modseq at the last look, waiting since

    def steps(self, now: float) -> Iterator[None]:
        """Do what is due in small steps. Call it every few seconds; `now` on any steady clock."""
        for name in self._store.account_names():
            account = self._store.find_account(name)
            if account is None:
                continue
            modseq = account.modseq()
            if self._done.get(name) == modseq or not self._is_due(name, modseq, now):
                continue
            try:
                for mailbox_id, uidnext in _mailboxes(self._store, account):
                    yield from _index_mailbox(self._store, account, mailbox_id, uidnext)
            except (StoreError, OSError) as e:
                # The others have their turn; this one again when it has changed.
                log.error("adding messages to the text index", err=e, account=name)
            self._done[name] = modseq
            self._seen.pop(name, None)

    def _is_due(self, name: str, modseq: int, now: float) -> bool:
        before, since = self._seen.get(name, (0, now))
        self._seen[name] = modseq, since
        return before == modseq or now - since > self.LATEST_S


def _mailboxes(store: Store, account: Account) -> list[tuple[MailboxId, int]]:
    with store.dbs.env.begin() as txn:
        states = mailbox_states(txn, store.dbs, account.id)
        return [(mailbox_id, state.uidnext) for mailbox_id, state in states]


def _index_mailbox(
    store: Store, account: Account, mailbox_id: MailboxId, uidnext: int
) -> Iterator[None]:
    mark_key = KEY_AM.pack(account.id, mailbox_id)
    with store.dbs.env.begin() as txn:
        mark = int.from_bytes(lookup(txn, store.dbs.text_mark, mark_key) or b"\0", "big")
    if mark + 1 >= uidnext:
        return
    messages = list(account.scan(mailbox_id, mark + 1))
    known = _known(account, messages)
    distinct = {message[M_EMAIL_ID]: message for message in reversed(messages)}
    todo = sorted(message for email_id, message in distinct.items() if email_id not in known)
    for start in range(0, len(todo), _AT_ONCE):
        some = todo[start : start + _AT_ONCE]
        entries = store.pool.apply(_read_texts, (account, mailbox_id, some))
        for message in some:
            if message[M_EMAIL_ID] not in entries:
                _read_moved(account, mailbox_id, message, entries)
        store.committer.write(partial(_put, account.id, mark_key, entries, some[-1][M_UID]))
        _messages.inc(len(entries))
        _octets.inc(sum(map(len, entries.values())))
        yield
    if messages:
        store.committer.write(partial(_put, account.id, mark_key, {}, messages[-1][M_UID]))


def _known(account: Account, messages: Sequence[MessageTuple]) -> set[int]:
    """The messages that have an entry, as the originals of copies do."""
    if not messages:
        return set()
    dbs = account.store.dbs
    with dbs.env.begin() as txn, txn.cursor(db=dbs.text) as cursor:
        return {
            message[M_EMAIL_ID]
            for message in messages
            if cursor.set_key(KEY_AE.pack(account.id, message[M_EMAIL_ID]))
        }


def _read_texts(
    account: Account, mailbox_id: MailboxId, messages: Sequence[MessageTuple]
) -> dict[int, bytes]:
    directory = account.present_directory(mailbox_id)
    entries: dict[int, bytes] = {}
    for message in messages:
        path = account.path(mailbox_id, message[M_UID])
        if path is None or directory is None or message[M_EMAIL_ID] in entries:
            continue
        found = mailfiles.read_regular(f"{directory}/{path}")
        if found is None:
            continue  # renamed just now
        if len(found[0]) > _MAX_FILE:
            entries[message[M_EMAIL_ID]] = _TOO_LARGE
        else:
            wire = bool(message[M_FLAGS] & FILE_IS_WIRE)
            entries[message[M_EMAIL_ID]] = pack_text(searchable(found[0], wire=wire))
    return entries


def _read_moved(
    account: Account, mailbox_id: MailboxId, message: MessageTuple, entries: dict[int, bytes]
) -> None:
    """The same for a file that was not where the index said."""
    with contextlib.suppress(MessageGone):
        found = read_searchable(account, mailbox_id, message)
        entries[message[M_EMAIL_ID]] = pack_text(found)


def keep_texts(account: Account, entries: dict[int, bytes]) -> None:
    """Add what a search has read, so that the next one need not."""
    store = account.store
    store.later_write(partial(_put, account.id, b"", entries, 0))


def _put(
    account_id: int, mark_key: bytes, entries: dict[int, bytes], uid: int, write: WriteTxn
) -> None:
    for email_id, value in entries.items():
        write.put(write.dbs.text, KEY_AE.pack(account_id, email_id), value)
    if mark_key and write.get(write.dbs.mailbox, mark_key) is not None:
        write.put(write.dbs.text_mark, mark_key, KEY_A.pack(uid))


def read_searchable(account: Account, mailbox_id: MailboxId, message: MessageTuple) -> Searchable:
    """The same from the file. Raises MessageGone."""
    stored = account.read(mailbox_id, message[M_UID])
    return searchable(stored.data, wire=stored.wire)
