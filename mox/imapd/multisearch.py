"""ESEARCH: one search in several mailboxes (RFC 7377)."""

from __future__ import annotations

from array import array
from collections.abc import Iterator
from typing import TYPE_CHECKING

from mox.imap import responses
from mox.imap.mailboxfilter import MailboxFilter, Scope
from mox.imap.searchcommands import SearchReturn
from mox.imap.searchkeys import uses_modseq
from mox.imap.searchresult import saved, summary
from mox.imap.state import State
from mox.imapd.answer import Done, bad
from mox.imapd.contexts import check_tag, keep_updated
from mox.imapd.filters import resolved
from mox.imapd.notifying import surroundings
from mox.imapd.search import find, finder_in
from mox.imapd.selected import account_of, view_of
from mox.imapd.view import View
from mox.store.model import M_MODSEQ, M_UID

if TYPE_CHECKING:
    from mox.imap.searchcommands import MultiSearch
    from mox.imap.searchkeys import SearchKey
    from mox.imapd.session import Session
    from mox.store.account import Account
    from mox.store.model import Mailbox

_SELECTED = (MailboxFilter(Scope.SELECTED),)


def cmd_esearch(session: Session, command: MultiSearch) -> Done:
    _check(session, command)
    account = account_of(session)
    key = resolved(session, command.key)
    if uses_modseq(key):
        session.use_condstore()
    for view in _views(session, account, command.sources):
        _search(session, view, key, command)
    if SearchReturn.UPDATE in command.returns:
        keep_updated(session, command.tag, key, uid=True, fetch=command.fetch)
    return Done("esearch done")


def _check(session: Session, command: MultiSearch) -> None:
    returns = command.returns
    needs_selected = any(source.scope is Scope.SELECTED for source in command.sources)
    if (needs_selected or SearchReturn.UPDATE in returns) and (
        session.state.state is not State.SELECTED
    ):
        # RFC 7377 §2.2
        raise bad("no mailbox is selected")
    if SearchReturn.SAVE in returns and command.sources != _SELECTED:
        raise bad("SAVE is for the selected mailbox alone")
    if SearchReturn.UPDATE in returns:
        if not needs_selected:
            raise bad("UPDATE is for the selected mailbox")
        check_tag(view_of(session), command.tag)


def _search(session: Session, view: View, key: SearchKey, command: MultiSearch) -> None:
    finder = finder_in(session, view, key, command.tag)
    messages = find(finder, command.returns, command.window)
    uids = [message[M_UID] for message in messages]
    if SearchReturn.SAVE in command.returns:
        view.saved = array("I", saved(command.returns, uids, command.window))
    if not uids:
        # RFC 7377 §2.1: nothing is said of mailboxes without matches.
        return
    modseq = max(message[M_MODSEQ] for message in messages) if uses_modseq(key) else None
    relevancy = None
    if SearchReturn.RELEVANCY in command.returns:
        relevancy = finder.relevancies(messages)
    result = summary(command.returns, uids, modseq, command.window, relevancy)
    if result is not None:
        mailbox = (view.name, view.uidvalidity)
        utf8 = session.state.utf8
        session.write(responses.esearch(command.tag, result, uid=True, mailbox=mailbox, utf8=utf8))


def _views(
    session: Session, account: Account, sources: tuple[MailboxFilter, ...]
) -> Iterator[View]:
    """Each mailbox that the sources name, once; those that do not exist are left out."""
    done: set[int] = set()
    given = surroundings(session)
    for source in sources:
        if source.scope is Scope.SELECTED:
            view = view_of(session)
            if view.mailbox_id not in done:
                done.add(view.mailbox_id)
                yield view
            continue
        for mailbox in account.mailboxes():
            if mailbox.id not in done and source.covers(mailbox.name, given):
                done.add(mailbox.id)
                yield _view(session, account, mailbox)


def _view(session: Session, account: Account, mailbox: Mailbox) -> View:
    """The mailbox as it is now; the selected one as the client knows it."""
    if session.view is not None and session.view.mailbox_id == mailbox.id:
        return session.view
    account.refresh(mailbox.id)
    view = View(mailbox.id, mailbox.name, mailbox.uidvalidity, read_only=True)
    view.append(account.uids(mailbox.id))
    present = account.mailbox_by_id(mailbox.id) or mailbox
    view.keywords = present.keywords
    view.recent_from = present.recent_from
    return view
