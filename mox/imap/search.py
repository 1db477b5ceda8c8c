"""Evaluating search programs over message tuples.

RFC 9051 §6.4.4, RFC 3501 §6.4.4, RFC 5032, RFC 6203, RFC 7162 §3.1.5, RFC 8474, RFC 8514. A program
is compiled once into a plan: which uids can match at all, a quick test on the message tuple, and,
only when header or body keys are used, a deep test on its texts. The quick tests come first
wherever order is free, so a text is read only when nothing cheaper decides; and what a text key
said of a message holds for all its copies.

The shell supplies tuples of any shape, described by a `Layout`, in the order it likes: ascending
for MIN, descending for MAX, and stops taking when it has what it needs.
"""

from __future__ import annotations

from array import array
from bisect import bisect_right
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from datetime import date
from typing import TypeVar, assert_never, cast

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
    walk,
)
from mox.imap.searchtext import MessageText, Place, Wanted, anywhere, in_body, in_field
from mox.imap.sequence import Range, SequenceSet, merge_ranges, ranges_of

MAX_UID = 0xFFFFFFFF
_EPOCH = date(1970, 1, 1).toordinal()
_DAY_S = 86400
_OCTET = 0xFF
# What text keys said of messages is remembered for so many, all keys together.
_REMEMBERED = 500_000

Message = tuple[int, ...]
M = TypeVar("M", bound=Message)
Quick = Callable[[Message], bool]
Deep = Callable[[Message, "Texts"], bool]


@dataclass(frozen=True, slots=True, kw_only=True)
class Layout:
    """Where a message tuple holds what: indexes, and the bits of its flags."""

    uid: int
    modseq: int
    flags: int
    keywords: int  # bit n: the n-th of View.keywords
    received: int  # seconds since the epoch
    zone: int  # minutes east of UTC
    size: int
    saved: int  # seconds since the epoch
    email: int  # a number that copies share
    thread: int
    flag_bits: Mapping[str, int]  # lower-case name, "\\seen" or "$forwarded", to bit


@dataclass(frozen=True, slots=True, kw_only=True)
class View:
    """The mailbox as the session sees it when the search begins."""

    layout: Layout
    uids: array[int]  # ascending; position gives the sequence number
    keywords: Sequence[str] = ()
    saved: Sequence[int] = ()  # uids of "$", ascending
    recent_from: int = MAX_UID + 1  # lowest uid that is \Recent for the session
    now: int = 0  # seconds since the epoch
    # From an objectid, of the kind "M" or "T", to the number in a tuple; -1 when it is no such id.
    object_number: Callable[[str, str], int] = lambda kind, objectid: -1


class Texts:
    """Opens messages when they are asked for; keeps the last one."""

    __slots__ = ("_message", "_open", "_text")

    def __init__(self, open_text: Callable[[Message], MessageText]) -> None:
        self._open = open_text
        self._message: Message = ()
        self._text: MessageText | None = None

    def of(self, message: Message) -> MessageText:
        if self._text is None or self._message is not message:
            self._text = self._open(message)
            self._message = message
        return self._text


# What a text key costs, so that the cheaper are asked first.
_COST_DATE = 5
_COST_HEADER = 10
_COST_BODY = 50


@dataclass(frozen=True, slots=True)
class _Test:
    """A compiled key: exactly one of `constant`, `quick` and `deep` is set.

    table: says the same as `quick` for each value of the octet of flags, if it looks at no more.
    """

    constant: bool | None = None
    quick: Quick | None = None
    deep: Deep | None = None
    cost: int = 1
    table: bytes | None = None


_ALWAYS = _Test(constant=True)
_NEVER = _Test(constant=False)


@dataclass(frozen=True, slots=True)
class Plan:
    """A compiled program.

    Only uids in `ranges` can match. Of those, a message matches when `quick` (None: always) and
    `deep` (None: no texts are needed) say so. `table`: what `quick` says for each value of the
    octet of flags, when it looks at nothing else; None otherwise.
    """

    ranges: list[Range]
    quick: Quick | None = None
    deep: Deep | None = None
    table: bytes | None = None
    scores: tuple[Callable[[MessageText], int], ...] = ()  # of the fuzzy text keys

    def find(self, messages: Iterable[M], text: Callable[[M], MessageText]) -> Iterator[M]:
        """Give those of `messages` that match; `text` opens a message, only when needed."""
        quick, deep = self.quick, self.deep
        texts = Texts(cast("Callable[[Message], MessageText]", text))
        for message in messages:
            if quick is not None and not quick(message):
                continue
            if deep is None or deep(message, texts):
                yield message

    def relevancy(self, text: MessageText) -> int:
        """How well a message that was found fits, 1 to 100 (RFC 6203 §4)."""
        if not self.scores:
            return 100
        return max(1, sum(score(text) for score in self.scores) // len(self.scores))


def compile_search(key: SearchKey, view: View) -> Plan:
    """Prepare `key` for the mailbox as in `view`."""
    keys = key.keys if isinstance(key, And) else (key,)
    compiler = _Compiler(view, key)
    ranges = [(1, MAX_UID)]
    rest: list[_Test] = []
    for each in keys:
        # Sets at the top only narrow down what has to be looked at.
        if isinstance(each, Uids | Numbers):
            ranges = _intersection(ranges, compiler.ranges(each))
        else:
            rest.append(compiler.test(each))
    quick = _all([test for test in rest if test.deep is None])
    deep = _all([test for test in rest if test.deep is not None])
    if quick.constant is False:
        return Plan([])
    return Plan(ranges, quick.quick, deep.deep, quick.table, tuple(compiler.scores))


def _intersection(first: list[Range], second: list[Range]) -> list[Range]:
    """Intersect ascending, disjoint ranges."""
    found = []
    left = right = 0
    while left < len(first) and right < len(second):
        low = max(first[left][0], second[right][0])
        high = min(first[left][1], second[right][1])
        if low <= high:
            found.append((low, high))
        if first[left][1] < second[right][1]:
            left += 1
        else:
            right += 1
    return found


class _Compiler:
    def __init__(self, view: View, key: SearchKey) -> None:
        self._view = view
        self._layout = view.layout
        self._keyword_bits = {word.lower(): 1 << n for n, word in enumerate(view.keywords)}
        self.scores: list[Callable[[MessageText], int]] = []
        texts = sum(isinstance(each, Header | Body | Text | SentDate) for each in walk(key))
        self._remember = _REMEMBERED // max(texts, 1)

    def test(self, key: SearchKey, *, fuzzy: bool = False) -> _Test:
        match key:
            case All():
                return _ALWAYS
            case Not(inner):
                return _negated(self.test(inner, fuzzy=fuzzy))
            case Filter():
                raise ValueError("a filter has to be replaced by its program before")
            case Fuzzy(inner):
                return self.test(inner, fuzzy=True)
            case And(keys):
                return _all([self.test(each, fuzzy=fuzzy) for each in keys])
            case Or(keys):
                return _any([self.test(each, fuzzy=fuzzy) for each in keys])
            case Header() | Body() | Text():
                return self._text(key, fuzzy=fuzzy)
            case SentDate(comparison, day):
                return self._remembered(lambda text: _sent(text, comparison, day), _COST_DATE)
            case Uids() | Numbers():
                return _in_ranges(self._layout.uid, self.ranges(key))
            case _:
                return self._fact(key)

    def _fact(
        self,
        key: HasFlag
        | Recent
        | ReceivedDate
        | SavedDate
        | EmailId
        | ThreadId
        | Larger
        | Smaller
        | Older
        | Younger
        | ModSeq,
    ) -> _Test:
        view, layout = self._view, self._layout
        match key:
            case HasFlag(flag):
                return self._flag(flag.lower())
            case Recent():
                return _at_least(layout.uid, view.recent_from)
            case ReceivedDate(comparison, day):
                return self._received(comparison, day.toordinal() - _EPOCH)
            case SavedDate(comparison, day):
                return self._saved(comparison, day.toordinal() - _EPOCH)
            case EmailId(objectid):
                return _equals(layout.email, view.object_number("M", objectid))
            case ThreadId(objectid):
                return _equals(layout.thread, view.object_number("T", objectid))
            case Larger(octets):
                return _at_least(layout.size, octets + 1)
            case Smaller(octets):
                return _negated(_at_least(layout.size, octets))
            case Older(seconds):
                return _negated(_at_least(layout.received, view.now - seconds + 1))
            case Younger(seconds):
                return _at_least(layout.received, view.now - seconds)
            case ModSeq(modseq):
                return _at_least(layout.modseq, modseq)
            case _:
                assert_never(key)

    def _flag(self, flag: str) -> _Test:
        at, bit = self._layout.flags, self._layout.flag_bits.get(flag, 0)
        if not bit:
            at, bit = self._layout.keywords, self._keyword_bits.get(flag, 0)
        # No message can have a keyword that the mailbox does not know.
        if not bit:
            return _NEVER
        table: bytes | None = None
        if at == self._layout.flags and bit <= _OCTET:
            table = bytes([value & bit != 0 for value in range(_OCTET + 1)])
        return _Test(quick=lambda message: message[at] & bit != 0, table=table)

    def _received(self, comparison: Comparison, day: int) -> _Test:
        at, zone = self._layout.received, self._layout.zone
        # RFC 9051 §6.4.4: the date is taken "disregarding time and timezone", so as in its zone.
        if comparison is Comparison.BEFORE:
            return _Test(quick=lambda m: (m[at] + m[zone] * 60) // _DAY_S < day)
        if comparison is Comparison.SINCE:
            return _Test(quick=lambda m: (m[at] + m[zone] * 60) // _DAY_S >= day)
        return _Test(quick=lambda m: (m[at] + m[zone] * 60) // _DAY_S == day)

    def _saved(self, comparison: Comparison, day: int) -> _Test:
        # RFC 8514 §4.3: as BEFORE, ON and SINCE, with the save date.
        at = self._layout.saved
        if comparison is Comparison.BEFORE:
            return _negated(_at_least(at, day * _DAY_S))
        if comparison is Comparison.SINCE:
            return _at_least(at, day * _DAY_S)
        return _Test(quick=lambda m: m[at] // _DAY_S == day)

    def _text(self, key: Header | Body | Text, *, fuzzy: bool) -> _Test:
        wanted = Wanted.of(key.value, fuzzy=fuzzy)
        place: Place
        match key:
            case Header(name):
                place, cost = in_field(name), _COST_HEADER
            case Body():
                place, cost = in_body, _COST_BODY
            case Text():
                place, cost = anywhere, _COST_BODY
            case _:
                assert_never(key)
        if fuzzy:
            self.scores.append(lambda text: wanted.score(text, place))
        return self._remembered(lambda text: wanted.within(text, place), cost)

    def _remembered(self, holds: Callable[[MessageText], bool], cost: int) -> _Test:
        """A test of the text, made once for all copies of a message."""
        at = self._layout.email
        known: dict[int, bool] = {}
        limit = self._remember

        def deep(message: Message, texts: Texts) -> bool:
            email = message[at]
            held = known.get(email)
            if held is None:
                if len(known) >= limit:
                    known.clear()
                held = known[email] = holds(texts.of(message))
            return held

        return _Test(deep=deep, cost=cost)

    def ranges(self, key: Uids | Numbers) -> list[Range]:
        """Resolve a set to uid ranges."""
        uids = self._view.uids
        chosen: SequenceSet = key.uids if isinstance(key, Uids) else key.numbers
        if chosen.saved:
            return ranges_of(self._view.saved)
        if isinstance(key, Uids):
            return chosen.resolved(uids[-1] if uids else 0)
        slices = chosen.slices_of_numbers(len(uids))
        return merge_ranges((uids[start], uids[stop - 1]) for start, stop in slices)


def _at_least(at: int, least: int) -> _Test:
    return _Test(quick=lambda message: message[at] >= least)


def _equals(at: int, number: int) -> _Test:
    return _NEVER if number < 0 else _Test(quick=lambda message: message[at] == number)


def _in_ranges(at: int, ranges: list[Range]) -> _Test:
    if not ranges:
        return _NEVER
    if len(ranges) == 1:
        low, high = ranges[0]
        return _Test(quick=lambda message: low <= message[at] <= high)
    lows = [low for low, _ in ranges]
    highs = [high for _, high in ranges]

    def quick(message: Message) -> bool:
        position = bisect_right(lows, message[at]) - 1
        return position >= 0 and message[at] <= highs[position]

    return _Test(quick=quick, cost=2)


def _sent(text: MessageText, comparison: Comparison, day: date) -> bool:
    sent = text.sent_date()
    if sent is None:
        return False
    if comparison is Comparison.BEFORE:
        return sent < day
    return sent >= day if comparison is Comparison.SINCE else sent == day


# ---- combining ---------------------------------------------------------------------------------


def _negated(test: _Test) -> _Test:
    if test.constant is not None:
        return _NEVER if test.constant else _ALWAYS
    if test.quick is not None:
        quick = test.quick
        table = None if test.table is None else bytes([1 - value for value in test.table])
        return _Test(quick=lambda message: not quick(message), cost=test.cost, table=table)
    deep = _as_deep(test)
    return _Test(deep=lambda message, texts: not deep(message, texts), cost=test.cost)


def _all(tests: list[_Test]) -> _Test:
    return _joined(tests, decisive=False)


def _any(tests: list[_Test]) -> _Test:
    return _joined(tests, decisive=True)


def _joined(tests: list[_Test], *, decisive: bool) -> _Test:
    """Join with "and" (`decisive` False) or "or": the first result equal to `decisive` settles."""
    if any(test.constant is decisive for test in tests):
        return _Test(constant=decisive)
    tests = sorted((test for test in tests if test.constant is None), key=lambda test: test.cost)
    if not tests:
        return _Test(constant=not decisive)
    if len(tests) == 1:
        return tests[0]
    cost = sum(test.cost for test in tests)
    quicks = [test.quick for test in tests if test.quick is not None]
    if len(quicks) == len(tests):
        table = _join_tables([test.table for test in tests], decisive)
        return _Test(quick=_join_quick(quicks, decisive), cost=cost, table=table)
    return _Test(deep=_join_deep([_as_deep(test) for test in tests], decisive), cost=cost)


def _join_tables(tables: list[bytes | None], decisive: bool) -> bytes | None:
    known = [table for table in tables if table is not None]
    if len(known) < len(tables):
        return None
    join = any if decisive else all
    return bytes([join(values) for values in zip(*known, strict=True)])


def _join_quick(quicks: list[Quick], decisive: bool) -> Quick:
    def joined(message: Message) -> bool:
        # A plain loop costs half of any().
        for quick in quicks:
            if quick(message) is decisive:
                return decisive
        return not decisive

    return joined


def _join_deep(deeps: list[Deep], decisive: bool) -> Deep:
    def joined(message: Message, texts: Texts) -> bool:
        return decisive if any(deep(message, texts) is decisive for deep in deeps) else not decisive

    return joined


def _as_deep(test: _Test) -> Deep:
    if test.deep is not None:
        return test.deep
    quick = test.quick
    assert quick is not None
    return lambda message, _: quick(message)
