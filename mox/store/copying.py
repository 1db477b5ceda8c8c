"""The records of COPY and MOVE: thousands of messages in one transaction."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING

from mox.store import history_txn, maildir, messages, places, records
from mox.store.account_txn import AccountTxn, MailboxTxn, now
from mox.store.errors import Moved
from mox.store.many import get_many, put_many
from mox.store.messages import Incoming, Kept
from mox.store.model import (
    FLAG_MASK,
    M_EMAIL_ID,
    M_FLAGS,
    M_KEYWORDS,
    M_RECEIVED,
    M_SIZE,
    M_THREAD_ID,
    M_ZONE,
    ChangeKind,
    Flag,
    MessageTuple,
)
from mox.store.origin import relocated
from mox.store.records import FILE_IS_WIRE, HAS_ORIGIN, KEY_A, KEY_AMU, KEY_CONTENT, OVERVIEW

if TYPE_CHECKING:
    from mox.junk.mailboxflags import MailboxFlags


@dataclass(frozen=True, slots=True)
class Duplicate:
    """One message of a COPY or MOVE: the source record and the path that its link has got."""

    source: MessageTuple
    path: str  # below the destination directory

    @property
    def base(self) -> str:
        return maildir.split_name(self.path[4:])[0]


def copy(
    account: AccountTxn,
    source: MailboxTxn,
    target: MailboxTxn,
    duplicates: Sequence[Duplicate],
    marks: MailboxFlags | None = None,
) -> list[int]:
    """Give the linked files records in `target`, with the sources' present flags.

    marks: as for messages.add().

    Raises Moved when a source is gone, so that the caller looks again.
    """
    copying = _Copying(account, source, target, marks)
    sources = {m[0]: m for m in messages.select(source, [d.source[0] for d in duplicates])}
    bases = [target.key + duplicate.base.encode() for duplicate in duplicates]
    known = get_many(account.write, account.write.dbs.base, bases)
    uids: list[int] = []
    for duplicate, base in zip(duplicates, bases, strict=True):
        message = sources.get(duplicate.source[0])
        if message is None:
            raise Moved(f"message {duplicate.source[0]} is gone")
        if message[M_FLAGS] & HAS_ORIGIN or copying.is_sent or base in known:
            uids.append(copying.add(message, duplicate.path))
        else:
            uids.append(copying.add_plain(message, duplicate.path, base))
    copying.put()
    if uids:
        account.log(ChangeKind.ADDED, target, records.ranges(uids))
    return uids


class _Copying:
    """Collects the records of messages that need nothing but records."""

    def __init__(
        self,
        account: AccountTxn,
        source: MailboxTxn,
        target: MailboxTxn,
        marks: MailboxFlags | None,
    ) -> None:
        self._account = account
        self._source = source
        self._target = target
        self._marks = marks
        self._now = now()
        self._bits: dict[int, int] = {}
        self._new: list[MessageTuple] = []
        self._files: list[tuple[bytes, bytes]] = []
        self._bases: list[tuple[bytes, bytes]] = []
        self.is_sent = "\\Sent" in target.record.special_use

    def add_plain(self, message: MessageTuple, path: str, base: bytes) -> int:
        """Copy a message without an origin, whose file nobody has met yet."""
        account, target = self._account, self._target
        uid = target.next_uid()
        bits = self._bits_of(message[M_KEYWORDS])
        flags = message[M_FLAGS]
        self._new.append(
            (
                uid,
                account.modseq,
                bits,
                message[M_RECEIVED],
                self._now,
                message[M_EMAIL_ID],
                message[M_THREAD_ID],
                message[M_SIZE],
                flags & (FLAG_MASK | FILE_IS_WIRE),
                message[M_ZONE],
            )
        )
        key = KEY_AMU.pack(account.id, target.id, uid)
        self._files.append((key, path.encode()))
        self._bases.append((base, KEY_A.pack(uid)))
        flags &= FLAG_MASK
        if maildir.letters(flags, bits) != maildir.split_name(path)[1]:
            messages.show_later(account.write, key, flags, bits)
        return uid

    def _bits_of(self, bits: int) -> int:
        """Bits of the target's keywords for those of the source's."""
        known = self._bits.get(bits)
        if known is None:
            target = self._target
            own = target.keyword_bits(self._words(bits))
            known = self._bits[bits] = target.marked(own, self._marks)
        return known

    def _words(self, bits: int) -> tuple[str, ...]:
        names = self._source.record.keywords
        return tuple(name for i, name in enumerate(names) if bits >> i & 1) if bits else ()

    def add(self, message: MessageTuple, path: str) -> int:
        """Copy any message."""
        account, source, target = self._account, self._source, self._target
        bits = message[M_KEYWORDS]
        words = self._words(bits)
        flags = message[M_FLAGS] & FLAG_MASK
        rules, origin, overview = self._marks, None, None
        if message[M_FLAGS] & HAS_ORIGIN:
            origin = history_txn.get(source, message[0])
        if origin is not None:
            judged = source.verdict(bits) is not None
            place = relocated(origin, target.id, is_judged=judged)
            origin = place.origin
            flags &= ~int(Flag.SEEN) if place.is_unread else FLAG_MASK
            if place.is_wanted:
                words, rules = (*words, "$NotJunk"), None
        if self.is_sent:
            write = account.write
            key = KEY_CONTENT.pack(account.id, message[M_EMAIL_ID], OVERVIEW)
            overview = write.get(write.dbs.content, key)
        incoming = Incoming(
            path=path,
            received=message[M_RECEIVED],
            zone=message[M_ZONE],
            size=message[M_SIZE],
            facts=Kept(overview or b""),
            flags=flags,
            keywords=words,
            email_id=message[M_EMAIL_ID],
            thread_id=message[M_THREAD_ID],
            wire=bool(message[M_FLAGS] & FILE_IS_WIRE),
            origin=origin,
        )
        return messages.add(account, target, incoming, rules)

    def put(self) -> None:
        """Put what has been collected."""
        write, dbs = self._account.write, self._account.write.dbs
        put_many(write, dbs.file, self._files)
        put_many(write, dbs.base, self._bases)
        self._target.insert_many(self._new)
        places.put(write, self._account.id, self._target.id, self._new)
