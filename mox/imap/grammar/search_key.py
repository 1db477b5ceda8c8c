"""Search programs (RFC 9051 §6.4.4 and §9: search-program, search-key).

With the keys of RFC 3501 that RFC 9051 dropped (NEW, OLD, RECENT), and those of RFC 5032, RFC 6203,
RFC 7162, RFC 8474 and RFC 8514.
Recursion is bounded by `limits.depth`; a chain OR a OR b OR c … costs no depth, since clients
write such chains as long as they have alternatives.
"""

from __future__ import annotations

import re
from collections.abc import Callable
from dataclasses import dataclass
from datetime import date
from functools import partial

from mox.imap.grammar.cursor import MAX_NUMBER64, CharsetFailure, Cursor
from mox.imap.grammar.dates import search_date
from mox.imap.grammar.sequence_set import sequence_set
from mox.imap.searchkeys import (
    All,
    And,
    Body,
    Comparison,
    EmailId,
    Filter,
    Fuzzy,
    HasFlag,
    Header,
    Larger,
    ModSeq,
    Not,
    Numbers,
    Older,
    Or,
    ReceivedDate,
    Recent,
    SavedDate,
    SearchKey,
    SentDate,
    Smaller,
    Text,
    ThreadId,
    Uids,
    Younger,
)

CHARSETS = ("US-ASCII", "UTF-8")
_SET_START = frozenset(b"0123456789*$")

# Keys without an argument.
_SIMPLE: dict[str, SearchKey] = {
    "ALL": All(),
    "ANSWERED": HasFlag("\\Answered"),
    "DELETED": HasFlag("\\Deleted"),
    "DRAFT": HasFlag("\\Draft"),
    "FLAGGED": HasFlag("\\Flagged"),
    "SEEN": HasFlag("\\Seen"),
    "UNANSWERED": Not(HasFlag("\\Answered")),
    "UNDELETED": Not(HasFlag("\\Deleted")),
    "UNDRAFT": Not(HasFlag("\\Draft")),
    "UNFLAGGED": Not(HasFlag("\\Flagged")),
    "UNSEEN": Not(HasFlag("\\Seen")),
    "RECENT": Recent(),
    # RFC 8514 §4.3: every mailbox here has save dates, for every message.
    "SAVEDATESUPPORTED": All(),
    "OLD": Not(Recent()),
    "NEW": And((Recent(), Not(HasFlag("\\Seen")))),
}
_DATE_KEYS: dict[str, Callable[[date], SearchKey]] = {
    "BEFORE": partial(ReceivedDate, Comparison.BEFORE),
    "ON": partial(ReceivedDate, Comparison.ON),
    "SINCE": partial(ReceivedDate, Comparison.SINCE),
    "SAVEDBEFORE": partial(SavedDate, Comparison.BEFORE),
    "SAVEDON": partial(SavedDate, Comparison.ON),
    "SAVEDSINCE": partial(SavedDate, Comparison.SINCE),
    "SENTBEFORE": partial(SentDate, Comparison.BEFORE),
    "SENTON": partial(SentDate, Comparison.ON),
    "SENTSINCE": partial(SentDate, Comparison.SINCE),
}
_HEADER_KEYS = ("BCC", "CC", "FROM", "SUBJECT", "TO")
_OBJECTID = re.compile(rb"[A-Za-z0-9_-]{1,255}")
# RFC 7162 §3.1.5: entry-name = DQUOTE "/flags/" attr-flag DQUOTE, entry-type-req = priv/shared/all
_ENTRY_NAME = re.compile(rb'(?i:"/flags/(?:\\\\)?[!#-$&\'+-\[^-z|}~]+" (?:priv|shared|all) )')


def search_program(cursor: Cursor) -> tuple[str | None, SearchKey]:
    """Read [CHARSET …] and the keys up to the end; raises CharsetFailure for unknown charsets."""
    charset: str | None = None
    if cursor.text[cursor.at : cursor.at + 8].upper() == b"CHARSET ":
        cursor.at += 8
        charset = named_charset(cursor)
        cursor.space()
    return charset, search_keys(cursor)


def search_keys(cursor: Cursor) -> SearchKey:
    """Read search keys up to the end."""
    program = _Program(cursor)
    keys = [program.key(0)]
    while cursor.more():
        keys.append(program.key(0))
    return keys[0] if len(keys) == 1 else And(tuple(keys))


def named_charset(cursor: Cursor) -> str:
    """Read the name of a charset; raises CharsetFailure for unknown ones."""
    charset = cursor.astring("a charset").decode("ascii", "replace").upper()
    # RFC 9051 §6.4.4: US-ASCII and UTF-8 must be known; anything else is BADCHARSET.
    if charset not in CHARSETS:
        raise CharsetFailure(charset)
    return charset


@dataclass(slots=True)
class _Program:
    """Reads search keys and counts them."""

    cursor: Cursor
    count: int = 0

    def key(self, depth: int) -> SearchKey:
        cursor = self.cursor
        self.count += 1
        if self.count > cursor.limits.search_keys or depth > cursor.limits.depth:
            cursor.fail("search too complex")
        start = cursor.peek()
        if start == b"(":
            keys = cursor.parenthesised(lambda: self.key(depth + 1))
            return keys[0] if len(keys) == 1 else And(tuple(keys))
        if start and start[0] in _SET_START:
            return Numbers(sequence_set(cursor))
        name = cursor.word("a search key")
        if name == "NOT":
            cursor.space()
            return Not(self.key(depth + 1))
        if name == "FUZZY":
            # RFC 6203 §6: search-key =/ "FUZZY" SP search-key
            cursor.space()
            return Fuzzy(self.key(depth + 1))
        if name == "OR":
            return self._or(depth + 1)
        return _leaf(cursor, name)

    def _or(self, depth: int) -> SearchKey:
        cursor = self.cursor
        keys: list[SearchKey] = []
        # After "OR a", another "OR" as second operand only makes the list of alternatives longer.
        while True:
            cursor.space()
            keys.append(self.key(depth))
            cursor.space()
            if cursor.text[cursor.at : cursor.at + 3].upper() != b"OR ":
                break
            cursor.at += 2
        keys.append(self.key(depth))
        return Or(tuple(keys))


def _leaf(cursor: Cursor, name: str) -> SearchKey:
    simple = _SIMPLE.get(name)
    if simple is not None:
        return simple
    if name in _DATE_KEYS:
        cursor.space()
        return _DATE_KEYS[name](search_date(cursor))
    if name in _HEADER_KEYS:
        cursor.space()
        return Header(name.lower(), _text(cursor))
    read = _ARGUMENT_KEYS.get(name)
    if read is None:
        cursor.fail("unknown search key")
    cursor.space()
    return read(cursor)


def _text(cursor: Cursor) -> str:
    # UTF-8 is taken whatever CHARSET says, US-ASCII being a part of it.
    return cursor.unicode(cursor.astring("a search string"), "search string")


def _header(cursor: Cursor) -> SearchKey:
    name = cursor.astring("a header field name")
    cursor.space()
    return Header(cursor.unicode(name, "header field name").lower(), _text(cursor))


def _modseq(cursor: Cursor) -> SearchKey:
    # RFC 7162 §3.1.5: with one modseq per message, entry name and type make no difference.
    entry = _ENTRY_NAME.match(cursor.text, cursor.at)
    if entry is not None:
        cursor.at = entry.end()
    return ModSeq(cursor.number(MAX_NUMBER64))


# RFC 8474 §7: objectid = 1*255(ALPHA / DIGIT / "_" / "-")
def _objectid(cursor: Cursor) -> str:
    return cursor.match(_OBJECTID, "an object id").decode("ascii")


# RFC 5466 §4: filter-name = 1*<any ATOM-CHAR except "/">
def _filter_name(cursor: Cursor) -> str:
    name = cursor.atom("a filter name")
    if "/" in name:
        cursor.fail("malformed filter name")
    return name


def _keyword(cursor: Cursor) -> SearchKey:
    return HasFlag(cursor.atom("a keyword"))


_ARGUMENT_KEYS: dict[str, Callable[[Cursor], SearchKey]] = {
    "BODY": lambda cursor: Body(_text(cursor)),
    "TEXT": lambda cursor: Text(_text(cursor)),
    "HEADER": _header,
    "KEYWORD": _keyword,
    "UNKEYWORD": lambda cursor: Not(_keyword(cursor)),
    "LARGER": lambda cursor: Larger(cursor.number(MAX_NUMBER64)),
    "SMALLER": lambda cursor: Smaller(cursor.number(MAX_NUMBER64)),
    "OLDER": lambda cursor: Older(cursor.nz_number()),
    "YOUNGER": lambda cursor: Younger(cursor.nz_number()),
    "UID": lambda cursor: Uids(sequence_set(cursor)),
    "MODSEQ": _modseq,
    "FILTER": lambda cursor: Filter(_filter_name(cursor)),
    "EMAILID": lambda cursor: EmailId(_objectid(cursor)),
    "THREADID": lambda cursor: ThreadId(_objectid(cursor)),
}
