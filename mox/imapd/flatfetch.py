"""FETCH of UID, FLAGS, MODSEQ and RFC822.SIZE for most of a large mailbox.

What clients do after each SELECT. The lines are made from columns, a thousand with one format:
half the time of a line for each message's record.
"""

from __future__ import annotations

from bisect import bisect_left
from collections.abc import Iterator, Sequence
from itertools import chain
from typing import TYPE_CHECKING, Final

from mox.imap.fetchatt import Plain
from mox.imapd.flagtext import KEYWORD_SHIFT, RECENT, FlagTexts
from mox.store.model import FLAG_MASK

if TYPE_CHECKING:
    from mox.imap.sequence import Slice
    from mox.store.columns import MessageColumns

_FORMATS: Final = {
    Plain.UID: b"UID %d",
    Plain.FLAGS: b"FLAGS %b",
    Plain.MODSEQ: b"MODSEQ (%d)",
    Plain.SIZE: b"RFC822.SIZE %d",
}
# From so many messages on, and at least half of the mailbox.
_MANY: Final = 500
# Bits of the store in a record's flags.
_OWN_BITS: Final = 0xFFFF & ~FLAG_MASK
_LINES: Final = 1000


def is_flat(items: Sequence[Plain], wanted: int, exists: int) -> bool:
    """Whether these items of so many messages are better told this way."""
    return wanted >= _MANY and wanted * 2 >= exists and _FORMATS.keys() >= set(items)


def flat_lines(
    columns: MessageColumns,
    items: Sequence[Plain],
    slices: Sequence[Slice],
    texts: FlagTexts,
    *,
    recent_from: int,
    uidonly: bool,
) -> Iterator[bytes]:
    """Yield the responses for the messages at positions `slices`, many at a time."""
    numbers = columns.uids if uidonly else range(1, len(columns.uids) + 1)
    values: list[Sequence[int] | Sequence[bytes]] = [numbers]
    values += [_column(columns, item, texts, recent_from) for item in items]
    verb = b"UIDFETCH" if uidonly else b"FETCH"
    line = b"* %d " + verb + b" (" + b" ".join([_FORMATS[item] for item in items]) + b")\r\n"
    for start, stop in slices:
        for first in range(start, stop, _LINES):
            last = min(first + _LINES, stop)
            rows = zip(*[column[first:last] for column in values], strict=True)
            yield line * (last - first) % tuple(chain.from_iterable(rows))


def _column(
    columns: MessageColumns, item: Plain, texts: FlagTexts, recent_from: int
) -> Sequence[int] | Sequence[bytes]:
    match item:
        case Plain.UID:
            return columns.uids
        case Plain.MODSEQ:
            return columns.modseqs
        case Plain.SIZE:
            return columns.sizes
        case _:
            return _flags(columns, texts, recent_from)


def _flags(columns: MessageColumns, texts: FlagTexts, recent_from: int) -> list[bytes]:
    keys: Sequence[int] = columns.flags
    if any(columns.keywords):
        pairs = zip(keys, columns.keywords, strict=True)
        keys = [flags & FLAG_MASK | bits << KEYWORD_SHIFT for flags, bits in pairs]
        shown: dict[int, bytes] = texts
    else:
        shown = {flags: texts[flags & FLAG_MASK] for flags in set(keys)}
    found = [shown[key] for key in keys]
    at = bisect_left(columns.uids, recent_from)
    if at < len(found):
        found[at:] = [texts[key & ~_OWN_BITS | RECENT] for key in keys[at:]]
    return found
