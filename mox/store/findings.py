"""What a comparison found, applied in one transaction that checks each point again.

So two processes that notice the same change do it once, and what happened since is not undone.
"""

from __future__ import annotations

import os
import time
from collections.abc import Sequence
from dataclasses import dataclass, field

from mox.store import maildir, messages, records
from mox.store.account_txn import AccountTxn, MailboxTxn, apply_flags
from mox.store.committer import WriteTxn
from mox.store.errors import ErrorKind, StoreError
from mox.store.mailfiles import Adopted, Difference, Listing
from mox.store.model import FLAG_MASK, M_FLAGS, M_KEYWORDS, ChangeKind, MailboxId
from mox.store.records import KEY_AMU


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
        moving = bool(account.entries_under_way())
        if not moving:
            self._apply_gone(account, mailbox)
        if self.listing is not None and not moving:
            self._note_listing(mailbox, self.listing)
            mailbox.forget_removals(self.listing.removals)
        account.save()

    def _note_listing(self, mailbox: MailboxTxn, listing: Listing) -> None:
        """Note when the directories were seen as they are, unless we changed them since."""
        state = mailbox.state
        if listing.recorded == (state.new_mtime, state.cur_mtime):
            state.new_mtime, state.cur_mtime = listing.new_mtime, listing.cur_mtime
            state.scanned = int(time.time())

    def apply_if_there(self, write: WriteTxn) -> None:
        try:
            self.apply(write)
        except StoreError as e:
            if e.kind is not ErrorKind.NOT_FOUND:
                raise

    def _is_there(self, path: str) -> bool:
        """Whether a file is in the mailbox's directory even now, while no rename can begin."""
        return os.path.lexists(f"{self.directory}/{path}")

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
            if not self._is_there(path):
                continue  # it has got yet another name since: what this one says is old
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
            if not self._is_there(each.incoming.path):
                continue  # a writer took it back, or it has another name: found the next time
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
            if self._is_there(path):
                continue  # what was listed was another directory, in the middle of a rename
            base = maildir.split_name(path[4:])[0]
            write.delete(dbs.base, mailbox.key + base.encode())
            mailbox.remove(message)
            removed.append(uid)
        if removed:
            account.log(ChangeKind.EXPUNGED, mailbox, records.ranges(removed))
