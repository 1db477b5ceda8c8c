"""The name that the file of a copied message will need, so that it is not renamed at once.

A guess: what the transaction finds is what counts, and where that differs the name follows later
(mirror.py).
"""

from __future__ import annotations

from typing import TYPE_CHECKING

from mox.junk.mailboxflags import MailboxFlags, Mark
from mox.store import maildir, words
from mox.store.model import FLAG_MASK, M_FLAGS, M_KEYWORDS

if TYPE_CHECKING:
    from mox.store.model import Mailbox, MessageTuple


class CopiedLetters:
    """Letters of messages that are copied from one mailbox to another.

    marks: rules for the junk flags of what enters the mailbox.
    """

    def __init__(self, source: Mailbox, target: Mailbox, marks: MailboxFlags | None) -> None:
        self._names = source.keywords
        self._table = {word.lower(): 1 << i for i, word in enumerate(target.keywords)}
        junk, not_junk = words.junk_bits(target.keywords)
        mark = marks.mark(target.name, target.special_use) if marks else None
        self._kept = ~0 if mark is None else ~(junk | not_junk)
        self._added = {Mark.JUNK: junk, Mark.HAM: not_junk}.get(mark, 0) if mark else 0
        self._bits: dict[int, int] = {}

    def path(self, message: MessageTuple, base: str) -> str:
        """Path of the copy below the target's directory."""
        bits = message[M_KEYWORDS]
        known = self._bits.get(bits)
        if known is None:
            known = self._bits[bits] = self._translated(bits)
        return maildir.cur_path(base, message[M_FLAGS] & FLAG_MASK, known)

    def _translated(self, bits: int) -> int:
        """Bits of the target's keywords, as far as it knows them already."""
        found = 0
        for i, name in enumerate(self._names):
            if bits >> i & 1:
                found |= self._table.get(name.lower(), 0)
        return found & self._kept | self._added

    @property
    def has_keywords(self) -> bool:
        """Whether a path so far shows keywords."""
        return any(self._bits.values())
