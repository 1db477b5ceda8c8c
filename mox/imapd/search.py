"""SEARCH and UID SEARCH (RFC 9051 §6.4.4, RFC 3501 §6.4.4, RFC 4731, RFC 5182, RFC 7162 §3.1.5)."""

from __future__ import annotations

import time
from array import array
from bisect import bisect_left
from collections.abc import Iterator, Sequence
from typing import TYPE_CHECKING

from mox.imap import responses
from mox.imap.commands import SearchReturn
from mox.imap.search import Layout, Plan, compile_search
from mox.imap.search import View as SearchView
from mox.imap.searchkeys import uses_modseq
from mox.imap.searchresult import Extent, extent, saved, summary
from mox.imap.sequence import slices_in
from mox.imapd.answer import Done
from mox.imapd.blocks import blocks
from mox.imapd.flagtext import FLAG_BY_NAME
from mox.imapd.pace import Pace
from mox.imapd.searchtext import StoredText, overview_filter
from mox.imapd.selected import account_of, view_of
from mox.store.model import (
    M_FLAGS,
    M_KEYWORDS,
    M_MODSEQ,
    M_RECEIVED,
    M_SIZE,
    M_UID,
    M_ZONE,
    MAX_UID,
)

if TYPE_CHECKING:
    from mox.imap import commands
    from mox.imapd.session import Session
    from mox.imapd.view import View

_BLOCK = 2000
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
    flag_bits={name: int(flag) for name, flag in FLAG_BY_NAME.items()},
)


def cmd_search(session: Session, command: commands.Search) -> Done:
    view = view_of(session)
    with_modseq = uses_modseq(command.key)
    if with_modseq:
        session.use_condstore()
    returns = command.returns
    if returns is None and session.state.rev2:
        # RFC 9051 §6.4.4: IMAP4rev2 answers with ESEARCH, as if ALL had been asked for.
        returns = frozenset({SearchReturn.ALL})
    saves = returns is not None and SearchReturn.SAVE in returns
    search = _Search(session, view, command)
    try:
        uids = search.find(extent(returns))
    except Exception:
        if saves:
            # RFC 9051 §6.4.4.1: a failed search leaves nothing saved.
            view.saved = array("I")
        raise
    modseq = search.modseq if with_modseq else None
    numbers: Sequence[int] = uids if command.uid else numbers_of(view, uids)
    if returns is None:
        session.write(responses.search(numbers, modseq))
        return Done("search done")
    if saves:
        view.saved = array("I", saved(returns, uids))
    result = summary(returns, numbers, modseq)
    if result is not None:
        session.write(responses.esearch(command.tag, result, uid=command.uid))
    return Done("search done")


def numbers_of(view: View, uids: array[int]) -> Sequence[int]:
    """Sequence numbers of uids of the view, both ascending."""
    if len(uids) == view.exists:
        return range(1, view.exists + 1)
    numbers: list[int] = []
    position = 0
    for uid in uids:
        position = bisect_left(view.uids, uid, position)
        numbers.append(position + 1)
    return numbers


class _Search:
    """One search being carried out."""

    def __init__(self, session: Session, view: View, command: commands.Search) -> None:
        self._account = account_of(session)
        self._view = view
        self._pace = Pace()
        self.modseq = 0  # the highest of the messages found
        recent_from = MAX_UID + 1 if session.state.rev2 else view.recent_from
        self._plan: Plan = compile_search(
            command.key,
            SearchView(
                layout=_LAYOUT,
                uids=view.uids,
                keywords=view.keywords,
                saved=view.saved,
                recent_from=recent_from,
                now=int(time.time()),
            ),
        )
        self._slices = slices_in(self._plan.ranges, view.uids)
        self._promising = overview_filter(command.key) if self._plan.deep is not None else None

    def find(self, wanted: Extent) -> array[int]:
        """The uids that match, ascending; only as many as the answer needs."""
        match wanted:
            case Extent.EVERYTHING:
                found = array("I")
                for matches in self._matches(_BLOCK):
                    found.extend(matches)
                return found
            case Extent.FIRST:
                return self._one(backward=False)
            case Extent.LAST:
                return self._one(backward=True)
            case Extent.ENDS:
                first, last = self._one(backward=False), self._one(backward=True)
                return first if first == last else first + last

    def _one(self, *, backward: bool) -> array[int]:
        for matches in self._matches(_FIRST_BLOCK, backward=backward):
            if matches:
                return array("I", matches[:1])
        return array("I")

    def _matches(self, size: int, *, backward: bool = False) -> Iterator[list[int]]:
        """Uids that match, block by block; one of a block is enough for `backward`."""
        account, view, promising = self._account, self._view, self._promising
        for block in blocks(account, view, self._slices, size, backward=backward):
            messages = block.messages
            if promising is not None:
                messages = promising(account, view.mailbox_id, messages, self._pace)
            found = self._plan.find(messages[::-1] if backward else messages, self._open)
            matches = list(found)
            if matches:
                self.modseq = max(self.modseq, max(m[M_MODSEQ] for m in matches))
            yield [message[M_UID] for message in matches]
            self._pace()

    def _open(self, message: Sequence[int]) -> StoredText:
        self._pace()
        return StoredText(self._account, self._view.mailbox_id, message[M_UID])
