"""SEARCH, SORT, THREAD, ESEARCH and CANCELUPDATE.

RFC 9051 §9, RFC 4731, RFC 5256 §5, RFC 5267 §5, RFC 7377 §4, RFC 9394 §4.
"""

from __future__ import annotations

import re
from dataclasses import dataclass

from mox.imap.fetchatt import FetchAttribute
from mox.imap.grammar.cursor import Cursor
from mox.imap.grammar.fetch_att import fetch_attributes
from mox.imap.grammar.mailboxfilter import mailbox_filter
from mox.imap.grammar.search_key import named_charset, search_keys, search_program
from mox.imap.mailboxfilter import MailboxFilter, Scope
from mox.imap.searchcommands import (
    Algorithm,
    CancelUpdate,
    Criterion,
    MultiSearch,
    Search,
    SearchReturn,
    Sort,
    SortBy,
    Thread,
    Window,
)
from mox.imap.searchkeys import SearchKey, is_fuzzy

_RETURNS = {option.value: option for option in SearchReturn}
_SORT_BY = {each.value: each for each in SortBy}
_ALGORITHMS = {each.value: each for each in Algorithm}
# RFC 7377 §2.2: those of NOTIFY, but for selected-delayed.
_SCOPES = frozenset(Scope) - {Scope.SELECTED_DELAYED}
_MAX_CRITERIA = 20
_MAX_TAGS = 100

# RFC 9394 §4: partial-range = nz-number ":" nz-number / "-" nz-number ":" "-" nz-number
_WINDOW = re.compile(rb"(-?)([1-9][0-9]{0,9}):(-?)([1-9][0-9]{0,9})(?![0-9])")


@dataclass(slots=True)
class _Returns:
    """The result options: None for no RETURN; PARTIAL's window; what UPDATE tells of messages."""

    options: frozenset[SearchReturn] | None = None
    window: Window | None = None
    fetch: tuple[FetchAttribute, ...] = ()


def search(cursor: Cursor, tag: str, *, uid: bool = False) -> Search:
    cursor.space()
    returns = _returns(cursor)
    charset, key = search_program(cursor)
    _check(cursor, returns.options, key)
    return Search(tag, key, uid, returns.options, charset, returns.window, returns.fetch)


# RFC 5256 §5: sort = ["UID" SP] "SORT" SP sort-criteria SP search-criteria
# RFC 5267 §5: extended-sort has the return options before the criteria
def sort(cursor: Cursor, tag: str, *, uid: bool = False) -> Sort:
    cursor.space()
    returns = _returns(cursor)
    criteria = cursor.parenthesised(lambda: _criterion(cursor))
    if len(criteria) > _MAX_CRITERIA:
        cursor.fail("too many sort criteria")
    cursor.space()
    key = _search_criteria(cursor)
    _check(cursor, returns.options, key)
    if any(each.by is SortBy.RELEVANCY for each in criteria) and not is_fuzzy(key):
        # RFC 6203 §6
        cursor.fail("RELEVANCY needs a FUZZY key")
    return Sort(tag, key, tuple(criteria), uid, returns.options, returns.window, returns.fetch)


def _criterion(cursor: Cursor) -> Criterion:
    name = cursor.word("a sort criterion")
    reverse = name == "REVERSE"
    if reverse:
        cursor.space()
        name = cursor.word("a sort criterion")
    by = _SORT_BY.get(name)
    if by is None:
        cursor.fail("unknown sort criterion")
    return Criterion(by, reverse)


def thread(cursor: Cursor, tag: str, *, uid: bool = False) -> Thread:
    cursor.space()
    algorithm = _ALGORITHMS.get(cursor.word("a threading algorithm"))
    if algorithm is None:
        cursor.fail("unknown threading algorithm")
    cursor.space()
    return Thread(tag, _search_criteria(cursor), algorithm, uid)


# RFC 5256 §5: search-criteria = charset 1*(SP search-key)
def _search_criteria(cursor: Cursor) -> SearchKey:
    named_charset(cursor)
    cursor.space()
    return search_keys(cursor)


# RFC 7377 §4: esearch = "ESEARCH" [SP esearch-source-opts] [SP search-return-opts]
#   SP search-program
def esearch(cursor: Cursor, tag: str) -> MultiSearch:
    cursor.space()
    sources: tuple[MailboxFilter, ...] = (MailboxFilter(Scope.SELECTED),)
    if cursor.text[cursor.at : cursor.at + 4].upper() == b"IN (":
        cursor.at += 3
        sources = _sources(cursor)
        cursor.space()
    returns = _returns(cursor)
    _, key = search_program(cursor)
    _check(cursor, returns.options, key)
    # RFC 7377 §2.1: without result options ALL is implied.
    options = returns.options or frozenset({SearchReturn.ALL})
    return MultiSearch(tag, key, sources, options, returns.window, returns.fetch)


def _sources(cursor: Cursor) -> tuple[MailboxFilter, ...]:
    found = cursor.parenthesised(lambda: mailbox_filter(cursor, _SCOPES))
    if sum(len(each.names) for each in found) > cursor.limits.list_patterns:
        cursor.fail("too many mailboxes")
    return tuple(found)


def cancelupdate(cursor: Cursor, tag: str) -> CancelUpdate:
    tags: list[str] = []
    while cursor.more():
        tags.append(cursor.astring("a tag").decode("ascii", "replace"))
        if len(tags) > _MAX_TAGS:
            cursor.fail("too many tags")
    if not tags:
        cursor.fail("expected a tag")
    return CancelUpdate(tag, tuple(tags))


# ---- result options


def _returns(cursor: Cursor) -> _Returns:
    """Read RETURN (…) and the space after it, if it is there."""
    if cursor.text[cursor.at : cursor.at + 8].upper() != b"RETURN (":
        return _Returns()
    cursor.at += 7
    options: list[SearchReturn] = []
    windows: list[Window] = []
    attributes: list[FetchAttribute] = []

    def option() -> None:
        found = _RETURNS.get(cursor.word("a result option"))
        if found is None:
            cursor.fail("unknown result option")
        options.append(found)
        if found is SearchReturn.PARTIAL:
            cursor.space()
            windows.append(read_window(cursor))
        elif found is SearchReturn.UPDATE:
            attributes.extend(_update_attributes(cursor))

    cursor.parenthesised(option, empty=True)
    cursor.space()
    # RFC 9394 §3.1: one PARTIAL, one ALL, or neither.
    if len(windows) + (SearchReturn.ALL in options) > 1:
        cursor.fail("ALL and PARTIAL exclude each other")
    # RFC 4731 §3.1: RETURN () is the same as RETURN (ALL).
    return _Returns(
        frozenset(options or [SearchReturn.ALL]),
        windows[0] if windows else None,
        tuple(attributes),
    )


# RFC 5465 §8: modifier-update = "UPDATE" ["(" fetch-att *(SP fetch-att) ")"]; its example has a
# space before them.
def _update_attributes(cursor: Cursor) -> tuple[FetchAttribute, ...]:
    start = cursor.at
    cursor.maybe(b" ")
    if cursor.peek() == b"(":
        return fetch_attributes(cursor)
    cursor.at = start
    return ()


def read_window(cursor: Cursor) -> Window:
    found = _WINDOW.match(cursor.text, cursor.at)
    if found is None or found[1] != found[3]:
        cursor.fail("expected a range of results")
    cursor.at = found.end()
    sign = -1 if found[1] else 1
    return sign * int(found[2]), sign * int(found[4])


def _check(cursor: Cursor, returns: frozenset[SearchReturn] | None, key: SearchKey) -> None:
    # RFC 6203 §4
    if returns and SearchReturn.RELEVANCY in returns and not is_fuzzy(key):
        cursor.fail("RELEVANCY needs a FUZZY key")
