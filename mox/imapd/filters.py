"""Named searches: the FILTER key stands for a search program kept as an annotation (RFC 5466)."""

from __future__ import annotations

from itertools import islice
from typing import TYPE_CHECKING

from mox.imap import codes
from mox.imap.grammar.cursor import CharsetFailure, Cursor, SyntaxFailure
from mox.imap.grammar.search_key import search_keys
from mox.imap.searchkeys import Filter, SearchKey, replaced, uses_numbers, walk
from mox.imapd.answer import Refusal, bad
from mox.imapd.selected import account_of
from mox.store.annotations import ACCOUNT, Annotation, annotations_of

if TYPE_CHECKING:
    from mox.imapd.session import Session
    from mox.store.account import Account

# RFC 5466 §3.1: filters may name others; three levels have to work, and loops have to end.
_MAX_LEVELS = 5
# Keys of a program after all filters are put in.
_MAX_KEYS = 5000
_ROOTS = ("/private/filters/values/", "/shared/filters/values/")


def resolved(session: Session, key: SearchKey) -> SearchKey:
    """The program with all filters put in. Refuses where one is not there or makes no sense."""
    found = without_filters(account_of(session), key)
    if session.state.uidonly and uses_numbers(found):
        # RFC 9586 §3.1: those in the command itself have been refused already.
        raise bad("UIDONLY is enabled: a filter has sequence numbers", codes.UIDREQUIRED)
    return found


def without_filters(account: Account, key: SearchKey) -> SearchKey:
    entries: dict[str, Annotation] | None = None
    for _ in range(_MAX_LEVELS):
        names = {each.name for each in walk(key) if isinstance(each, Filter)}
        if not names:
            return key
        if entries is None:
            entries = annotations_of(account, ACCOUNT)
        key = _with_programs(key, {name: _program(entries, name) for name in names})
        if next(islice(walk(key), _MAX_KEYS, None), None) is not None:
            raise _undefined(min(names))
    left = {each.name for each in walk(key) if isinstance(each, Filter)}
    if left:
        raise _undefined(min(left))
    return key


def _with_programs(key: SearchKey, programs: dict[str, SearchKey]) -> SearchKey:
    return replaced(key, lambda each: programs[each.name] if isinstance(each, Filter) else each)


def _program(entries: dict[str, Annotation], name: str) -> SearchKey:
    for root in _ROOTS:
        # RFC 5466 §3.1: the private one comes before the shared one. Entries are in lower case.
        annotation = entries.get((root + name).lower())
        if annotation is not None:
            return _parsed(annotation.value, name)
    raise _undefined(name)


def _parsed(value: bytes, name: str) -> SearchKey:
    cursor = Cursor(value)
    try:
        key = search_keys(cursor)
        cursor.end()
    except (SyntaxFailure, CharsetFailure) as e:
        raise Refusal(f"filter is no search program: {e}", codes.undefined_filter(name)) from e
    return key


def _undefined(name: str) -> Refusal:
    return Refusal("no such filter", codes.undefined_filter(name))
