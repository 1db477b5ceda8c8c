"""Search programs as values: what SEARCH asks for, after parsing.

RFC 9051 §6.4.4, RFC 3501 §6.4.4, RFC 7162 §3.1.5 (MODSEQ), RFC 5032 (OLDER, YOUNGER), RFC 8514
(SAVEDATE), RFC 8474 (EMAILID, THREADID), RFC 6203 (FUZZY), RFC 5466 (FILTER).
The grammar makes them, mox.imap.search evaluates them. Flag-like keys (SEEN, UNKEYWORD, …) are
all `HasFlag`, negated by `Not`; FROM, SUBJECT and so on are all `Header`.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator
from dataclasses import dataclass
from datetime import date
from enum import Enum

from mox.imap.sequence import SequenceSet


class Comparison(Enum):
    """How a date key compares."""

    BEFORE = "before"
    ON = "on"
    SINCE = "since"


@dataclass(frozen=True, slots=True)
class All:
    """Every message."""


@dataclass(frozen=True, slots=True)
class HasFlag:
    """Messages with a system flag ("\\\\Seen", as spelled by the RFC) or keyword (as written)."""

    flag: str


@dataclass(frozen=True, slots=True)
class Recent:
    """Messages that this session was the first to be told about."""


@dataclass(frozen=True, slots=True)
class Header:
    """Messages whose header field `name` (lower case) contains `value`; empty: has the field."""

    name: str
    value: str


@dataclass(frozen=True, slots=True)
class Body:
    value: str


@dataclass(frozen=True, slots=True)
class Text:
    """Header or body contains `value`."""

    value: str


@dataclass(frozen=True, slots=True)
class ReceivedDate:
    """INTERNALDATE, by the calendar date in its own zone."""

    comparison: Comparison
    day: date


@dataclass(frozen=True, slots=True)
class SavedDate:
    """When the message came into this mailbox, by the calendar date in UTC."""

    comparison: Comparison
    day: date


@dataclass(frozen=True, slots=True)
class EmailId:
    """Messages with this content, wherever they came from."""

    objectid: str


@dataclass(frozen=True, slots=True)
class ThreadId:
    objectid: str


@dataclass(frozen=True, slots=True)
class SentDate:
    """The Date header field, by the calendar date as written there."""

    comparison: Comparison
    day: date


@dataclass(frozen=True, slots=True)
class Larger:
    octets: int


@dataclass(frozen=True, slots=True)
class Smaller:
    octets: int


@dataclass(frozen=True, slots=True)
class Older:
    """INTERNALDATE at least so long ago."""

    seconds: int


@dataclass(frozen=True, slots=True)
class Younger:
    """INTERNALDATE at most so long ago."""

    seconds: int


@dataclass(frozen=True, slots=True)
class ModSeq:
    """Messages with a modseq of at least `modseq`."""

    modseq: int


@dataclass(frozen=True, slots=True)
class Uids:
    uids: SequenceSet


@dataclass(frozen=True, slots=True)
class Numbers:
    """Message sequence numbers; "$" too, which names messages whatever their numbering."""

    numbers: SequenceSet


@dataclass(frozen=True, slots=True)
class Filter:
    """Stands for the search program of this name; to be put in before anything is searched."""

    name: str


@dataclass(frozen=True, slots=True)
class Fuzzy:
    """The key, with texts compared less strictly."""

    key: SearchKey


@dataclass(frozen=True, slots=True)
class Not:
    key: SearchKey


@dataclass(frozen=True, slots=True)
class Or:
    keys: tuple[SearchKey, ...]


@dataclass(frozen=True, slots=True)
class And:
    keys: tuple[SearchKey, ...]


SearchKey = (
    All
    | HasFlag
    | Recent
    | Header
    | Body
    | Text
    | ReceivedDate
    | SavedDate
    | SentDate
    | EmailId
    | ThreadId
    | Larger
    | Smaller
    | Older
    | Younger
    | ModSeq
    | Uids
    | Numbers
    | Filter
    | Fuzzy
    | Not
    | Or
    | And
)


def walk(key: SearchKey) -> Iterator[SearchKey]:
    """Give `key` and everything inside it."""
    yield key
    match key:
        case Not(inner) | Fuzzy(inner):
            yield from walk(inner)
        case Or(keys) | And(keys):
            for each in keys:
                yield from walk(each)


def replaced(key: SearchKey, change: Callable[[SearchKey], SearchKey]) -> SearchKey:
    """Give `key` with each key that holds no others changed; what it becomes is left alone."""
    match key:
        case Not(inner):
            return Not(replaced(inner, change))
        case Fuzzy(inner):
            return Fuzzy(replaced(inner, change))
        case Or(keys):
            return Or(tuple([replaced(each, change) for each in keys]))
        case And(keys):
            return And(tuple([replaced(each, change) for each in keys]))
        case _:
            return change(key)


def uses_modseq(key: SearchKey) -> bool:
    """Tell whether MODSEQ occurs: it enables CONDSTORE and adds MODSEQ to the answer."""
    return any(isinstance(each, ModSeq) for each in walk(key))


def uses_numbers(key: SearchKey) -> bool:
    """Tell whether message sequence numbers occur; "$" is none."""
    return any(isinstance(each, Numbers) and not each.numbers.saved for each in walk(key))


def is_fuzzy(key: SearchKey) -> bool:
    """Tell whether FUZZY occurs: RELEVANCY makes sense then only."""
    return any(isinstance(each, Fuzzy) for each in walk(key))
