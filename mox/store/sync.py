"""Noticing what other programs did to a mailbox's files.

A directory whose mtime is not the recorded one is compared with the index: an unknown file in
new/ or cur/ becomes a message, a renamed one is a flag change, a missing one an expunge. The
comparison runs in the thread pool; its result is applied in one transaction that checks each
point again, so that two processes noticing the same change do it once.
"""

from __future__ import annotations

import contextlib
import errno
import os
import stat
import time
from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass, field
from functools import partial
from typing import TYPE_CHECKING

import gevent

from mox import logfmt
from mox.message import index_facts
from mox.store import maildir, messages, records
from mox.store.account_txn import AccountTxn, MailboxTxn, apply_flags
from mox.store.committer import WriteTxn
from mox.store.durable import space_error
from mox.store.errors import ErrorKind, StoreError
from mox.store.model import FLAG_MASK, M_FLAGS, M_KEYWORDS, ChangeKind, MailboxId
from mox.store.reading import range_items
from mox.store.records import KEY_A, KEY_AMU

if TYPE_CHECKING:
    from mox.store.account import Account

log = logfmt.logger("store")

_ADOPT_AT_ONCE = 500
_LOGGED_FILES = 5

# Whoever renames the mailbox while it is compared makes us look again, after so many seconds.
_PAUSES_S = (0.0, 0.01, 0.05, 0.2)

# A directory changed this recently may change again without a new mtime (clock tick).
TICK_NS = 20_000_000


@dataclass(slots=True)
class Listing:
    """What a mailbox's directory held, and when its parts were last changed (ns; 0 unsure)."""

    paths: set[str]
    new_mtime: int
    cur_mtime: int


@dataclass(slots=True)
class Adopted:
    """A file that is to become a message."""

    incoming: messages.Incoming
    keyword_bits: int


@dataclass(slots=True)
class Difference:
    """What the files say that the index does not."""

    renamed: list[tuple[int, str]] = field(default_factory=list)  # uid, new path
    unknown: list[str] = field(default_factory=list)  # paths
    gone: list[tuple[int, str]] = field(default_factory=list)  # uid, path in the index

    def __bool__(self) -> bool:
        return bool(self.renamed or self.unknown or self.gone)


# ---- in the thread pool: looking


def mtimes(directory: str) -> tuple[int, int]:
    """mtime of new/ and cur/ in ns; raises OSError."""
    return (
        os.stat(f"{directory}/new").st_mtime_ns,
        os.stat(f"{directory}/cur").st_mtime_ns,
    )


def list_mailbox(directory: str) -> Listing:
    """List new/ before cur/: a message that moves meanwhile shows up at least once."""
    settled = time.time_ns() - TICK_NS
    new_mtime, cur_mtime = mtimes(directory)
    paths = {f"new/{name}" for name in os.listdir(f"{directory}/new") if name[0] != "."}
    paths.update(f"cur/{name}" for name in os.listdir(f"{directory}/cur") if name[0] != ".")
    return Listing(
        paths,
        new_mtime if new_mtime < settled else 0,
        cur_mtime if cur_mtime < settled else 0,
    )


def compare(known: dict[str, int], present: set[str]) -> Difference:
    """Compare the index's paths (with their uids) with the directory's."""
    difference = Difference()
    unknown = present - known.keys()
    missing = {maildir.split_name(path[4:])[0]: path for path in known.keys() - present}
    if missing and unknown:
        for path in sorted(unknown):
            old = missing.pop(maildir.split_name(path[4:])[0], None)
            if old is None:
                difference.unknown.append(path)
            else:
                difference.renamed.append((known[old], path))
    else:
        difference.unknown = sorted(unknown)
    difference.gone = [(known[path], path) for path in missing.values()]
    return difference


def adopt_files(
    directory: str, paths: Iterable[str], quarantine: str
) -> tuple[list[Adopted], list[str]]:
    """Read the files that are to become messages; broken ones go to the quarantine."""
    adopted: list[Adopted] = []
    broken: list[str] = []
    for path in paths:
        found = read_regular(f"{directory}/{path}")
        if found is None:
            continue
        stated = maildir.stated_size(maildir.split_name(path[4:])[0])
        if stated is None or stated == len(found[0]):
            adopted.append(_adopt(path, *found))
            continue
        with contextlib.suppress(FileNotFoundError):  # renamed meanwhile: found the next time
            os.makedirs(quarantine, mode=0o700, exist_ok=True)
            os.rename(f"{directory}/{path}", f"{quarantine}/{path[4:]}")
            broken.append(path[4:])
    return adopted, broken


def _adopt(path: str, content: bytes, modified: int) -> Adopted:
    text = maildir.split_name(path[4:])[1]
    lines = content.count(b"\n")
    wire = lines > 0 and content.count(b"\r\n") == lines
    facts = index_facts(content, wire=wire)
    overview = records.pack_overview(facts.envelope, facts.bodystructure)
    flags, bits = maildir.parse_letters(text)
    incoming = messages.Incoming(path, modified, 0, facts.size, overview, flags=flags, wire=wire)
    return Adopted(incoming, bits)


def read_regular(path: str) -> tuple[bytes, int] | None:
    """Content and mtime (s) of a regular file; None for anything else or one that has gone."""
    try:
        fd = os.open(path, os.O_RDONLY | os.O_NOFOLLOW | os.O_NONBLOCK | os.O_CLOEXEC)
    except OSError as e:
        if e.errno in (errno.ENOENT, errno.ELOOP, errno.EACCES, errno.ENXIO):
            return None
        raise
    try:
        status = os.fstat(fd)
        if not stat.S_ISREG(status.st_mode):
            return None
        with open(fd, "rb", closefd=False) as f:
            return f.read(), int(status.st_mtime)
    finally:
        os.close(fd)


# ---- in the write transaction: applying


@dataclass(slots=True)
class Findings:
    """All that one transaction needs to bring a mailbox in line with its directory."""

    account_id: int
    mailbox_id: MailboxId
    directory: str  # that was looked at
    difference: Difference
    adopted: Sequence[Adopted] = ()
    keyword_file: dict[int, str] = field(default_factory=dict)
    listing: Listing | None = None  # None: only some names were looked at
    leftovers: list[str] = field(default_factory=list)  # out: files of expunged messages

    def apply(self, write: WriteTxn) -> None:
        """Raises Moved when the mailbox has got another directory meanwhile."""
        account = AccountTxn(write, self.account_id)
        mailbox = account.mailbox_in(self.mailbox_id, self.directory)
        self.leftovers = []
        self._apply_renamed(account, mailbox)
        self._apply_adopted(account, mailbox)
        moving = has_intent(write, self.account_id)
        if not moving:
            self._apply_gone(account, mailbox)
        if self.listing is not None and not moving:
            mailbox.state.new_mtime = self.listing.new_mtime
            mailbox.state.cur_mtime = self.listing.cur_mtime
            mailbox.state.scanned = int(time.time())
        account.save()

    def apply_if_there(self, write: WriteTxn) -> None:
        try:
            self.apply(write)
        except StoreError as e:
            if e.kind is not ErrorKind.NOT_FOUND:
                raise

    def _bits(self, mailbox: MailboxTxn, bits: int) -> int:
        """Keyword letters of a file name as bits of the mailbox's own table."""
        if not bits:
            return 0
        table = mailbox.record.keywords
        words = []
        for i in range(maildir.MAX_LETTERS):
            if bits >> i & 1:
                word = self.keyword_file.get(i) or (table[i] if i < len(table) else "")
                if word:
                    words.append(word)
        return mailbox.keyword_bits(tuple(words))

    def _apply_renamed(self, account: AccountTxn, mailbox: MailboxTxn) -> None:
        write, dbs = account.write, account.write.dbs
        changed: list[int] = []
        for uid, path in sorted(self.difference.renamed):
            key = KEY_AMU.pack(account.id, mailbox.id, uid)
            recorded = write.get(dbs.file, key)
            message = mailbox.get(uid)
            if recorded is None or message is None or recorded == path.encode():
                continue
            flags, bits = message[M_FLAGS] & FLAG_MASK, message[M_KEYWORDS]
            text = maildir.split_name(path[4:])[1]
            if text not in messages.own_letters(write, key):
                old_text = maildir.split_name(recorded.decode()[4:])[1]
                flags, bits = self._take_over(mailbox, (flags, bits), old_text, text)
            write.put(dbs.file, key, path.encode())
            if messages.shown_path(path, flags, bits) == path:
                write.delete(dbs.mirror, key)
            else:
                messages.show_later(write, key, flags, bits)
            if flags != message[M_FLAGS] & FLAG_MASK or bits != message[M_KEYWORDS]:
                mailbox.replace(message, apply_flags(message, flags, bits, account.modseq))
                changed.append(uid)
        if changed:
            account.log(ChangeKind.FLAGS, mailbox, records.ranges(changed))

    def _take_over(
        self, mailbox: MailboxTxn, present: tuple[int, int], old_text: str, new_text: str
    ) -> tuple[int, int]:
        """Only what the other program changed: our own change may not be in the name yet."""
        old_flags, old_bits = maildir.parse_letters(old_text)
        new_flags, new_bits = maildir.parse_letters(new_text)
        flags, bits = present
        flags = (flags | new_flags & ~old_flags) & ~(old_flags & ~new_flags)
        if old_bits != new_bits:
            bits = bits & ~self._bits(mailbox, old_bits & ~new_bits)
            bits |= self._bits(mailbox, new_bits & ~old_bits)
        return flags, bits

    def _apply_adopted(self, account: AccountTxn, mailbox: MailboxTxn) -> None:
        added: list[int] = []
        for each in self.adopted:
            known = account.write.get(
                account.write.dbs.base, mailbox.key + each.incoming.base.encode()
            )
            if known is not None:
                if len(known) != 4:  # expunged: its file should have been put away
                    self.leftovers.append(each.incoming.path)
                continue
            uid = messages.add(account, mailbox, each.incoming)
            bits = self._bits(mailbox, each.keyword_bits)
            message = mailbox.get(uid)
            if bits and message is not None:
                flags = message[M_FLAGS] & FLAG_MASK
                mailbox.replace(message, apply_flags(message, flags, bits, account.modseq))
            added.append(uid)
        if added:
            account.log(ChangeKind.ADDED, mailbox, records.ranges(added))

    def _apply_gone(self, account: AccountTxn, mailbox: MailboxTxn) -> None:
        write, dbs = account.write, account.write.dbs
        removed: list[int] = []
        for uid, path in sorted(self.difference.gone):
            key = KEY_AMU.pack(account.id, mailbox.id, uid)
            message = mailbox.get(uid)
            if message is None or write.get(dbs.file, key) != path.encode():
                continue
            if os.path.lexists(f"{self.directory}/{path}"):
                continue  # what was listed was another directory, in the middle of a rename
            base = maildir.split_name(path[4:])[0]
            write.delete(dbs.base, mailbox.key + base.encode())
            mailbox.remove(message)
            removed.append(uid)
        if removed:
            account.log(ChangeKind.EXPUNGED, mailbox, records.ranges(removed))


# ---- on the event loop: bringing both together


def compare_all(account: Account, mailbox_id: MailboxId, quarantine: str) -> bool:
    """List the mailbox's directory, compare it with the index, apply; whether they differed."""
    return _where_it_is(account, mailbox_id, partial(_compare_all, account, mailbox_id, quarantine))


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


def _compare_all(account: Account, mailbox_id: MailboxId, quarantine: str, directory: str) -> bool:
    store = account.store

    def look() -> tuple[Listing, Difference]:
        known = store.known_paths(account.id, mailbox_id)
        listing = list_mailbox(directory)
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
        store.later_write(findings.apply_if_there)
        return False
    _apply(account, directory, findings, quarantine)
    return True


def _compare_some(
    account: Account, mailbox_id: MailboxId, paths: set[str], quarantine: str, directory: str
) -> bool:
    difference = _difference_of(account, mailbox_id, directory, paths)
    if difference:
        findings = Findings(account.id, mailbox_id, directory, difference)
        _apply(account, directory, findings, quarantine)
    return bool(difference)


def _difference_of(
    account: Account, mailbox_id: MailboxId, directory: str, paths: set[str]
) -> Difference:
    store = account.store
    difference = Difference()
    there = {path for path in paths if os.path.lexists(f"{directory}/{path}")}
    shown: set[int] = set()
    for path in sorted(there):
        uid, tombstone = store.uid_of_base(account.id, mailbox_id, maildir.split_name(path[4:])[0])
        if uid is None:
            if not tombstone:
                difference.unknown.append(path)
            continue
        shown.add(uid)
        if store.path_of(account.id, mailbox_id, uid) != path:
            difference.renamed.append((uid, path))
    for path in sorted(paths - there):
        uid, _ = store.uid_of_base(account.id, mailbox_id, maildir.split_name(path[4:])[0])
        if uid is not None and uid not in shown:
            recorded = store.path_of(account.id, mailbox_id, uid)
            if recorded is not None and not os.path.lexists(f"{directory}/{recorded}"):
                difference.gone.append((uid, recorded))
    return difference


def _apply(account: Account, directory: str, findings: Findings, quarantine: str) -> None:
    """Apply in slices, so that thousands of adopted files do not hold up other writers."""
    store = account.store
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
        if not has_intent(write, account.id):
            # Inside the transaction: a rename must not find the old directory made again.
            maildir.make_mailbox_directory(directory)

    try:
        store.committer.write(change)
    except OSError as e:
        raise space_error(e, directory) from e
    return bool(gone)


def has_intent(write: WriteTxn, account_id: int) -> bool:
    """Whether a rename or removal of one of the account's mailboxes is under way."""
    return any(True for _ in range_items(write.txn, write.dbs.intent, KEY_A.pack(account_id)))


def read_by_base(directory: str, base: str) -> bytes | None:
    """The content of the file with this base, wherever in the mailbox it is; None: nowhere."""
    for sub in ("cur", "new"):
        for name in os.listdir(f"{directory}/{sub}"):
            if maildir.split_name(name)[0] == base:
                found = read_regular(f"{directory}/{sub}/{name}")
                return None if found is None else found[0]
    return None


def paths_of_bases(directory: str, bases: set[str]) -> list[str]:
    """The paths of the mailbox's files that have one of these base names."""
    return [
        f"{sub}/{name}"
        for sub in ("new", "cur")
        for name in os.listdir(f"{directory}/{sub}")
        if maildir.split_name(name)[0] in bases
    ]


def unlink_files(directory: str, paths: Sequence[str]) -> None:
    """Remove files; one that is gone already is as good."""
    for path in paths:
        try:
            os.unlink(f"{directory}/{path}")
        except FileNotFoundError:
            continue
