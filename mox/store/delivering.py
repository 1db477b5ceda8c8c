"""Putting messages that arrive into mailboxes, one for any number of recipients at once.

Here files and records come together: paths are chosen and files handed to the committer.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, replace
from functools import partial
from typing import TYPE_CHECKING

import msgspec

from mox.store import arrivals, journal, maildir, mailfiles, messages
from mox.store.account_txn import AccountTxn, MailboxTxn
from mox.store.committer import WriteTxn
from mox.store.durable import FileWrite
from mox.store.errors import ErrorKind, Moved, StoreError
from mox.store.history import is_known_reject
from mox.store.model import ChangeKind, Delivered, MailboxId, Target, Uid
from mox.store.preparing import Prepared, file_of, prepare, retrying
from mox.store.spool import MEMORY_LIMIT, Spool

if TYPE_CHECKING:
    from mox.store.store import Store


def deliver(store: Store, targets: Sequence[Target], spool: Spool) -> list[Delivered | StoreError]:
    """Deliver one message to all targets in one durable batch; a result for each.

    A target's own trouble (quota, a name that cannot be) is its result. Trouble of the disk or
    the index is raised as StoreError: then no target got it.
    """
    results: list[Delivered | StoreError | None] = [None] * len(targets)
    if spool.size > MEMORY_LIMIT or len(targets) > 1:
        _refuse_over_quota(targets, spool, results)
    prepared: dict[bytes, Prepared] = {}
    own: dict[int, Prepared] = {}
    for i, target in enumerate(targets):
        if results[i] is None:
            if target.prefix in prepared:
                own[i] = _renamed(prepared[target.prefix])
            else:
                own[i] = prepared[target.prefix] = prepare(store, target.prefix, spool)

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

    return retrying(attempt)


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
    prepared: Prepared,
    results: list[Delivered | StoreError | None],
    index: int,
) -> _Plan | None:
    account = target.account
    try:
        destined = account.open_mailbox(target.destined)[0] if target.destined else 0
        mailbox_id, directory = account.open_mailbox(target.mailbox)
        path = _initial_path(prepared.base, target.flags)
        file = file_of(store, directory, path, prepared)
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


def _renamed(prepared: Prepared) -> Prepared:
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
    journal.keep(write, account.id, mailbox.id, uid, plan.file)
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
