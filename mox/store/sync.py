"""Noticing what other programs did to a mailbox's files.

A directory whose mtime is not the recorded one is compared with the index: an unknown file in
new/ or cur/ becomes a message, a renamed one is a flag change, a missing one an expunge. The
comparison runs in the thread pool (mailfiles.py); its result is applied in one transaction
(findings.py).
"""

from __future__ import annotations

import os
from collections.abc import Callable
from functools import partial
from typing import TYPE_CHECKING

import gevent

from mox import logfmt
from mox.store import journal, maildir
from mox.store.account_txn import AccountTxn, now
from mox.store.committer import WriteLater, WriteTxn
from mox.store.durable import space_error, write_out
from mox.store.errors import ErrorKind, StoreError
from mox.store.findings import Findings
from mox.store.mailfiles import (
    Difference,
    Listing,
    adopt_files,
    compare,
    list_mailbox,
    paths_of_bases,
    unlink_files,
)
from mox.store.model import M_SAVED, MailboxId

if TYPE_CHECKING:
    from mox.store.account import Account

log = logfmt.logger("store")

_ADOPT_AT_ONCE = 500
_LOGGED_FILES = 5

# Whoever renames the mailbox while it is compared makes us look again, after so many seconds.
_PAUSES_S = (0.0, 0.01, 0.05, 0.2)


def compare_all(
    account: Account, mailbox_id: MailboxId, quarantine: str, later: WriteLater
) -> bool:
    """List the mailbox's directory, compare it with the index, apply; whether they differed.

    later: commits the note that they agree.
    """
    look = partial(_compare_all, account, mailbox_id, quarantine, later)
    return _where_it_is(account, mailbox_id, look)


def compare_some(account: Account, mailbox_id: MailboxId, paths: set[str], quarantine: str) -> None:
    """Look at single paths that inotify named; the rest of the mailbox is not touched."""
    look = partial(_compare_some, account, mailbox_id, paths, quarantine)
    _where_it_is(account, mailbox_id, look)


def _where_it_is(account: Account, mailbox_id: MailboxId, compare: Callable[[str], bool]) -> bool:
    """Compare in the mailbox's directory, again when it was renamed meanwhile.

    One that is in between for longer is left alone: whoever ends the rename gives it a
    directory that is due to be compared.
    """
    for pause in _PAUSES_S:
        directory = account.present_directory(mailbox_id)
        if directory is None:
            return False
        try:
            return compare(directory)
        except StoreError as e:
            if e.kind is not ErrorKind.NOT_FOUND:
                raise
            gevent.sleep(pause)
    return False


def _compare_all(
    account: Account, mailbox_id: MailboxId, quarantine: str, later: WriteLater, directory: str
) -> bool:
    store = account.store

    def look() -> tuple[Listing, Difference]:
        known = store.known_paths(account.id, mailbox_id)
        recorded = store.recorded_mtimes(account.id, mailbox_id)
        removals = account.removals(mailbox_id)
        listing = list_mailbox(directory)
        listing.recorded, listing.removals = recorded, removals
        difference = compare(known, listing.paths)
        if difference.gone:
            # A rename while the directory was read can hide a file: believe two listings only.
            again = list_mailbox(directory)
            difference = compare(known, again.paths | listing.paths)
        return listing, difference

    try:
        listing, difference = store.pool.apply(look)
    except FileNotFoundError:
        return _directory_missing(account, mailbox_id, directory)
    except OSError as e:
        detail = f"{directory}: {e}: check owner and mode"
        raise StoreError(ErrorKind.INTERNAL, "cannot read mailbox", detail) from e
    findings = Findings(account.id, mailbox_id, directory, difference, listing=listing)
    if not difference:
        mtimes = listing.new_mtime, listing.cur_mtime
        if listing.removals or not account.is_known_to_agree(mailbox_id, mtimes):
            later(findings.apply_if_there)
        return False
    _apply(account, directory, findings, quarantine)
    return True


def _compare_some(
    account: Account, mailbox_id: MailboxId, paths: set[str], quarantine: str, directory: str
) -> bool:
    def look() -> Difference:
        difference = _difference_of(account, mailbox_id, directory, paths)
        if difference.gone:
            _look_for_gone(directory, difference)
        return difference

    difference = account.store.pool.apply(look)
    if difference:
        findings = Findings(account.id, mailbox_id, directory, difference)
        _apply(account, directory, findings, quarantine)
    return bool(difference)


def _difference_of(
    account: Account, mailbox_id: MailboxId, directory: str, paths: set[str]
) -> Difference:
    """What the files of these names, there or not, have other than the index. Blocks.

    Most were renamed by our own hand: they cost a look at the file that the index knows.
    """
    difference = Difference()
    names: dict[str, list[str]] = {}
    for path in sorted(paths):
        names.setdefault(maildir.split_name(path[4:])[0], []).append(path)
    known = account.store.files_of_bases(account.id, mailbox_id, list(names))
    for base, some in names.items():
        if base not in known:
            difference.unknown += [path for path in some if _is_there(directory, path)]
            continue
        found = known[base]
        if found is None or _is_there(directory, found[1]):
            continue  # expunged, or where it should be
        there = [path for path in some if _is_there(directory, path)]
        if there:
            difference.renamed.append((found[0], there[0]))
        else:
            difference.gone.append(found)
    return difference


def _is_there(directory: str, path: str) -> bool:
    return os.path.lexists(f"{directory}/{path}")


def _look_for_gone(directory: str, difference: Difference) -> None:
    """Of a rename we may have heard one half only: look for the other before it is an expunge."""
    missing = {maildir.split_name(path[4:])[0]: (uid, path) for uid, path in difference.gone}
    for path in paths_of_bases(directory, set(missing)):
        found = missing.pop(maildir.split_name(path[4:])[0], None)
        if found is not None:
            difference.renamed.append((found[0], path))
    difference.gone = list(missing.values())


def _let_go(account: Account, findings: Findings) -> None:
    """Files that have left the mailbox are no more restored after a crash of the machine.

    Another program may have moved them elsewhere before they were durable. Blocks.
    """
    store = account.store
    with store.dbs.env.begin() as txn:
        durable_before = journal.durable_before(txn, store.dbs, now())
    if durable_before is not None:
        uids = sorted(uid for uid, _ in findings.difference.gone)
        messages = account.select(findings.mailbox_id, uids)
        if any(message[M_SAVED] >= durable_before for message in messages):
            write_out(os.fspath(store.data_dir))


def _apply(account: Account, directory: str, findings: Findings, quarantine: str) -> None:
    """Apply in slices, so that thousands of adopted files do not hold up other writers."""
    store = account.store
    if findings.difference.gone:
        store.pool.apply(_let_go, (account, findings))
    if findings.difference:
        findings.keyword_file = maildir.read_keyword_file(directory)
    unknown, listing = findings.difference.unknown, findings.listing
    for start in range(0, max(len(unknown), 1), _ADOPT_AT_ONCE):
        some = unknown[start : start + _ADOPT_AT_ONCE]
        findings.listing = listing if start + _ADOPT_AT_ONCE >= len(unknown) else None
        findings.adopted, broken = store.pool.apply(adopt_files, (directory, some, quarantine))
        if broken:
            log.warn(
                "files have another size than their names say, moved to the quarantine directory: "
                "repair them or take the size out of the name, then move them back",
                account=account.name,
                directory=directory,
                files=broken[:_LOGGED_FILES],
                count=len(broken),
            )
        store.committer.write(findings.apply)
        if findings.leftovers:
            store.later(unlink_files, directory, findings.leftovers)
        findings.difference = Difference()


def _directory_missing(account: Account, mailbox_id: MailboxId, directory: str) -> bool:
    """Someone removed the directory: its messages are gone, the mailbox stays.

    Unless a rename is under way, or the Maildir itself is missing (a disk not mounted).
    """
    root = os.path.join(account.base, "Maildir")
    store = account.store
    if not os.path.isdir(root) or store.renaming(account.id):
        return False
    known = store.known_paths(account.id, mailbox_id)
    gone = [(uid, path) for path, uid in known.items()]
    findings = Findings(account.id, mailbox_id, directory, Difference(gone=gone))

    def change(write: WriteTxn) -> None:
        findings.apply(write)
        if not AccountTxn(write, account.id).entries_under_way():
            # Inside the transaction: a rename must not find the old directory made again.
            maildir.make_mailbox_directory(directory)

    try:
        store.pool.apply(_let_go, (account, findings))
        store.committer.write(change)
    except OSError as e:
        raise space_error(e, directory) from e
    return bool(gone)
