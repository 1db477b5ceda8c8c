"""SEARCH, SORT and THREAD, with their UID forms.

RFC 9051 §6.4.4, RFC 3501 §6.4.4, RFC 4731, RFC 5182, RFC 5256, RFC 5267, RFC 6203, RFC 7162
§3.1.5, RFC 9394.
"""

from __future__ import annotations

from array import array
from bisect import bisect_left
from collections.abc import Callable, Sequence
from typing import TYPE_CHECKING

from mox.imap import responses
from mox.imap.searchcommands import Search, SearchReturn, Sort, Thread
from mox.imap.searchkeys import uses_modseq
from mox.imap.searchresult import Extent, extent, saved, summary
from mox.imap.threads import format_threads
from mox.imapd.answer import Done
from mox.imapd.contexts import check_tag, keep_updated
from mox.imapd.filters import resolved
from mox.imapd.finding import Finder
from mox.imapd.ordering import conversations, sorted_messages
from mox.imapd.pace import Pace, release
from mox.imapd.progress import Progress
from mox.imapd.selected import account_of, view_of
from mox.store.model import M_MODSEQ, M_UID

if TYPE_CHECKING:
    from mox.imap.searchcommands import Window
    from mox.imap.searchkeys import SearchKey
    from mox.imapd.session import Session
    from mox.imapd.view import View
    from mox.store.model import MessageTuple

Returns = frozenset[SearchReturn]

_NUMBERS_AT_ONCE = 5000
# Options whose answer needs the numbers of the messages only.
_PLAIN = frozenset(SearchReturn) - {
    SearchReturn.SAVE,
    SearchReturn.UPDATE,
    SearchReturn.RELEVANCY,
}


def cmd_search(session: Session, command: Search) -> Done:
    view, key = _begin(session, command)
    returns = command.returns
    if returns is None and session.state.rev2:
        # RFC 9051 §6.4.4: IMAP4rev2 answers with ESEARCH, as if ALL had been asked for.
        returns = frozenset({SearchReturn.ALL})
    finder = finder_in(session, view, key, command.tag)
    if not uses_modseq(key) and (returns is None or returns <= _PLAIN):
        numbers = finder.by_flags(uid=command.uid)
        if numbers is not None:
            _write(session, command, returns, numbers, responses.search)
            return Done("search done")
    messages = _saving(view, returns, lambda: find(finder, returns, command.window))
    _respond(session, view, command, returns, finder, messages, responses.search)
    if returns is not None and SearchReturn.UPDATE in returns:
        keep_updated(session, command.tag, key, uid=command.uid, fetch=command.fetch)
    return Done("search done")


def cmd_sort(session: Session, command: Sort) -> Done:
    view, key = _begin(session, command)
    finder = finder_in(session, view, key, command.tag)
    account = account_of(session)
    messages = _saving(
        view,
        command.returns,
        lambda: sorted_messages(
            account, view.mailbox_id, finder.messages(), command.criteria, finder
        ),
    )
    _respond(session, view, command, command.returns, finder, messages, responses.sort)
    if command.returns is not None and SearchReturn.UPDATE in command.returns:
        keep_updated(
            session,
            command.tag,
            key,
            uid=command.uid,
            criteria=command.criteria,
            fetch=command.fetch,
        )
    return Done("sort done")


def cmd_thread(session: Session, command: Thread) -> Done:
    view, key = _begin(session, command)
    finder = finder_in(session, view, key, command.tag)
    messages = finder.messages()
    uids = [message[M_UID] for message in messages]
    numbers = uids if command.uid else numbers_of(view, uids, finder.pace)
    roots = conversations(
        account_of(session), view.mailbox_id, messages, numbers, command.algorithm, finder.pace
    )
    session.write(responses.thread(format_threads(roots, finder.pace)))
    return Done("thread done")


def _begin(session: Session, command: Search | Sort | Thread) -> tuple[View, SearchKey]:
    view = view_of(session)
    if not isinstance(command, Thread) and SearchReturn.UPDATE in (command.returns or ()):
        check_tag(view, command.tag)
    key = resolved(session, command.key)
    if uses_modseq(key):
        session.use_condstore()
    return view, key


def finder_in(session: Session, view: View, key: SearchKey, tag: str) -> Finder:
    """A search for the command `tag`, whose client hears that it goes on."""
    pace = Pace(Progress(session, tag))
    return Finder(account_of(session), view, key, rev2=session.state.rev2, pace=pace)


def find(finder: Finder, returns: Returns | None, window: Window | None) -> list[MessageTuple]:
    """The matches, ascending; only as many as the answer needs."""
    match extent(returns):
        case Extent.FIRST:
            return finder.first()
        case Extent.LAST:
            return finder.first(backward=True)
        case Extent.ENDS:
            first, last = finder.first(), finder.first(backward=True)
            return first if first == last else first + last
        case Extent.WINDOW if window is not None:
            return finder.some(max(map(abs, window)), backward=window[0] < 0)
        case _:
            return finder.messages()


def _saving(
    view: View, returns: Returns | None, run: Callable[[], list[MessageTuple]]
) -> list[MessageTuple]:
    try:
        return run()
    except Exception:
        if returns is not None and SearchReturn.SAVE in returns:
            # RFC 9051 §6.4.4.1: a failed search leaves nothing saved.
            view.forget_saved()
        raise


def _respond(
    session: Session,
    view: View,
    command: Search | Sort,
    returns: Returns | None,
    finder: Finder,
    messages: list[MessageTuple],
    classic: Callable[[Sequence[int], int | None], bytes],
) -> None:
    """Write the answer; `messages` in the order in which they are to be shown."""
    uids = [message[M_UID] for message in messages]
    finder.pace()
    numbers: Sequence[int] = uids if command.uid else numbers_of(view, uids, finder.pace)
    finder.pace()
    modseq: int | None = None
    if uses_modseq(command.key):
        modseq = max([message[M_MODSEQ] for message in messages], default=0)
    relevancy: Sequence[int] | None = None
    if returns is not None and SearchReturn.RELEVANCY in returns:
        relevancy = finder.relevancies(messages)
    if returns is not None and SearchReturn.SAVE in returns:
        view.saved = array("I", saved(returns, uids, command.window))
    release(messages, finder.pace)
    _write(session, command, returns, numbers, classic, modseq, relevancy)


def _write(
    session: Session,
    command: Search | Sort,
    returns: Returns | None,
    numbers: Sequence[int],
    classic: Callable[[Sequence[int], int | None], bytes],
    modseq: int | None = None,
    relevancy: Sequence[int] | None = None,
) -> None:
    if returns is None:
        session.write(classic(numbers, modseq))
        return
    result = summary(returns, numbers, modseq, command.window, relevancy)
    if result is not None:
        session.write(responses.esearch(command.tag, result, uid=command.uid))


def numbers_of(view: View, uids: Sequence[int], pace: Pace) -> Sequence[int]:
    """Sequence numbers of uids of the view, in the same order."""
    known = view.uids
    if len(uids) == len(known) and array("I", uids) == known:
        return range(1, len(known) + 1)
    numbers: list[int] = []
    for start in range(0, len(uids), _NUMBERS_AT_ONCE):
        numbers += [bisect_left(known, uid) + 1 for uid in uids[start : start + _NUMBERS_AT_ONCE]]
        pace()
    return numbers
