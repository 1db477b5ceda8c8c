"""Carrying out search programs on a mailbox: what SEARCH, SORT, THREAD and ESEARCH share.

Works through the mailbox in blocks and lets other connections run in between.
"""

from __future__ import annotations

import time
from array import array
from collections.abc import Iterator, Sequence
from itertools import compress
from typing import TYPE_CHECKING

from mox.imap.search import Layout, Plan, compile_search
from mox.imap.search import View as SearchView
from mox.imap.searchkeys import walk
from mox.imap.sequence import slices_in
from mox.imapd.blocks import blocks
from mox.imapd.flagtext import FLAG_BY_NAME
from mox.imapd.objectids import number_of
from mox.imapd.pace import Pace
from mox.imapd.searchtext import OverviewFilter, Shelf
from mox.store.model import (
    M_EMAIL_ID,
    M_FLAGS,
    M_KEYWORDS,
    M_MODSEQ,
    M_RECEIVED,
    M_SAVED,
    M_SIZE,
    M_THREAD_ID,
    M_UID,
    M_ZONE,
    MAX_UID,
)

if TYPE_CHECKING:
    from mox.imap.searchkeys import SearchKey
    from mox.imapd.searchtext import StoredText
    from mox.imapd.view import View
    from mox.store.account import Account
    from mox.store.model import FlagColumn, MessageTuple

_BLOCK = 2000
# Keys that are tested before others get their turn.
_TESTS = 40_000
# With texts to look at, so that what is kept of them need not be held for all at once.
_TEXT_BLOCK = 200
# The first match is looked for in small steps, as it may come soon.
_FIRST_BLOCK = 100

_LAYOUT = Layout(
    uid=M_UID,
    modseq=M_MODSEQ,
    flags=M_FLAGS,
    keywords=M_KEYWORDS,
    received=M_RECEIVED,
    zone=M_ZONE,
    size=M_SIZE,
    saved=M_SAVED,
    email=M_EMAIL_ID,
    thread=M_THREAD_ID,
    flag_bits={name: int(flag) for name, flag in FLAG_BY_NAME.items()},
)


class Finder:
    """One search being carried out in one mailbox."""

    def __init__(
        self,
        account: Account,
        view: View,
        key: SearchKey,
        *,
        rev2: bool,
        pace: Pace | None = None,
    ) -> None:
        self._account = account
        self._view = view
        self._key = key
        self.pace = pace or Pace()
        self.plan: Plan = compile_search(
            key,
            SearchView(
                layout=_LAYOUT,
                uids=view.uids,
                keywords=view.keywords,
                saved=view.saved,
                recent_from=MAX_UID + 1 if rev2 else view.recent_from,
                now=int(time.time()),
                object_number=lambda kind, objectid: number_of(account, kind, objectid),
            ),
        )
        self._slices = slices_in(self.plan.ranges, view.uids)
        # A program of 2,000 keys takes longer for each message.
        self._block = max(min(_BLOCK, _TESTS // sum(1 for _ in walk(key))), 1)
        self._shelf = Shelf(account, view.mailbox_id, key, self.pace)
        self._filter: OverviewFilter | None = None
        if self.plan.deep is not None:
            self._filter = OverviewFilter.of(account, key, self.pace)

    def by_flags(self, *, uid: bool) -> Sequence[int] | None:
        """All matches as uids or sequence numbers, when flags and sets alone decide; else None.

        Looks at the octets of flags of the whole mailbox at once; the view keeps them until
        something changes.
        """
        plan, view = self.plan, self._view
        if plan.deep is not None or (plan.quick is not None and plan.table is None):
            return None
        column = self._column()
        if column is None:
            return None
        found = array("I")
        for start, stop in self._slices:
            values: Sequence[int] = view.uids[start:stop] if uid else range(start + 1, stop + 1)
            if plan.table is not None:
                hits = column.flags[start:stop].translate(plan.table)
                count = hits.count(1)
                if count < len(hits):
                    found.extend(compress(values, hits) if count else ())
                    continue
            if len(values) == view.exists:
                return values
            found.extend(values)
        return found

    def _column(self) -> FlagColumn | None:
        """The flags of the view's messages; None when the mailbox has other messages than it."""
        view = self._view
        column = view.flag_column
        if column is None or column.modseq != self._account.mailbox_modseq(view.mailbox_id):
            column = view.flag_column = self._account.flag_column(view.mailbox_id)
        return column if column is not None and column.uids == view.uids else None

    def messages(self) -> list[MessageTuple]:
        """All that match, ascending."""
        return [message for matches in self._matches(self._block) for message in matches]

    def first(self, *, backward: bool = False) -> list[MessageTuple]:
        """The lowest match, or the highest: at most one."""
        for matches in self._matches(min(_FIRST_BLOCK, self._block), backward=backward):
            if matches:
                return matches[:1]
        return []

    def some(self, count: int, *, backward: bool = False) -> list[MessageTuple]:
        """The first matches, or the last, at most `count`; ascending."""
        found: list[MessageTuple] = []
        for matches in self._matches(min(_FIRST_BLOCK, self._block), backward=backward):
            found += matches
            if len(found) >= count:
                break
        return found[:count][::-1] if backward else found[:count]

    def matching(self, messages: list[MessageTuple]) -> list[MessageTuple]:
        """Those of some messages of the mailbox that match."""
        ranges = slices_in(self.plan.ranges, array("I", [message[M_UID] for message in messages]))
        named = [message for start, stop in ranges for message in messages[start:stop]]
        found = self._test(named)
        self._shelf.close()
        return found

    def relevancies(self, messages: list[MessageTuple]) -> list[int]:
        """RFC 6203 §4: how well each of these matches fits."""
        scores: list[int] = []
        for start in range(0, len(messages), _TEXT_BLOCK):
            some = messages[start : start + _TEXT_BLOCK]
            self._shelf.fetch(some)
            scores += [self.plan.relevancy(self._shelf.open(message)) for message in some]
            self.pace()
        return scores

    def _matches(self, size: int, *, backward: bool = False) -> Iterator[list[MessageTuple]]:
        """Messages that match, block by block; those of a block in the direction of the walk."""
        view = self._view
        for block in blocks(self._account, view, self._slices, size, backward=backward):
            yield self._test(block.messages[::-1] if backward else block.messages)
            self.pace()
        self._shelf.close()

    def _test(self, messages: list[MessageTuple]) -> list[MessageTuple]:
        plan = self.plan
        if plan.deep is None:
            return list(plan.find(messages, self._open))
        if plan.quick is not None:
            messages = [message for message in messages if plan.quick(message)]
        if self._filter is not None:
            messages = self._filter.promising(messages)
        found: list[MessageTuple] = []
        for start in range(0, len(messages), _TEXT_BLOCK):
            some = messages[start : start + _TEXT_BLOCK]
            self._shelf.fetch(some)
            found += plan.find(some, self._open)
            self.pace()
        return found

    def _open(self, message: MessageTuple) -> StoredText:
        return self._shelf.open(message)
