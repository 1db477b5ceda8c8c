from __future__ import annotations

import time
from array import array
from dataclasses import dataclass, field
from datetime import date

import pytest
from hypothesis import given
from hypothesis import strategies as st

from mox.collation import folded
from mox.imap.commands import Search, SearchReturn
from mox.imap.search import MAX_UID, Layout, View, compile_search
from mox.imap.searchkeys import And, HasFlag, Header, Not, Numbers, Or, SearchKey, Text, Uids
from mox.imap.searchresult import Extent, extent, saved, summary
from mox.imap.sequence import SequenceSet
from tests.imap.drive import command

DAY = 86400
NOON = 20_000 * DAY + DAY // 2  # 2024-10-04 12:00 UTC
LAYOUT = Layout(
    uid=0,
    modseq=1,
    flags=2,
    keywords=3,
    received=4,
    zone=5,
    size=6,
    saved=7,
    email=8,
    thread=9,
    flag_bits={"\\seen": 1, "\\answered": 2, "\\flagged": 4, "\\deleted": 8, "$forwarded": 32},
)


def message(
    uid: int,
    *,
    modseq=1,
    flags=0,
    keywords=0,
    received=NOON,
    zone=0,
    size=100,
    saved=NOON,
    email=0,
    thread=0,
) -> tuple[int, ...]:
    return (uid, modseq, flags, keywords, received, zone, size, saved, email or uid, thread or uid)


@dataclass
class Mail:
    """Texts of a message, and a record of what was asked for."""

    headers: dict[str, list[str]] = field(default_factory=dict)
    body: list[str] = field(default_factory=list)
    sent: date | None = None
    asked: list[str] = field(default_factory=list)

    def has_field(self, name, part):
        self.asked.append(name.decode().lower())
        return any(
            part in folded(value)
            for field, values in self.headers.items()
            for value in values
            if folded(field) == name
        )

    def in_header(self, part):
        self.asked.append("HEADER")
        return any(
            part in folded(f"{field}: {value}")
            for field, values in self.headers.items()
            for value in values
        )

    def in_body(self, part):
        self.asked.append("BODY")
        return any(part in folded(text) for text in self.body)

    def sent_date(self):
        self.asked.append("DATE")
        return self.sent


def no_text(_):
    raise AssertionError("no text is needed")


MESSAGES = [
    message(2, flags=1, size=10, modseq=5),
    message(4, flags=4, keywords=0b01, size=200, received=NOON - DAY),
    message(5, flags=1 | 8, keywords=0b10, size=300, received=NOON + DAY, modseq=9),
    message(9, flags=32, size=400, received=NOON - 10 * DAY, modseq=7),
]
VIEW = View(
    layout=LAYOUT,
    uids=array("I", [2, 4, 5, 9]),
    keywords=("work", "MyLabel"),
    saved=(4, 9),
    recent_from=5,
    now=NOON + DAY,
)


def hits(program: str, view: View = VIEW, messages=MESSAGES, text=no_text) -> list[int]:
    parsed = command(f"search {program}")
    assert isinstance(parsed, Search)
    plan = compile_search(parsed.key, view)
    inside = [m for m in messages if any(low <= m[0] <= high for low, high in plan.ranges)]
    return [found[0] for found in plan.find(inside, text)]


@pytest.mark.parametrize(
    ("program", "expected"),
    [
        ("all", [2, 4, 5, 9]),
        ("seen", [2, 5]),
        ("unseen", [4, 9]),
        ("deleted", [5]),
        ("draft", []),
        ("undraft", [2, 4, 5, 9]),
        ("keyword WORK", [4]),
        ("keyword mylabel", [5]),
        ("keyword nosuch", []),
        ("unkeyword nosuch", [2, 4, 5, 9]),
        ("unkeyword work", [2, 5, 9]),
        ("keyword $forwarded", [9]),
        ("keyword $Forwarded seen", []),
        ("recent", [5, 9]),
        ("old", [2, 4]),
        ("new", [9]),
        ("larger 199", [4, 5, 9]),
        ("larger 200", [5, 9]),
        ("smaller 200", [2]),
        ("smaller 201", [2, 4]),
        ("modseq 7", [5, 9]),
        ("modseq 0", [2, 4, 5, 9]),
        ("on 4-Oct-2024", [2]),
        ("before 4-Oct-2024", [4, 9]),
        ("since 4-Oct-2024", [2, 5]),
        ("since 4-Oct-2024 before 5-Oct-2024", [2]),
        ("younger 1", [5]),
        ("younger 86400", [2, 5]),
        ("older 86400", [2, 4, 9]),
        ("older 86401", [4, 9]),
        ("uid 4:5", [4, 5]),
        ("uid 3", []),
        ("uid 100:*", [9]),
        ("uid *", [9]),
        ("2:3", [4, 5]),
        ("*", [9]),
        ("1,4", [2, 9]),
        ("$", [4, 9]),
        ("uid $", [4, 9]),
        ("uid 1:4 uid 4:9", [4]),
        ("uid 1,2,4:5 1:2", [2, 4]),
        ("not 1:2", [5, 9]),
        ("not uid 4,9", [2, 5]),
        ("or 1 uid 9", [2, 9]),
        ("or seen or flagged all", [2, 4, 5, 9]),
        ("or draft keyword nosuch", []),
        ("not (seen deleted)", [2, 4, 9]),
        ("not or seen flagged", [9]),
        ("seen not deleted larger 5 smaller 50", [2]),
        ("not all", []),
        ("not not seen", [2, 5]),
    ],
)
def test_keys_that_need_no_text(program, expected):
    assert hits(program) == expected


def test_dates_are_those_of_the_zone_the_message_has():
    # 23:30 on the 3rd in New York is the 4th in UTC.
    late = message(1, received=20_000 * DAY + 3 * 3600 + 1800, zone=-240)
    for program, expected in [
        ("on 3-Oct-2024", [1]),
        ("on 4-Oct-2024", []),
        ("before 4-Oct-2024", [1]),
        ("since 4-Oct-2024", []),
    ]:
        assert hits(program, messages=[late]) == expected


@pytest.mark.parametrize(
    ("program", "expected"),
    [
        ("savedbefore 4-Oct-2024", [1]),
        ("savedon 4-Oct-2024", [2]),
        ("savedsince 4-Oct-2024", [2, 3]),
        ("savedatesupported", [1, 2, 3]),
        ("emailid M7", [1, 3]),
        ("emailid T7", []),
        ("threadid T9", [2, 3]),
        ("threadid nosuch", []),
        ("not emailid M7", [2]),
    ],
)
def test_save_dates_and_object_ids(program, expected):
    view = View(
        layout=LAYOUT,
        uids=array("I", [1, 2, 3]),
        object_number=lambda kind, text: int(text[1:]) if text[0] == kind else -1,
    )
    messages = [
        message(1, saved=NOON - DAY, email=7),
        message(2, saved=NOON, email=8, thread=9),
        message(3, saved=NOON + DAY, email=7, thread=9),
    ]
    assert hits(program, view, messages) == expected


def test_empty_mailbox():
    view = View(layout=LAYOUT, uids=array("I"))
    for program in ("all", "1:*", "uid 1:*", "*", "not 1:*", "$", "recent"):
        assert hits(program, view, []) == []


def test_sets_at_the_top_become_ranges():
    def ranges(program: str):
        return compile_search(command(f"search {program}").key, VIEW).ranges

    assert ranges("all") == [(1, MAX_UID)]
    assert ranges("uid 4:5 unseen") == [(4, 5)]
    assert ranges("uid 1:4,9 2:4") == [(4, 4), (9, 9)]
    assert ranges("not uid 4") == [(1, MAX_UID)]
    assert ranges("seen keyword nosuch") == []
    assert ranges("uid 3:4 draft") == []


# ---- texts -----------------------------------------------------------------------------------

LETTER = Mail(
    headers={
        "subject": ["=?utf-8?q?h=C3=A9llo?=", "héllo"],
        "from": ["Jane <jane@x.example>"],
        "x-empty": [""],
    },
    body=["Ein Stück ﬁle", "<p>ΣΊΣΥΦΟΣ</p>"],
    sent=date(2024, 10, 3),
)


@pytest.mark.parametrize(
    ("program", "expected"),
    [
        ('subject "HÉLLO"', True),
        ("subject h=c3=a9", True),
        ("subject hello", False),
        ("from JANE@x", True),
        ("to jane", False),
        ('header x-empty ""', True),
        ("header X-Empty x", False),
        ('header x-none ""', False),
        ('body "STÜCK FILE"', True),
        ('body "σίσυφος"', True),
        ("body jane", False),
        ("text jane", True),
        ('text "stück"', True),
        ("text nosuch", False),
        ("sentbefore 4-Oct-2024", True),
        ("sentbefore 3-Oct-2024", False),
        ("senton 3-Oct-2024", True),
        ("sentsince 3-Oct-2024", True),
        ("sentsince 4-Oct-2024", False),
        ("not subject x from jane", True),
        ('or subject x body "stück"', True),
        ("or seen subject x", False),
        ("or unseen subject x", True),
        ("not (from jane body x)", True),
    ],
)
def test_text_keys(program, expected):
    assert bool(hits(program, messages=[message(1)], text=lambda _: LETTER)) is expected


def test_message_without_date_matches_no_sent_key():
    for name in ("sentbefore", "senton", "sentsince"):
        assert hits(f"{name} 1-Jan-2024", messages=[message(1)], text=lambda _: Mail()) == []


def test_texts_are_opened_only_for_messages_that_pass_the_quick_tests():
    opened = []

    def text(found):
        opened.append(found[0])
        return Mail()

    assert hits("body x unseen", text=text) == []
    assert opened == [4, 9]


def test_cheaper_texts_come_first():
    mail = Mail(headers={"subject": ["a"]})
    hits("body x text y subject b", messages=[message(1)], text=lambda _: mail)
    assert mail.asked == ["subject"]
    mail = Mail(headers={"subject": ["b"]})
    assert hits("or body x subject b", messages=[message(1)], text=lambda _: mail) == [1]
    assert mail.asked == ["subject"]


def test_quick_tests_come_first_inside_or():
    mail = Mail()
    assert hits("or body x unseen", messages=[message(1)], text=lambda _: mail) == [1]
    assert mail.asked == []


def test_a_text_key_is_asked_once_for_all_copies_of_a_message():
    mails = {uid: Mail(body=["c"]) for uid in (1, 2, 3)}
    copies = [message(1, email=7), message(2, email=7), message(3, email=8)]
    assert hits("body c", messages=copies, text=lambda found: mails[found[0]]) == [1, 2, 3]
    assert [len(mail.asked) for mail in mails.values()] == [1, 0, 1]


@pytest.mark.parametrize(
    ("program", "expected"),
    [
        # RFC 6203 §3: words in any order; what is not fuzzy stays strict.
        ('fuzzy subject "break imap"', [1, 2]),
        ('subject "imap break"', [1]),
        ('fuzzy (subject "break imap" body x)', []),
        ("fuzzy unseen", [1, 2]),
        ('fuzzy subject "imap other"', []),
        ('not fuzzy subject "break imap"', []),
    ],
)
def test_fuzzy_keys(program, expected):
    subjects = {1: "IMAP break", 2: "Break of an imap server"}
    found = hits(
        program,
        messages=[message(1), message(2)],
        text=lambda m: Mail(headers={"subject": [subjects[m[0]]]}),
    )
    assert found == expected


def test_relevancy_is_highest_for_the_whole_phrase():
    plan = compile_search(command('search fuzzy subject "imap break"').key, VIEW)
    exact, words = Mail(headers={"subject": ["imap break"]}), Mail({"subject": ["break imap"]})
    assert plan.relevancy(exact) == 100
    assert plan.relevancy(words) == 80
    assert plan.relevancy(Mail()) == 1


# ---- against a plain evaluation --------------------------------------------------------------

LEAVES = st.sampled_from(
    [
        HasFlag("\\Seen"),
        HasFlag("work"),
        HasFlag("nosuch"),
        Uids(SequenceSet(((4, 5),))),
        Uids(SequenceSet(((1, 2), (9, 9)))),
        Numbers(SequenceSet(((2, 0),))),
        Header("subject", "x"),
        Text("y"),
    ]
)
PROGRAMS = st.recursive(
    LEAVES,
    lambda inner: st.one_of(
        inner.map(Not),
        st.lists(inner, min_size=1, max_size=3).map(lambda keys: And(tuple(keys))),
        st.lists(inner, min_size=1, max_size=3).map(lambda keys: Or(tuple(keys))),
    ),
    max_leaves=12,
)


def plainly(key: SearchKey, found: tuple[int, ...], mail: Mail) -> bool:
    match key:
        case Not(inner):
            return not plainly(inner, found, mail)
        case And(keys):
            return all(plainly(each, found, mail) for each in keys)
        case Or(keys):
            return any(plainly(each, found, mail) for each in keys)
        case HasFlag("\\Seen"):
            return bool(found[2] & 1)
        case HasFlag("work"):
            return bool(found[3] & 1)
        case HasFlag():
            return False
        case Uids(uids):
            return any(low <= found[0] <= high for low, high in uids.ranges)
        case Numbers():
            return found[0] != 2
        case Header():
            return any("x" in value for value in mail.headers["subject"])
        case Text():
            return any("y" in value for value in [*mail.headers["subject"], *mail.body])
    raise AssertionError(key)


@given(PROGRAMS, st.sampled_from(["", "x"]), st.sampled_from(["", "y"]))
def test_any_program_equals_its_plain_reading(program, subject, body):
    mail = Mail(headers={"subject": [subject]}, body=[body])
    plan = compile_search(program, VIEW)
    inside = [m for m in MESSAGES if any(low <= m[0] <= high for low, high in plan.ranges)]
    got = [found[0] for found in plan.find(inside, lambda _: mail)]
    assert got == [found[0] for found in MESSAGES if plainly(program, found, mail)]


def test_hundred_thousand_messages_are_quick():
    messages = [message(uid, flags=uid & 15) for uid in range(1, 100_001)]
    view = View(layout=LAYOUT, uids=array("I", range(1, 100_001)))
    start = time.perf_counter()
    assert len(hits("unseen undeleted larger 5", view, messages)) == 25_000
    assert time.perf_counter() - start < 2.0


def test_deep_and_wide_programs_do_not_overflow():
    assert hits("not " * 60 + "seen") == [2, 5]
    assert hits("or keyword nosuch " * 1900 + "seen") == [2, 5]
    assert hits("(" * 60 + "seen" + ")" * 60) == [2, 5]
    chain = "or (not subject x) " * 600 + "seen"
    assert hits(chain, text=lambda _: Mail()) == [2, 4, 5, 9]


# ---- results ---------------------------------------------------------------------------------


def options(*names: str) -> frozenset[SearchReturn]:
    return frozenset(SearchReturn(name) for name in names)


@pytest.mark.parametrize(
    ("returns", "expected"),
    [
        (None, Extent.EVERYTHING),
        (options("ALL"), Extent.EVERYTHING),
        (options("SAVE"), Extent.EVERYTHING),
        (options("COUNT"), Extent.EVERYTHING),
        (options("MIN"), Extent.FIRST),
        (options("MAX"), Extent.LAST),
        (options("MIN", "MAX"), Extent.ENDS),
        (options("MIN", "SAVE"), Extent.FIRST),
        (options("MAX", "SAVE"), Extent.LAST),
        (options("MIN", "COUNT"), Extent.EVERYTHING),
        (options("MIN", "MAX", "ALL"), Extent.EVERYTHING),
    ],
)
def test_extent(returns, expected):
    assert extent(returns) is expected


def test_summary_tells_what_was_asked():
    found = summary(options("MIN", "COUNT", "SAVE"), [3, 5, 9])
    assert found is not None
    assert (found.minimum, found.maximum, found.count, found.all) == (3, None, 3, None)
    found = summary(options("MAX", "ALL"), array("I", [3, 5, 9]), modseq=7)
    assert found is not None
    assert (found.maximum, list(found.all or ()), found.modseq) == (9, [3, 5, 9], 7)
    assert summary(options("SAVE"), [3]) is None


def test_summary_without_matches():
    found = summary(options("MIN", "MAX", "COUNT", "ALL"), [], modseq=7)
    assert found is not None
    assert (found.minimum, found.maximum, found.count, found.modseq) == (None, None, 0, None)


@pytest.mark.parametrize(
    ("returns", "expected"),
    [
        (options("SAVE"), [3, 5, 9]),
        (options("SAVE", "MIN"), [3]),
        (options("SAVE", "MAX"), [9]),
        (options("SAVE", "MIN", "MAX"), [3, 9]),
        (options("SAVE", "ALL"), [3, 5, 9]),
        (options("SAVE", "COUNT", "MIN"), [3, 5, 9]),
    ],
)
def test_saved_result_of_rfc5182(returns, expected):
    assert saved(returns, [3, 5, 9]) == expected
    assert saved(returns, []) == []


def test_single_match_is_saved_once():
    assert saved(options("SAVE", "MIN", "MAX"), [4]) == [4]
