"""Putting messages into mailboxes, from outside (deliver, append) and from within (copy, move).

Here files and records come together: paths are chosen, files handed to the committer, and what
raced with a rename is tried again with fresh paths.
"""

from __future__ import annotations

import os
from collections.abc import Callable, Sequence
from dataclasses import dataclass, replace
from functools import partial
from typing import TYPE_CHECKING, TypeVar

import gevent
import msgspec

from mox import logfmt
from mox.message import index_facts
from mox.message.windowed import Windowed
from mox.store import arrivals, copying, maildir, mailfiles, messages, records
from mox.store.account_txn import AccountTxn, MailboxTxn
from mox.store.committer import WriteTxn
from mox.store.durable import FileWrite, space_error, write_all
from mox.store.errors import ErrorKind, Moved, StoreError
from mox.store.foresight import CopiedLetters
from mox.store.history import is_known_reject
from mox.store.linking import Links, make_links
from mox.store.model import (
    M_SIZE,
    Appended,
    ChangeKind,
    Copied,
    Delivered,
    Flag,
    Mailbox,
    MailboxId,
    MessageTuple,
    ModSeq,
    NewMessage,
    Target,
    Timestamp,
    Uid,
)
from mox.store.removing import Leftovers
from mox.store.spool import MEMORY_LIMIT, Spool

if TYPE_CHECKING:
    from mox.junk.mailboxflags import MailboxFlags
    from mox.store.account import Account
    from mox.store.store import Store

log = logfmt.logger("store")

T = TypeVar("T")

# A path is chosen before the transaction; whoever renames meanwhile makes us look again. Between
# the renaming of a directory and its commit nothing can be written there: pauses in seconds.
# Together as long as the keeper lets pass before it takes back a rename that was cut short.
_PAUSES_S = (0.0, 0.01, 0.03, 0.1, 0.3, 1.0, 3.0, 6.0)


@dataclass(slots=True)
class _Prepared:
    """A message that has a name and its index facts, not yet a mailbox.

    `octets` are its beginning; a large one goes on with what is in `spool`.
    """

    octets: bytes
    spool: Spool | None
    size: int
    base: str
    wire_size: int
    facts: messages.Kept


def _prepare(store: Store, prefix: bytes, spool: Spool) -> _Prepared:
    prefix = prefix.replace(b"\r\n", b"\n")
    if spool.is_large:
        return _prepare_large(prefix, spool)
    octets = b"".join((prefix, spool.stored()))
    facts = index_facts(octets, wire=False)
    base = maildir.base_name(len(octets), facts.size)
    return _Prepared(octets, None, len(octets), base, facts.size, messages.kept(facts))


def _prepare_large(prefix: bytes, spool: Spool) -> _Prepared:
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
    return _Prepared(prefix, spool, size, base, facts.size, messages.kept(facts))


def _file(store: Store, directory: str, path: str, prepared: _Prepared) -> FileWrite:
    """The file of a message; a large one is made durable here, off the committer's thread."""
    tmp = os.path.join(directory, "tmp", maildir.unique_name())
    final = os.path.join(directory, path)
    if prepared.spool is None:
        return FileWrite(tmp, final, [prepared.octets])
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


def _retrying(operation: Callable[[], T]) -> T:
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


# ---- deliver


def deliver(store: Store, targets: Sequence[Target], spool: Spool) -> list[Delivered | StoreError]:
    """Deliver one message to all targets in one durable batch; a result for each.

    A target's own trouble (quota, a name that cannot be) is its result. Trouble of the disk or
    the index is raised as StoreError: then no target got it.
    """
    results: list[Delivered | StoreError | None] = [None] * len(targets)
    if spool.size > MEMORY_LIMIT or len(targets) > 1:
        _refuse_over_quota(targets, spool, results)
    prepared: dict[bytes, _Prepared] = {}
    own: dict[int, _Prepared] = {}
    for i, target in enumerate(targets):
        if results[i] is None:
            if target.prefix in prepared:
                own[i] = _renamed(prepared[target.prefix])
            else:
                own[i] = prepared[target.prefix] = _prepare(store, target.prefix, spool)

    def attempt() -> list[Delivered | StoreError]:
        plans: list[_Plan] = []
        for i, target in enumerate(targets):
            if results[i] is None:
                plan = _plan(store, target, own[i], results, i)
                if plan is not None:
                    plans.append(plan)
        if plans:
            for plan, result in zip(plans, _deliver_plans(store, plans), strict=True):
                results[plan.index] = result
        return [result for result in results if result is not None]

    return _retrying(attempt)


@dataclass(slots=True)
class _Plan:
    index: int
    target: Target
    mailbox_id: MailboxId
    destined: int  # id of target.destined, 0 when there is none
    directory: str
    file: FileWrite
    incoming: messages.Incoming


def _refuse_over_quota(
    targets: Sequence[Target], spool: Spool, results: list[Delivered | StoreError | None]
) -> None:
    """Before the work of a large or many-recipient message; the transaction checks again."""
    for i, target in enumerate(targets):
        if target.quota > 0 and target.account.usage().octets + spool.size > target.quota:
            text = f"account over maximum total size {target.quota}"
            results[i] = StoreError(ErrorKind.OVER_QUOTA, text)


def _plan(
    store: Store,
    target: Target,
    prepared: _Prepared,
    results: list[Delivered | StoreError | None],
    index: int,
) -> _Plan | None:
    account = target.account
    try:
        destined = account.open_mailbox(target.destined)[0] if target.destined else 0
        mailbox_id, directory = account.open_mailbox(target.mailbox)
        path = _initial_path(prepared.base, target.flags)
        file = _file(store, directory, path, prepared)
    except StoreError as e:
        if e.kind is ErrorKind.NOT_FOUND:
            raise Moved(e.text) from e  # a mailbox that is not there is made
        results[index] = e
        return None
    received, zone = target.received
    incoming = messages.Incoming(
        path,
        received,
        zone,
        prepared.wire_size,
        prepared.facts,
        int(target.flags),
        target.keywords,
    )
    return _Plan(index, target, mailbox_id, destined, directory, file, incoming)


def _renamed(prepared: _Prepared) -> _Prepared:
    """Each target has a file of its own, so a name of its own."""
    base = maildir.base_name(prepared.size, prepared.wire_size)
    return replace(prepared, base=base)


def _initial_path(base: str, flags: int) -> str:
    """Mail without flags is new; with flags it is in cur/ and its name shows them."""
    return maildir.cur_path(base, flags, 0) if flags else "new/" + base


def _deliver_txn(plans: Sequence[_Plan], write: WriteTxn) -> list[Delivered | StoreError]:
    return [_deliver_one(plan, write) for plan in plans]


def _deliver_one(plan: _Plan, write: WriteTxn) -> Delivered | StoreError:
    account = AccountTxn(write, plan.target.account.id)
    try:
        mailbox = account.mailbox_in(plan.mailbox_id, plan.directory, [plan.incoming.path])
    except StoreError as e:
        raise Moved(e.text) from e  # removed: it is made again
    try:
        messages.check_quota(account, plan.incoming.size, plan.target.quota)
        incoming = _with_origin(plan, account, mailbox)
    except StoreError as e:
        return e
    uid = messages.add(account, mailbox, incoming, plan.target.marks)
    if plan.target.then is not None:
        plan.target.then(write, account.state.email_id)
    account.log(ChangeKind.ADDED, mailbox, ((uid, uid),))
    sub = plan.incoming.path[:3]
    mailbox.note_own_files(sub, write.mtimes.get(f"{plan.directory}/{sub}"))
    account.save()
    return Delivered(
        plan.mailbox_id,
        mailbox.record.uidvalidity,
        Uid(uid),
        account.modseq,
        plan.incoming.path,
    )


def _with_origin(plan: _Plan, account: AccountTxn, mailbox: MailboxTxn) -> messages.Incoming:
    """Complete the facts about the sender with the mailboxes; count the arrival."""
    target, write = plan.target, account.write
    if 0 < target.most <= mailbox.state.messages:
        raise StoreError(ErrorKind.LIMIT, f"mailbox has {target.most} messages already")
    if target.origin is None:
        return plan.incoming
    origin = msgspec.structs.replace(
        target.origin, mailbox_orig=mailbox.id, mailbox_destined=plan.destined
    )
    if target.once and is_known_reject(write.txn, write.dbs, account.id, mailbox.id, origin):
        raise StoreError(ErrorKind.EXISTS, "the message is there already")
    arrivals.count(write, account.id, origin.networks, plan.incoming.size, plan.incoming.received)
    return replace(plan.incoming, origin=origin)


def _deliver_plans(store: Store, plans: Sequence[_Plan]) -> list[Delivered | StoreError]:
    files = [plan.file for plan in plans]
    try:
        done = store.committer.write(partial(_deliver_txn, plans), files)
    except Moved:
        for plan in plans:
            plan.target.account.restore_directory(plan.mailbox_id)
        raise
    for plan, result in zip(plans, done, strict=True):
        if isinstance(result, StoreError):
            store.pool.apply(mailfiles.unlink_files, (plan.directory, [plan.incoming.path]))
    return done


# ---- append


def append(
    account: Account,
    mailbox_id: MailboxId,
    new: Sequence[NewMessage],
    quota: int,
    marks: MailboxFlags | None,
    replaced: tuple[MailboxId, int] | None = None,
) -> tuple[Appended, list[tuple[int, str]]]:
    """Add messages in one operation: all get in, with one modseq, or none (RFC 3502).

    `replaced`: a message that goes in the same operation (RFC 8508); the second result has its
    file, to be put away.
    """
    store = account.store
    prepared = [_prepare(store, b"", message.spool) for message in new]

    def attempt() -> tuple[Appended, list[tuple[int, str]]]:
        directory = account.directory(mailbox_id)
        incoming = []
        for message, ready in zip(new, prepared, strict=True):
            path = maildir.cur_path(ready.base, message.flags, 0)
            incoming.append(_appended(path, ready, message.flags, message.keywords, message))
        files = [
            _file(store, directory, each.path, ready)
            for each, ready in zip(incoming, prepared, strict=True)
        ]
        change = partial(
            _append_txn, account.id, mailbox_id, directory, incoming, quota, marks, replaced
        )
        try:
            return store.committer.write(change, files)
        except Moved:
            account.restore_directory(mailbox_id)
            raise

    return _retrying(attempt)


def _appended(
    path: str, ready: _Prepared, flags: Flag, keywords: tuple[str, ...], message: NewMessage
) -> messages.Incoming:
    received: Timestamp = message.received
    return messages.Incoming(
        path, received[0], received[1], ready.wire_size, ready.facts, int(flags), keywords
    )


def _append_txn(
    account_id: int,
    mailbox_id: MailboxId,
    directory: str,
    incoming: Sequence[messages.Incoming],
    quota: int,
    marks: MailboxFlags | None,
    replaced: tuple[MailboxId, int] | None,
    write: WriteTxn,
) -> tuple[Appended, list[tuple[int, str]]]:
    account = AccountTxn(write, account_id)
    mailbox = account.mailbox_in(mailbox_id, directory, (each.path for each in incoming))
    gone = _expunge_replaced(account, replaced) if replaced is not None else []
    messages.check_quota(account, sum(each.size for each in incoming), quota)
    uids = tuple(messages.add(account, mailbox, each, marks) for each in incoming)
    account.log(ChangeKind.ADDED, mailbox, records.ranges(uids))
    mailbox.note_own_files("cur", write.mtimes.get(f"{directory}/cur"))
    account.save()
    return Appended(mailbox.record.uidvalidity, uids, account.modseq), gone


def _expunge_replaced(
    account: AccountTxn, replaced: tuple[MailboxId, int]
) -> list[tuple[int, str]]:
    """Remove the message that new ones take the place of. Raises StoreError when it is gone."""
    source = account.mailbox(replaced[0])
    message = source.get(replaced[1])
    if message is None:
        raise StoreError(ErrorKind.NOT_FOUND, "the message to be replaced is gone")
    return messages.expunge(account, source, [message])


# ---- copy and move


def copy(
    account: Account,
    source_id: MailboxId,
    uids: Sequence[int],
    target_id: MailboxId,
    quota: int,
    marks: MailboxFlags | None,
    *,
    move: bool,
) -> tuple[Copied, Leftovers]:
    """COPY, or MOVE (RFC 6851): hard links, then the records; the old names are for the caller."""
    store = account.store
    chosen: dict[int, str] = {}

    def attempt() -> tuple[Copied, Leftovers]:
        source, target = _existing(account, source_id), _existing(account, target_id)
        letters = CopiedLetters(source, target, marks)
        plan = _CopyPlan(
            account.directory(source_id), account.directory(target_id), letters, target.keywords
        )
        try:
            store.pool.apply(_link, (account, source_id, uids, chosen, plan))
            if plan.links is None:
                return Copied(target.uidvalidity, (), (), ModSeq(0)), Leftovers(plan.source_dir)
            change = partial(_copy_txn, account.id, source_id, target_id, plan, quota, marks, move)
            result, gone = store.committer.write(change)
        except Exception as e:  # not when we are killed: the committer may have the job still
            if plan.links is not None:
                store.pool.apply(plan.links.take_back)
            if isinstance(e, Moved):
                account.mend(source_id)
                account.restore_directory(target_id)
            raise
        finally:
            if plan.links is not None:
                plan.links.close()
        return result, Leftovers(plan.source_dir, gone, result.modseq)

    return _retrying(attempt)


@dataclass(slots=True)
class _CopyPlan:
    """What is copied from where to where, and the links that there are for it."""

    source_dir: str
    target_dir: str
    letters: CopiedLetters
    keywords: Sequence[str]  # of the target
    duplicates: Sequence[copying.Duplicate] = ()
    links: Links | None = None


def _link(
    account: Account,
    source_id: MailboxId,
    uids: Sequence[int],
    chosen: dict[int, str],
    plan: _CopyPlan,
) -> None:
    """Make the links. Runs in the thread pool.

    chosen: paths by uid, the same at each attempt, so that what a scan met keeps its record.
    """
    sources = account.select(source_id, uids)
    paths = account.paths(source_id, [message[0] for message in sources])
    for message, old_path in zip(sources, paths, strict=True):
        if message[0] not in chosen:
            chosen[message[0]] = plan.letters.path(message, _new_base(message, old_path))
    plan.duplicates = [copying.Duplicate(message, chosen[message[0]]) for message in sources]
    if plan.duplicates:
        pairs = [(path, each.path) for path, each in zip(paths, plan.duplicates, strict=True)]
        keywords = plan.keywords if plan.letters.has_keywords else ()
        plan.links = make_links(plan.source_dir, plan.target_dir, pairs, keywords)


def _existing(account: Account, mailbox_id: MailboxId) -> Mailbox:
    mailbox = account.mailbox_by_id(mailbox_id)
    if mailbox is None:
        raise StoreError(ErrorKind.NOT_FOUND, "no such mailbox")
    return mailbox


def _new_base(message: MessageTuple, old_path: str) -> str:
    stored = maildir.stated_size(maildir.split_name(old_path[4:])[0]) or message[M_SIZE]
    return maildir.base_name(stored, message[M_SIZE])


def _copy_txn(
    account_id: int,
    source_id: MailboxId,
    target_id: MailboxId,
    plan: _CopyPlan,
    quota: int,
    marks: MailboxFlags | None,
    move: bool,
    write: WriteTxn,
) -> tuple[Copied, list[str]]:
    duplicates, links = plan.duplicates, plan.links
    assert links is not None, "made before"
    account = AccountTxn(write, account_id)
    source = account.mailbox(source_id)
    target = account.mailbox_in(target_id, plan.target_dir)
    links.check_place(plan.target_dir)
    if not move:
        messages.check_quota(account, sum(d.source[7] for d in duplicates), quota)
    dest_uids = copying.copy(account, source, target, duplicates, marks)
    source_uids = tuple(duplicate.source[0] for duplicate in duplicates)
    gone: list[str] = []
    if move:
        moved = {s: (int(target_id), d) for s, d in zip(source_uids, dest_uids, strict=True)}
        present = messages.select(source, source_uids)
        gone = [path for _, path in messages.expunge(account, source, present, moved)]
    target.note_own_files("cur", links.times)
    account.save()
    result = Copied(target.record.uidvalidity, source_uids, tuple(dest_uids), account.modseq)
    return result, gone
