"""Messages inside a write transaction: add, flag, copy, move, expunge.

These functions change records only. Files are in place before (durable.FileWrite) or follow after
the commit (file_moves); a crash in between is mended by refresh (sync.py) and the keeper.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING

from mox.message import thread_links
from mox.store import history_txn, maildir, places, records
from mox.store.account_txn import AccountTxn, MailboxTxn, apply_flags, now
from mox.store.errors import ErrorKind, StoreError
from mox.store.many import get_many, put_many
from mox.store.model import (
    FLAG_MASK,
    M_FLAGS,
    M_KEYWORDS,
    M_MODSEQ,
    ChangeKind,
    Flag,
    FlagOp,
    MessageTuple,
    ModSeq,
    Stored,
)
from mox.store.records import (
    FILE_IS_WIRE,
    FIRST_PLACE,
    HAS_ORIGIN,
    KEY_A,
    KEY_AMU,
    KEY_CONTENT,
    KEY_SEQ,
    KEYED_MESSAGE,
    OVERVIEW,
    PLACE,
    SUMMARY,
)

if TYPE_CHECKING:
    from mox.junk.mailboxflags import MailboxFlags
    from mox.message import IndexFacts
    from mox.store.committer import WriteTxn
    from mox.store.origin import Origin

# Value suffix in the `base` database: expunged, and the file may still lie there.
TOMBSTONE = b"x"
# Flags of a message that its name has not shown yet: this many states are remembered.
_STATES_KEPT = 8


@dataclass(frozen=True, slots=True)
class Kept:
    """What the index keeps of a message's content, ready to be put."""

    overview: bytes  # records.pack_overview
    summary: bytes = b""  # b"" for a copy: it has its original's
    links: tuple[bytes, ...] = ()  # message.thread_links


def kept(facts: IndexFacts) -> Kept:
    summary = facts.summary
    return Kept(
        records.pack_overview(facts.envelope, facts.bodystructure),
        records.encode(summary),
        thread_links(summary),
    )


@dataclass(frozen=True, slots=True)
class Incoming:
    """A message whose file is in place, about to get its records."""

    path: str  # below the mailbox directory: new/… or cur/…
    received: int
    zone: int
    size: int  # wire octets
    facts: Kept
    flags: int = 0
    keywords: tuple[str, ...] = ()
    email_id: int = 0  # 0: a new one
    thread_id: int = 0  # 0: to be found by the links
    wire: bool = False  # the file has CRLF line ends
    origin: Origin | None = None

    @property
    def base(self) -> str:
        return maildir.split_name(self.path[4:])[0]


def check_quota(account: AccountTxn, octets: int, quota: int) -> None:
    if quota > 0 and account.state.octets + octets > quota:
        raise StoreError(ErrorKind.OVER_QUOTA, f"account over maximum total size {quota}")


def add(
    account: AccountTxn,
    mailbox: MailboxTxn,
    incoming: Incoming,
    marks: MailboxFlags | None = None,
) -> int:
    """Give the message a uid and its records. The caller logs ADDED.

    marks: rules for the junk flags of what enters the mailbox.

    A scan may have met the file before us, and taken it in with what its name shows: then it
    keeps its uid and gets all else.
    """
    write, dbs = account.write, account.write.dbs
    base_key = mailbox.key + incoming.base.encode()
    known = write.get(dbs.base, base_key)
    found = mailbox.get(int.from_bytes(known, "big")) if known and len(known) == 4 else None
    uid = mailbox.next_uid() if found is None else found[0]
    email_id = incoming.email_id or _put_content(mailbox, uid, incoming.facts)
    thread_id = incoming.thread_id
    if not thread_id:
        thread_id = join_thread(account, incoming.facts.links, email_id)
    bits = mailbox.marked(mailbox.keyword_bits(incoming.keywords), marks)
    origin = incoming.origin
    if "\\Sent" in mailbox.record.special_use and (origin is None or not origin.sent_to):
        origin = history_txn.sent_message(incoming.facts.overview, origin)
    flags = incoming.flags | (FILE_IS_WIRE if incoming.wire else 0)
    if origin is not None:
        flags |= HAS_ORIGIN
    message = (
        uid,
        account.modseq,
        bits,
        incoming.received,
        now(),
        email_id,
        thread_id,
        incoming.size,
        flags,
        incoming.zone,
    )
    key = KEY_AMU.pack(account.id, mailbox.id, uid)
    if found is None:
        mailbox.insert(message)
        write.put(dbs.file, key, incoming.path.encode())
        write.put(dbs.base, base_key, KEY_A.pack(uid))
    else:
        _complete(mailbox, found, message)
    if incoming.email_id:
        places.put(write, account.id, mailbox.id, [message])
    if origin is not None:
        history_txn.put(mailbox, message, origin)
    path = (write.get(dbs.file, key) or b"").decode()
    if path != shown_path(path, incoming.flags, bits):
        show_later(write, key, incoming.flags, bits)
    return uid


def _put_content(mailbox: MailboxTxn, uid: int, facts: Kept) -> int:
    """Keep what is the same for all copies of a new message; returns its email id."""
    account = mailbox.account
    account.state.email_id += 1
    email_id: int = account.state.email_id
    content = (
        (FIRST_PLACE, PLACE.pack(mailbox.id, uid)),
        (OVERVIEW, facts.overview),
        (SUMMARY, facts.summary),
    )
    items = [(KEY_CONTENT.pack(account.id, email_id, kind), value) for kind, value in content]
    put_many(account.write, account.write.dbs.content, items)
    return email_id


def _complete(mailbox: MailboxTxn, found: MessageTuple, message: MessageTuple) -> None:
    """Give all else to a message that a scan took in; sessions may have shown its flags."""
    mailbox.replace(found, message)
    shown = found[M_FLAGS] & FLAG_MASK, found[M_KEYWORDS]
    if shown != (message[M_FLAGS] & FLAG_MASK, message[M_KEYWORDS]):
        mailbox.account.log(ChangeKind.FLAGS, mailbox, ((message[0], message[0]),))


def join_thread(account: AccountTxn, links: tuple[bytes, ...], email_id: int) -> int:
    """The thread of a new message: of its id, else of the nearest reference that has one.

    What had none gets this one, so that an original that comes after its reply joins it. A new
    thread is called like its first message (RFC 8474 §5.2: the id of a message's thread stays).
    """
    write, db = account.write, account.write.dbs.thread
    keys = [account.key + link for link in links if link]
    values = [write.get(db, key) for key in keys]
    known = next((value for value in values if value is not None), None)
    thread = KEY_SEQ.pack(email_id) if known is None else known
    for key, value in zip(keys, values, strict=True):
        if value is None:
            write.put(db, key, thread)
    return int.from_bytes(thread, "big")


def show_later(write: WriteTxn, key: bytes, flags: int, keywords: int) -> None:
    """Note that the file's name has to follow, and the letters that it may get by our own hand.

    Whoever finds a name that the index does not know tells by them whether it was us: between
    our rename and its commit, or after a crash there.
    """
    text = maildir.letters(flags, keywords).encode() + b"\n"
    db = write.dbs.mirror
    if write.txn.put(key, text, db=db, overwrite=False):
        return
    states = [*(write.get(db, key) or b"").splitlines(keepends=True), text]
    write.put(db, key, b"".join(dict.fromkeys(states[-_STATES_KEPT:])))


def own_letters(write: WriteTxn, key: bytes) -> list[str]:
    """The letters that we may have given the name of a message since its path was recorded."""
    return (write.get(write.dbs.mirror, key) or b"").decode().splitlines()


def shown_path(path: str, flags: int, keywords: int) -> str:
    """The path that shows these flags: new/ stays new/ until a flag is set."""
    text = maildir.letters(flags, keywords)
    if path.startswith("new/") and not text:
        return path
    return f"cur/{maildir.split_name(path[4:])[0]}:2,{text}"


def select(mailbox: MailboxTxn, uids: Sequence[int] | None) -> list[MessageTuple]:
    """The records of these uids (None: all), ascending; uids that do not exist are left out."""
    if uids is None:
        return list(KEYED_MESSAGE.iter_unpack(_block(mailbox)))
    if not uids:
        return []
    wanted = set(uids)
    first, last = min(uids), max(uids)
    if last - first < len(uids) * 4:
        return [message for message in mailbox.scan(first, last) if message[0] in wanted]
    if len(uids) * 8 < mailbox.state.messages:
        found = (mailbox.get(uid) for uid in sorted(wanted))
        return [message for message in found if message is not None]
    everything = KEYED_MESSAGE.iter_unpack(_block(mailbox))
    return [message for message in everything if message[0] in wanted]


def _select_deleted(mailbox: MailboxTxn, uids: Sequence[int] | None) -> list[MessageTuple]:
    """Those of them that have \\Deleted."""
    deleted = int(Flag.DELETED)
    if uids is not None:
        return [message for message in select(mailbox, uids) if message[M_FLAGS] & deleted]
    block = _block(mailbox)
    column = bytes(memoryview(block).cast("B")[records.FLAGS_AT :: KEYED_MESSAGE.size])
    size, unpack = KEYED_MESSAGE.size, KEYED_MESSAGE.unpack_from
    return [unpack(block, at * size) for at, flags in enumerate(column) if flags & deleted]


def _block(mailbox: MailboxTxn) -> memoryview:
    """All records, each with its key before it."""
    with mailbox.account.write.txn.cursor(db=mailbox.account.write.dbs.message) as cursor:
        return cursor.getmulti([mailbox.key], True, records.MESSAGE.size, True)


def store_flags(
    account: AccountTxn,
    mailbox: MailboxTxn,
    uids: Sequence[int],
    op: FlagOp,
    flags: int,
    keywords: tuple[str, ...],
    unchanged_since: int | None = None,
) -> Stored:
    """Set, add or remove flags. RFC 7162 §3.1.3: messages newer than unchanged_since stay."""
    bits = mailbox.keyword_bits(keywords, create=op is not FlagOp.REMOVE)
    changed: list[tuple[int, int, int, int]] = []
    modified: list[int] = []
    touched: list[int] = []
    write = account.write
    for message in select(mailbox, uids):
        uid, modseq, old_bits = message[0], message[M_MODSEQ], message[M_KEYWORDS]
        if unchanged_since is not None and modseq > unchanged_since:
            modified.append(uid)
            continue
        old_flags = message[M_FLAGS] & FLAG_MASK
        if op is FlagOp.ADD:
            new_flags, new_bits = old_flags | flags, old_bits | bits
        elif op is FlagOp.REMOVE:
            new_flags, new_bits = old_flags & ~flags, old_bits & ~bits
        else:
            new_flags, new_bits = flags, bits
        if new_flags != old_flags or new_bits != old_bits:
            modseq = account.modseq
            mailbox.replace(message, apply_flags(message, new_flags, new_bits, modseq))
            show_later(write, KEY_AMU.pack(account.id, mailbox.id, uid), new_flags, new_bits)
            touched.append(uid)
        changed.append((uid, new_flags, new_bits, modseq))
    if touched:
        account.log(ChangeKind.FLAGS, mailbox, records.ranges(touched))
    return Stored(
        account.modseq if touched else ModSeq(0), changed, modified, mailbox.record.keywords
    )


def expunge(
    account: AccountTxn,
    mailbox: MailboxTxn,
    messages: Sequence[MessageTuple],
    moved_to: dict[int, tuple[int, int]] | None = None,
) -> list[tuple[int, str]]:
    """Remove messages; returns (uid, path) of the files to be put away after the commit."""
    write, dbs = account.write, account.write.dbs
    keys = [KEY_AMU.pack(account.id, mailbox.id, message[0]) for message in messages]
    trained = get_many(write, dbs.trained, keys) if moved_to else {}
    paths = get_many(write, dbs.file, keys)
    files: list[tuple[int, str]] = []
    tombstones: list[tuple[bytes, bytes]] = []
    kept: list[tuple[bytes, bytes]] = []
    when = now()
    for message, key in zip(messages, keys, strict=True):
        uid = message[0]
        path = paths.get(key, b"").decode()
        base = maildir.split_name(path[4:])[0]
        wire = bool(message[M_FLAGS] & FILE_IS_WIRE)
        target = moved_to.get(uid) if moved_to else None
        tombstones.append((mailbox.key + base.encode(), KEY_A.pack(uid) + TOMBSTONE))
        record = records.ExpungedRecord(when, base, wire, target)
        kept.append((key, records.encode(record)))
        if target is not None and key in trained:
            _move_trained(write, key, KEY_AMU.pack(account.id, *target), trained[key])
        files.append((uid, path))
    put_many(write, dbs.base, tombstones)
    put_many(write, dbs.expunged, kept)
    mailbox.remove_many(messages)
    if files:
        account.log(ChangeKind.EXPUNGED, mailbox, records.ranges(uid for uid, _ in files))
        mailbox.removals_follow()
    return files


def _move_trained(write: WriteTxn, key: bytes, target: bytes, trained: bytes) -> None:
    """What was learnt from a message goes along with it, so that it is not read again."""
    if write.get(write.dbs.trained, target) is not None:
        # A scan met the file there before us, and it was learnt from: here it is to be untrained.
        write.put(write.dbs.training, key, b"")
        return
    write.put(write.dbs.trained, target, trained)
    write.delete(write.dbs.trained, key)
    write.put(write.dbs.training, target, b"")


def expunge_deleted(
    account: AccountTxn, mailbox: MailboxTxn, uids: Sequence[int] | None
) -> list[tuple[int, str]]:
    """RFC 9051 §6.4.3, RFC 4315 §2.1: remove those with \\Deleted, of `uids` or of all."""
    if not mailbox.state.deleted:
        return []
    return expunge(account, mailbox, _select_deleted(mailbox, uids))
