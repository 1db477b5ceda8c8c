"""Commands that find messages: SEARCH, SORT, THREAD and ESEARCH, and what they may ask for.

RFC 9051 §6.4.4, RFC 4731, RFC 5182, RFC 5256, RFC 5267, RFC 6203, RFC 7377, RFC 9394.
"""

from __future__ import annotations

from dataclasses import dataclass
from enum import Enum
from typing import ClassVar

from mox.imap.fetchatt import FetchAttribute
from mox.imap.mailboxfilter import MailboxFilter
from mox.imap.searchkeys import SearchKey

# (first, last) of a window on results, as written: both above 0, or both below, counted from the
# last result, which is -1.
Window = tuple[int, int]


class SearchReturn(Enum):
    """Result options. PARTIAL comes with a window."""

    MIN = "MIN"
    MAX = "MAX"
    ALL = "ALL"
    COUNT = "COUNT"
    SAVE = "SAVE"
    PARTIAL = "PARTIAL"
    RELEVANCY = "RELEVANCY"
    UPDATE = "UPDATE"
    CONTEXT = "CONTEXT"


class SortBy(Enum):
    """What messages can be sorted by; the value is the name on the wire."""

    ARRIVAL = "ARRIVAL"
    CC = "CC"
    DATE = "DATE"
    DISPLAYFROM = "DISPLAYFROM"
    DISPLAYTO = "DISPLAYTO"
    FROM = "FROM"
    RELEVANCY = "RELEVANCY"
    SIZE = "SIZE"
    SUBJECT = "SUBJECT"
    TO = "TO"


@dataclass(frozen=True, slots=True)
class Criterion:
    by: SortBy
    reverse: bool = False


class Algorithm(Enum):
    """How THREAD finds out what belongs together."""

    ORDEREDSUBJECT = "ORDEREDSUBJECT"
    REFERENCES = "REFERENCES"
    REFS = "REFS"


@dataclass(frozen=True, slots=True)
class Search:
    """`returns` None: no RETURN was written. An empty RETURN () is parsed as ALL."""

    name: ClassVar[str] = "SEARCH"
    tag: str
    key: SearchKey
    uid: bool = False
    returns: frozenset[SearchReturn] | None = None
    charset: str | None = None  # upper case, as given; US-ASCII or UTF-8
    window: Window | None = None
    fetch: tuple[FetchAttribute, ...] = ()  # of UPDATE (RFC 5465 §7)


@dataclass(frozen=True, slots=True)
class Sort:
    """Like Search; `criteria` hold one at least."""

    name: ClassVar[str] = "SORT"
    tag: str
    key: SearchKey
    criteria: tuple[Criterion, ...]
    uid: bool = False
    returns: frozenset[SearchReturn] | None = None
    window: Window | None = None
    fetch: tuple[FetchAttribute, ...] = ()  # of UPDATE (RFC 5465 §7)


@dataclass(frozen=True, slots=True)
class Thread:
    name: ClassVar[str] = "THREAD"
    tag: str
    key: SearchKey
    algorithm: Algorithm
    uid: bool = False


@dataclass(frozen=True, slots=True)
class MultiSearch:
    """ESEARCH; without sources it looks at the selected mailbox."""

    name: ClassVar[str] = "ESEARCH"
    tag: str
    key: SearchKey
    sources: tuple[MailboxFilter, ...]
    returns: frozenset[SearchReturn]
    window: Window | None = None
    fetch: tuple[FetchAttribute, ...] = ()  # of UPDATE (RFC 5465 §7)


@dataclass(frozen=True, slots=True)
class CancelUpdate:
    """`tags` of the commands whose results are no longer to be kept up to date."""

    name: ClassVar[str] = "CANCELUPDATE"
    tag: str
    tags: tuple[str, ...]
