"""SEARCH and UID SEARCH (RFC 9051 §6.4.4, RFC 3501 §6.4.4, RFC 4731, RFC 5182, RFC 7162 §3.1.5)."""

from __future__ import annotations

from array import array
from bisect import bisect_left
from collections.abc import Sequence
from typing import TYPE_CHECKING

from mox.imap import responses
from mox.imap.commands import SearchReturn
from mox.imap.searchkeys import uses_modseq
from mox.imap.searchresult import Extent, extent, saved, summary
from mox.imapd.answer import Done
from mox.imapd.finding import Finder
from mox.imapd.selected import account_of, view_of
from mox.store.model import M_MODSEQ, M_UID

if TYPE_CHECKING:
    from mox.imap import commands
    from mox.imapd.session import Session
    from mox.imapd.view import View
    from mox.store.model import MessageTuple


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
    finder = Finder(account_of(session), view, command.key, rev2=session.state.rev2)
    try:
        found = _find(finder, extent(returns))
    except Exception:
        if saves:
            # RFC 9051 §6.4.4.1: a failed search leaves nothing saved.
            view.saved = array("I")
        raise
    uids = array("I", [message[M_UID] for message in found])
    modseq = max([message[M_MODSEQ] for message in found], default=0) if with_modseq else None
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


def _find(finder: Finder, wanted: Extent) -> list[MessageTuple]:
    """The matches, ascending; only as many as the answer needs."""
    match wanted:
        case Extent.EVERYTHING:
            return finder.messages()
        case Extent.FIRST:
            return finder.first()
        case Extent.LAST:
            return finder.first(backward=True)
        case Extent.ENDS:
            first, last = finder.first(), finder.first(backward=True)
            return first if first == last else first + last


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
