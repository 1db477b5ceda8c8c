"""The records of a whole mailbox as columns: one read, and no object for each message."""

from __future__ import annotations

from array import array
from functools import cached_property
from typing import TYPE_CHECKING, Final

from mox.store.records import KEYED_MESSAGE

if TYPE_CHECKING:
    from collections.abc import Sequence

# Where the fields are in a record with its key before it, in units of their size, and the size of
# the record in these units. Modseq and keywords are two words each.
_ROW_WORDS: Final = KEYED_MESSAGE.size // 4
_UID: Final = 2
_MODSEQ: Final = 3
_KEYWORDS: Final = 5
_SIZE: Final = 15
_ROW_HALVES: Final = KEYED_MESSAGE.size // 2
_FLAGS: Final = 32


class MessageColumns:
    """The messages of a mailbox, ascending by uid; the columns are made when asked for."""

    def __init__(self, block: memoryview) -> None:
        """Take records with their keys, as cursor.getmulti(keyfixed=True) gives them."""
        octets = memoryview(block).cast("B")
        self._words = octets.cast("I")
        self._halves = octets.cast("H")

    def _word(self, at: int) -> array[int]:
        column = array("I", self._words[at::_ROW_WORDS].tolist())
        column.byteswap()
        return column

    def _two_words(self, at: int) -> Sequence[int]:
        high, low = self._word(at), self._word(at + 1)
        if not any(high):
            return low
        return [h << 32 | w for h, w in zip(high, low, strict=True)]

    @cached_property
    def uids(self) -> array[int]:
        return self._word(_UID)

    @cached_property
    def modseqs(self) -> Sequence[int]:
        return self._two_words(_MODSEQ)

    @cached_property
    def keywords(self) -> Sequence[int]:
        """Bits into the mailbox's keywords."""
        return self._two_words(_KEYWORDS)

    @cached_property
    def sizes(self) -> array[int]:
        return self._word(_SIZE)

    @cached_property
    def flags(self) -> array[int]:
        """Flag bits; those above FLAG_MASK are the store's own."""
        column = array("H", self._halves[_FLAGS::_ROW_HALVES].tolist())
        column.byteswap()
        return column
