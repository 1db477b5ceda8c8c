"""Walking over many messages of the selected mailbox, a block at a time.

The records of a large selection come from one read of the mailbox; between blocks the caller can
send what it has and let other connections run.
"""

from __future__ import annotations

from array import array
from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass
from itertools import islice
from typing import TYPE_CHECKING

from mox.imap.sequence import Slice, uids_at

if TYPE_CHECKING:
    from mox.imapd.view import View
    from mox.store.account import Account
    from mox.store.model import MailboxId, MessageTuple

# From so many messages on, and at least half of the mailbox, all records are read at once.
_MANY = 500


@dataclass(frozen=True, slots=True)
class Block:
    """Some of the messages asked for, ascending.

    numbers: their sequence numbers, in the order of `messages`. missing: uids that the client
    still numbers and that are gone from the mailbox.
    """

    numbers: Sequence[int]
    messages: list[MessageTuple]
    missing: Sequence[int] = ()


def blocks(
    account: Account, view: View, slices: Sequence[Slice], size: int, *, backward: bool = False
) -> Iterator[Block]:
    """The messages at positions `slices` in blocks of at most `size`; `backward`: last first.

    Within a block the order is ascending always.
    """
    wanted = sum(stop - start for start, stop in slices)
    everything = None
    if wanted >= _MANY and wanted * 2 >= view.exists and not backward:
        everything = islice(account.scan(view.mailbox_id), slices[0][0], None)
    source = _Records(account, view.mailbox_id, everything)
    groups: Iterable[list[Slice]] = _groups(slices, size)
    if backward:
        groups = reversed(list(groups))
    for group in groups:
        uids = uids_at(group, view.uids)
        numbers = _numbers(group)
        messages = source.read(uids)
        if len(messages) == len(uids):
            yield Block(numbers, messages)
        else:
            yield _without_missing(numbers, uids, messages)


class _Records:
    """Reads records of uids, from one scan of the mailbox for as long as that stays in step."""

    __slots__ = ("_account", "_everything", "_mailbox_id")

    def __init__(
        self, account: Account, mailbox_id: MailboxId, everything: Iterator[MessageTuple] | None
    ) -> None:
        self._account = account
        self._mailbox_id = mailbox_id
        self._everything = everything

    def read(self, uids: array[int]) -> list[MessageTuple]:
        """The records that exist, ascending."""
        if self._everything is not None:
            messages = list(islice(self._everything, len(uids)))
            if array("I", [message[0] for message in messages]) == uids:
                return messages
            self._everything = None
        return self._account.select(self._mailbox_id, uids)


def _groups(slices: Iterable[Slice], size: int) -> Iterator[list[Slice]]:
    group: list[Slice] = []
    room = size
    for start, stop in slices:
        while start < stop:
            step = min(room, stop - start)
            group.append((start, start + step))
            start += step
            room -= step
            if not room:
                yield group
                group, room = [], size
    if group:
        yield group


def _numbers(group: Sequence[Slice]) -> Sequence[int]:
    if len(group) == 1:
        start, stop = group[0]
        return range(start + 1, stop + 1)
    return [position + 1 for start, stop in group for position in range(start, stop)]


def _without_missing(
    numbers: Sequence[int], uids: Sequence[int], messages: list[MessageTuple]
) -> Block:
    present = {message[0] for message in messages}
    pairs = list(zip(numbers, uids, strict=True))
    kept = [number for number, uid in pairs if uid in present]
    return Block(kept, messages, [uid for uid in uids if uid not in present])
